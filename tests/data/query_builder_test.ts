import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { createQueryBuilder, InvalidCursorError, InvalidQueryError, QueryBuilder, sql } from "../../shared/data/mod.ts";
import { PostgresConnectionManager, PostgresError } from "../../shared/postgres/mod.ts";
import { claimsOf, TestDatabase } from "../postgres/support.ts";

interface Tables {
  users: { id: number; name: string; email: string; active: boolean; created_at: Date; updated_at: Date | null };
  profiles: { user_id: number; bio: string };
}

Deno.test("QueryBuilder runs the calls of the specification", async (t) => {
  await using database = await TestDatabase.start();
  const manager = database.manager();
  await manager.query(
    "create table users (id int primary key generated always as identity, name text not null, email text unique, " +
      "active boolean, created_at timestamptz not null default clock_timestamp(), updated_at timestamptz)",
  );
  await manager.query("create table profiles (user_id int primary key references users, bio text)");
  await manager.query(
    "create table posts (id int primary key generated always as identity, user_id int, name text, created_at timestamptz default clock_timestamp())",
  );

  // Create a query builder
  const qb = createQueryBuilder(manager);

  await t.step("insert() returns the row", async () => {
    // Insert a record
    const user = await qb.from("users").insert({
      name: "John",
      email: "john@example.com",
      active: true,
    });
    assertEquals([user["id"], user["name"], user["active"]], [1, "John", true]);
    assertInstanceOf(user["created_at"], Date);
  });

  await t.step("select(), where(), orderBy(), limit() and get() return rows", async () => {
    // Build and execute a query
    const users = await qb
      .from("users")
      .select("id", "name", "email")
      .where("active", "=", true)
      .orderBy("created_at", "DESC")
      .limit(10)
      .get();
    assertEquals(users, [{ id: 1, name: "John", email: "john@example.com" }]);
  });

  await t.step("update() returns the number of affected rows", async () => {
    // Update a record
    const affectedRows = await qb.from("users").where("id", "=", 1).update({
      name: "John Doe",
      updated_at: new Date(),
    });
    assertEquals(affectedRows, 1);
    assertEquals((await qb.from("users").first())?.["name"], "John Doe");
  });

  await t.step("delete() returns the number of affected rows", async () => {
    // Delete a record
    const affectedRows = await qb.from("users").where("id", "=", 1).delete();
    assertEquals(affectedRows, 1);
    assertEquals(await qb.from("users").where("id", "=", 1).delete(), 0);
  });

  await t.step("createQueryBuilder() without arguments uses the manager of the isolate", async () => {
    const shared = PostgresConnectionManager.getInstance({ ...database.options(), minConnections: 0 });
    assertEquals(await createQueryBuilder().from("users").count(), 0);
    await shared.shutdown();
  });

  await t.step("createQueryBuilder(manager.as(caller)) runs as the caller", async () => {
    await manager.query("alter table posts enable row level security");
    await manager.query("grant select on posts to authenticated");
    await manager.query("insert into posts (name) values ('hidden')");
    const login = database.manager({}, "authenticator");
    const caller = login.as(claimsOf("00000000-0000-4000-8000-00000000000a"));
    assertEquals(await createQueryBuilder(caller).from("posts").get(), []);
    assertEquals(await qb.from("posts").count(), 1);
    await assertRejects(() => createQueryBuilder(caller).from("posts").insert({ name: "x" }), PostgresError);
    await qb.from("posts").all().delete();
  });

  await t.step("createQueryBuilder(transaction) joins the transaction", async () => {
    await manager.transaction(async (tx) => {
      await createQueryBuilder(tx).from("posts").insert({ name: "undone" });
      await tx.rollback();
    });
    assertEquals(await qb.from("posts").count(), 0);
  });

  await t.step("insert() takes several rows, defaults, and values of their types", async () => {
    const rows = await qb.from("posts").insert([{ name: "a", user_id: 1 }, { name: "b" }, {
      name: undefined,
      user_id: 2,
    }]);
    assertEquals(rows.map(({ name, user_id }) => [name, user_id]), [["a", 1], ["b", null], [null, 2]]);
    assertEquals((await qb.from("posts").insert({}))["name"], null);
    assertEquals(await qb.from("posts").insert([]), []);
    await qb.from("posts").all().delete();
  });

  await t.step("join() and leftJoin() join by equality, with columns under other names", async () => {
    const { id } = await qb.from("users").insert({ name: "Jane", email: "jane@example.com" });
    await qb.from("users").insert({ name: "Joe", email: "joe@example.com" });
    await qb.from("profiles").insert({ user_id: id, bio: "Hello" });
    const typed = new QueryBuilder<Tables>(manager);
    const joined = await typed.from("users").join("profiles", "profiles.user_id", "users.id")
      .select("users.name", "profiles.bio").get();
    const name: string | undefined = joined[0]?.name;
    assertEquals([name, joined], ["Jane", [{ name: "Jane", bio: "Hello" }]]);
    const all = await typed.from("users").leftJoin("profiles", "user_id", "id")
      .select("users.*", { about: "profiles.bio", upper: sql`upper(users.name)` }).orderBy("users.name").get();
    assertEquals(all.map((row) => [row["name"], row["about"], row["upper"]]), [["Jane", "Hello", "JANE"], [
      "Joe",
      null,
      "JOE",
    ]]);
    assertEquals(await typed.from("users").leftJoin("profiles", "user_id", "id").where("bio", "is", null).count(), 1);
  });

  await t.step("leftJoin() types the columns of the joined table as nullable, and join() does not", async () => {
    const users = new QueryBuilder<Tables>(manager).from("users");
    const [left] = await users.leftJoin("profiles", "user_id", "id").select("profiles.bio", "user_id", "users.name")
      .where("users.name", "=", "Joe").get();
    const row: { bio: string | null; user_id: number | null; name: string } | undefined = left;
    assertEquals<unknown>(row, { bio: null, user_id: null, name: "Joe" });
    // @ts-expect-error -- a row of users without a profile has none
    const bio: string | undefined = left?.bio;
    const [inner] = await users.join("profiles", "user_id", "id").select("profiles.bio").get();
    const known: string | undefined = inner?.bio;
    assertEquals<unknown>([bio, known], [null, "Hello"]);
  });

  await t.step(
    "get(), first() and paginate() reject joined columns of the same name: a row has the value of one",
    async () => {
      await manager.query("create table item (id int primary key, post_id int)");
      const joined = qb.from("posts").join("item", "item.post_id", "posts.id");
      const calls = [
        () => joined.get(),
        () => joined.first(),
        () => joined.paginate({ key: "posts.id" }),
        () => joined.select("posts.*", "item.id").get(),
      ];
      for (const call of calls) {
        const error = await assertRejects(call, InvalidQueryError, 'two columns as "id"');
        assertEquals(error.code, "QUERY_INVALID");
      }
      assertEquals(await joined.select("posts.*", { item_id: "item.id" }).get(), []);
      assertEquals(await joined.count(), 0);
      assertThrows(() => joined.select("posts.id", "item.id"), InvalidQueryError, 'two columns as "id"');
      assertThrows(() => joined.select("posts.id").select({ id: sql`1` }), InvalidQueryError, 'two columns as "id"');
      assertEquals(
        await joined.select("posts.id").select("posts.id", { item: "item.id" }).select("posts.id").count(),
        0,
      );
      await manager.query("drop table item");
    },
  );

  await t.step("where() has lists, patterns, null, and fragments of sql", async () => {
    const names = async (query: { get(): Promise<Record<string, unknown>[]> }) =>
      (await query.get()).map((row) => row["name"]);
    const users = qb.from("users").select("name").orderBy("name");
    assertEquals(await names(users.where("name", "in", ["Jane", "x"])), ["Jane"]);
    assertEquals(await names(users.where("name", "in", [])), []);
    assertEquals(await names(users.where("name", "not in", [])), ["Jane", "Joe"]);
    assertEquals(await names(users.where("name", "not in", ["Jane"])), ["Joe"]);
    assertEquals(await names(users.where("name", "ilike", "JO%")), ["Joe"]);
    assertEquals(await names(users.where("active", "is", null)), ["Jane", "Joe"]);
    assertEquals(await names(users.where("active", "is not", true)), ["Jane", "Joe"]);
    assertEquals(await names(users.where("active", "is distinct from", null)), []);
    assertEquals(await names(users.whereAny([["name", "=", "Joe"], ["email", "=", "jane@example.com"]])), [
      "Jane",
      "Joe",
    ]);
    assertEquals(await names(users.where(sql`length(name) = ${3}`)), ["Joe"]);
    assertEquals(await names(users.where(sql`name = ${"Jane"} or true`).where("name", "=", "Joe")), ["Joe"]);
    await qb.from("profiles").all().delete();
    await qb.from("users").all().delete();
  });

  await t.step(
    "paginate() returns every row once, by keyset, in mixed orders with ties, nulls and microseconds",
    async () => {
      await manager.query(
        "insert into posts (user_id, created_at) select nullif(n % 4, 0), timestamptz '2026-01-01' + (n / 3) * interval '1 microsecond' " +
          "from generate_series(1, 50) n",
      );
      for (const [first, second] of [["asc", "asc"], ["asc", "desc"], ["desc", "asc"], ["desc", "desc"]] as const) {
        const query = qb.from("posts").where("id", ">", 0).orderBy("user_id", first).orderBy("created_at", second);
        const expected = (await query.orderBy("id").get()).map(({ id }) => id);
        const read: unknown[] = [];
        let after: string | undefined;
        do {
          const page = await query.paginate({ limit: 7, after });
          assert(page.rows.length <= 7);
          assertEquals(Object.keys(page.rows[0] ?? {}), ["id", "user_id", "name", "created_at"]);
          read.push(...page.rows.map(({ id }) => id));
          after = page.next;
          // Rows before and behind the position shift nothing.
          if (read.length === 7) await manager.query("select 1");
        } while (after !== undefined);
        assertEquals(read, expected);
      }
      assertEquals((await qb.from("posts").paginate()).rows.length, 50);
      assertEquals((await qb.from("posts").paginate({ limit: 50 })).next, undefined);
    },
  );

  await t.step("paginate() rejects cursors that are not its own", async () => {
    const query = qb.from("posts").orderBy("created_at", "desc");
    const { next } = await query.paginate({ limit: 2 });
    assert(next !== undefined);
    const other = (await qb.from("posts").orderBy("created_at").paginate({ limit: 2 })).next;
    const forged = btoa(
      atob(next.replaceAll("-", "+").replaceAll("_", "/")).replace(/"\d+"\]$/, '"x; drop table posts"]'),
    ).replaceAll("=", "");
    // Other values with the fingerprint of the query.
    const valuesOf = (values: string) => {
      const [fingerprint] = JSON.parse(atob(next.replaceAll("-", "+").replaceAll("_", "/"))) as number[];
      return btoa(`[${fingerprint},${values}]`).replaceAll("=", "");
    };
    const bad = [
      other,
      forged,
      "",
      "!",
      next.slice(1),
      btoa("[1]"),
      btoa("{}"),
      "a".repeat(9_000),
      7 as unknown as string,
      ...["1", 'null,{"x":1}', '"2026-01-01 00:00:00","1\\u0000"', '"2026-01-01","\\ud800"', '"2026-01-01",7'].map(
        valuesOf,
      ),
    ];
    for (const after of bad) {
      const error = await assertRejects(() => query.paginate({ after }), InvalidCursorError);
      assertEquals([error.code, error.http.status], ["CURSOR_INVALID", 400]);
    }
    for (const limit of [0, -1, 1.5, NaN, "2; drop table posts"]) {
      await assertRejects(() => query.paginate({ limit: limit as number }), InvalidQueryError);
    }
    await assertRejects(() => query.limit(3).paginate(), InvalidQueryError);
    assertEquals(await qb.from("posts").count(), 50);
  });

  await t.step("paginate() blames the cursor for its own values alone", async () => {
    const query = qb.from("posts").orderBy("created_at", "desc");
    const { next: after } = await query.paginate({ limit: 2 });
    const code = async (work: () => Promise<unknown>) =>
      await work().then(() => undefined, (error: { readonly code?: unknown }) => error.code);
    assertEquals(await code(() => query.where("id", ">", "x").paginate({ after })), "22P02");
    assertEquals(await code(() => query.where("created_at", ">", "x").paginate({ after })), "22007");
    assertEquals(await code(() => query.where(sql`1 / (id - id) > 0`).paginate({ after })), "22012");
    assertEquals(await code(() => query.where("name", "=", "\0").paginate({ after })), "STATEMENT_INVALID");
    assertEquals(await code(() => query.paginate({ after, key: "unknown" })), "CURSOR_INVALID");
    // In a transaction that has failed, it cannot be found out.
    const inside = (after: string | undefined, column = "id") =>
      manager.transaction((tx) => {
        const rows = createQueryBuilder(tx).from("posts").orderBy("created_at", "desc");
        return rows.where(column, ">", "0").paginate({ after });
      });
    assertEquals((await inside(after)).rows.length, 48);
    const forged = btoa(atob((after ?? "").replaceAll("-", "+").replaceAll("_", "/")).replace(/"\d+"\]$/, '"x"]'));
    assertEquals(await code(() => inside(forged.replaceAll("=", ""))), "CURSOR_INVALID");
    assertEquals(await code(() => inside(after, "missing")), "42703");
  });

  await t.step("get() passes signals and time limits on", async () => {
    const reason = new Error("left");
    await assertRejects(() => qb.from("posts").get({ signal: AbortSignal.abort(reason) }), Error, "left");
  });
});
