/** Tests the facade as the specification of the database layer uses it. */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { ConnectionWrapper, kyselyOf } from "../../../shared/data/mod.ts";
import { JoinedQueries } from "../../../shared/data/database/joined_queries.ts";
import { closeCache, getCache, LayeredCache } from "../../../shared/cache/mod.ts";
import { ConfigError } from "../../../shared/pool/mod.ts";
import {
  CallerError,
  NestedTransactionOpenError,
  PostgresError,
  StatementError,
  TransactionEndedError,
  TransactionRolledBackError,
} from "../../../shared/postgres/mod.ts";
import { claimsOf, TestDatabase, thrownBy } from "../../postgres/support.ts";
import { assertRejects, assertThrows } from "@std/assert";

const ALICE = claimsOf("00000000-0000-4000-8000-00000000000a");
const BOB = claimsOf("00000000-0000-4000-8000-00000000000b");

const SCHEMA = [
  "create table users (id int generated always as identity primary key, name text not null unique, active bool default true)",
  "create table profiles (user_id int not null references users, bio text)",
  "create table note (user_id uuid not null default auth.uid(), text text not null)",
  "alter table note enable row level security",
  "create policy own on note for all to authenticated using (user_id = auth.uid())",
  "grant select, insert on note to authenticated",
];

Deno.test("ConnectionWrapper", async (t) => {
  await using database = await TestDatabase.start();
  const manager = database.manager({ maxConnections: 8 });
  await manager.transaction(SCHEMA.map((query) => ({ query })));
  const db = new ConnectionWrapper(manager);
  const names = async () =>
    (await db.query<{ name: string }>("SELECT name FROM users ORDER BY id")).map(({ name }) => name);
  const clear = () => db.query("TRUNCATE users, profiles RESTART IDENTITY");

  await t.step("query() resolves to rows, with the members of a result", async () => {
    await db.query("INSERT INTO users (name, active) VALUES ($1, true), ($2, false)", ["Ada", "Bob"]);
    const users = await db.query<{ name: string }>("SELECT name FROM users WHERE active = $1", [true]);
    assertEquals([users.length, users[0]?.name], [1, "Ada"]);
    const { rows, rowCount } = users;
    assertEquals<unknown>([rows, rowCount, JSON.stringify(users)], [[{ name: "Ada" }], 1, '[{"name":"Ada"}]']);
    assertEquals<unknown>(await db.sql`SELECT name FROM users WHERE active = ${false}`, [{ name: "Bob" }]);
    await clear();
  });

  await t.step("getQueryBuilder() builds and runs queries, and joins transactions", async () => {
    const users = () => db.getQueryBuilder().from("users");
    const user = await users().insert({ name: "John", active: true });
    assertEquals(user, { id: 1, name: "John", active: true });
    await users().insert([{ name: "Ada" }, { name: "Bob", active: false }]);
    const active = await users()
      .select("id", "name")
      .where("active", "=", true)
      .orderBy("name", "DESC")
      .limit(10)
      .get();
    assertEquals(active, [{ id: 1, name: "John" }, { id: 2, name: "Ada" }]);
    await assertRejects(() =>
      db.withTransaction(async () => {
        assertEquals(await users().where("id", "=", 1).update({ name: "John Doe" }), 1);
        assertEquals(await users().where("active", "=", false).delete(), 1);
        assertEquals(await names(), ["John Doe", "Ada"]);
        throw new RangeError("rolled back");
      }), RangeError);
    assertEquals(await names(), ["John", "Ada", "Bob"]);
    const lists = await db.withTransaction(() =>
      db.queries.transaction([db.sql`SELECT ${1}::int AS n`, { query: "SELECT 2 AS n" }])
    );
    assertEquals(lists.map(({ rows }) => rows), [[{ n: 1 }], [{ n: 2 }]]);
    await assertRejects(() => db.withTransaction(() => db.queries.transaction(5 as never)), StatementError);
    const kysely = kyselyOf<{ users: { id: number; name: string } }>(db.queries);
    await db.withTransaction(async () => {
      await kysely.deleteFrom("users").where("name", "=", "Bob").execute();
      assertEquals(await names(), ["John", "Ada"]);
    });
    await clear();
  });

  await t.step("queries.transaction() in a transaction sends the list as it was given", async () => {
    const values = ["given"];
    const results = await db.withTransaction(() => {
      const running = db.queries.transaction([{ query: "SELECT 1" }, { query: "SELECT $1::text AS text", values }]);
      values[0] = "changed";
      return running;
    });
    assertEquals(results[1]?.rows, [{ text: "given" }]);
    for (const bad of [null, {}, { query: 5 }]) {
      const run = () => db.withTransaction(() => db.queries.transaction([bad as never]));
      assertEquals((await thrownBy(run, StatementError)).code, "STATEMENT_INVALID");
    }
  });

  await t.step("as() uses the cache that the wrapper has", async () => {
    const own = new LayeredCache();
    const alice = new ConnectionWrapper(manager, { cache: () => own }).as(ALICE);
    await alice.getCache().set("key", "of alice", 60);
    assertEquals(await own.forUser({ jwtClaims: ALICE.claims, authMode: "user" }).get("key"), "of alice");
    own.close();
  });

  await t.step("withTransaction() commits what db.query() runs inside", async () => {
    await db.withTransaction(async () => {
      await db.query("INSERT INTO users (name) VALUES ($1)", ["John"]);
      await db.query("INSERT INTO profiles (user_id, bio) VALUES ($1, $2)", [1, "Hello"]);
    });
    assertEquals<unknown>(await db.query("SELECT bio FROM profiles"), [{ bio: "Hello" }]);
    await clear();
  });

  await t.step("withTransaction() rolls all of it back when a statement fails, or the function throws", async () => {
    const failed = () =>
      db.withTransaction(async () => {
        await db.query("INSERT INTO users (name) VALUES ($1)", ["John"]);
        await db.query("INSERT INTO profiles (user_id, bio) VALUES ($1, $2)", [99, "Hello"]);
      });
    assertEquals((await thrownBy(failed, PostgresError)).code, "23503");
    const mine = new Error("mine");
    const thrown = await thrownBy(() =>
      db.withTransaction(async () => {
        await db.query("INSERT INTO users (name) VALUES ($1)", ["John"]);
        throw mine;
      }), Error);
    assertStrictEquals(thrown, mine);
    assertEquals(await names(), []);
  });

  await t.step("withTransaction() joins what other functions run, and sees its own rows alone", async () => {
    const addUser = (name: string) => db.sql`INSERT INTO users (name) VALUES (${name})`;
    const seen = await db.withTransaction(async () => {
      await addUser("John");
      await Promise.all([addUser("Jane"), addUser("Jim")]);
      const outside = await db.query("SELECT name FROM users", [], { outsideTransaction: true });
      return [(await names()).length, outside.length];
    });
    assertEquals(seen, [3, 0]);
    await clear();
  });

  await t.step("withTransaction() inside another one is a savepoint at any depth", async () => {
    await db.withTransaction(async () => {
      await db.query("INSERT INTO users (name) VALUES ('one')");
      await db.withTransaction(async () => {
        await db.query("INSERT INTO users (name) VALUES ('two')");
        await db.withTransaction(() => db.query("INSERT INTO users (name) VALUES ('three')"));
      });
      await assertRejects(() =>
        db.withTransaction(async () => {
          await db.query("INSERT INTO users (name) VALUES ('undone')");
          await db.withTransaction(() => db.query("INSERT INTO users (name) VALUES ('undone too')"));
          await db.query("INSERT INTO users (name) VALUES ('one')");
        }), PostgresError);
      await db.query("INSERT INTO users (name) VALUES ('four')");
    });
    assertEquals(await names(), ["one", "two", "three", "four"]);
    await clear();
  });

  await t.step("withTransaction() rejects options of a nested transaction, by name", async () => {
    await db.withTransaction(async () => {
      const nested = () =>
        db.withTransaction(() => Promise.resolve(), { isolationLevel: "serializable", timeoutMs: 5 });
      const { issues } = await thrownBy(nested, ConfigError);
      assertEquals(issues.map(({ path }) => path), ["isolationLevel", "timeoutMs"]);
    });
    const level = "SHOW transaction_isolation";
    const run = () => db.withTransaction(() => db.query(level), { isolationLevel: "serializable" });
    assertEquals<unknown>(await run(), [{ transaction_isolation: "serializable" }]);
  });

  await t.step("withTransaction() rejects two nested ones at once, and what runs beside a nested one", async () => {
    await db.withTransaction(async () => {
      const [, second, beside] = await Promise.allSettled([
        db.withTransaction(() => db.query("SELECT pg_sleep(0.02)")),
        db.withTransaction(() => db.query("SELECT 1")),
        db.query("SELECT 1"),
      ]);
      for (const outcome of [second, beside]) {
        assert(outcome.status === "rejected" && outcome.reason instanceof NestedTransactionOpenError);
      }
    });
  });

  await t.step("withTransaction() rejects when a statement failed and its error was caught", async () => {
    await thrownBy(() =>
      db.withTransaction(async () => {
        await db.query("SELECT 1/0").catch(() => {});
      }), TransactionRolledBackError);
  });

  await t.step("db.query() is rejected after the end of the transaction that it was started in", async () => {
    const go = Promise.withResolvers<void>();
    let late: Promise<unknown>[] = [];
    await db.withTransaction(async () => {
      await db.query("SELECT 1");
      late = [
        go.promise.then(() => db.query("INSERT INTO users (name) VALUES ('late')")),
        go.promise.then(() => db.sql`INSERT INTO users (name) VALUES ('late')`),
        go.promise.then(() => db.withTransaction(() => db.query("INSERT INTO users (name) VALUES ('late')"))),
      ];
    });
    go.resolve();
    for (const one of late) await thrownBy(() => one, TransactionEndedError);
    assertEquals(await names(), []);
  });

  await t.step("withTransaction() in 1,000 interleaved requests never leaks into another one", async () => {
    await db.query("CREATE TABLE step (request int, step int, xid text, pid int)");
    const handler = async (request: Request) => {
      const { pathname } = new URL(request.url);
      const id = Number(pathname.slice(1));
      const step = (n: number) =>
        db.sql`INSERT INTO step VALUES (${id}, ${n}, pg_current_xact_id()::text, pg_backend_pid())`;
      if (id % 4 === 0) {
        await step(1); // no transaction: each statement by itself
        await step(2);
        return new Response();
      }
      try {
        await db.withTransaction(async () => {
          await step(1);
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
          await db.withTransaction(() => step(2));
          if (id % 4 === 1) throw new RangeError("rolled back");
        });
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
      return new Response();
    };
    await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, handler);
    await Promise.all(Array.from({ length: 1_000 }, async (_, id) => {
      const response = await fetch(`http://127.0.0.1:${server.addr.port}/${id}`);
      await response.body?.cancel();
      assertEquals(response.status, 200);
    }));
    const steps = await db.query<{ request: number; steps: number; xids: number }>(
      "SELECT request, count(*)::int AS steps, count(DISTINCT xid)::int AS xids FROM step GROUP BY request ORDER BY request",
    );
    assertEquals(steps.length, 750);
    for (const { request, steps: count, xids } of steps) {
      // A savepoint has an id of its own only below the transaction's, which pg_current_xact_id() returns.
      assertEquals([request % 4 === 1, count, xids], [false, 2, request % 4 === 0 ? 2 : 1], `request ${request}`);
    }
    const shared = await db.query("SELECT xid FROM step GROUP BY xid HAVING count(DISTINCT request) > 1");
    assertEquals(shared.length, 0);
  });

  await t.step("queries of a transaction reject outsideTransaction, which could not apply", async () => {
    await manager.transaction(async (tx) => {
      const queries = new JoinedQueries(() => tx);
      const options = { outsideTransaction: true };
      const error = await thrownBy(() => queries.query("SELECT 1", [], options), ConfigError);
      assertEquals(error.code, "CONFIG_INVALID");
      await thrownBy(() => queries.transaction(() => Promise.resolve(), options), ConfigError);
      assertEquals((await queries.query("SELECT 1 AS one")).rows, [{ one: 1 }]);
    });
  });

  await t.step(
    "as(caller, { signal }) aborts what joins the transaction of the same caller, and nothing else",
    async () => {
      const callers = new ConnectionWrapper(database.manager({ maxConnections: 4 }, "authenticator"));
      const reason = new Error("left");
      for (const query of ["SELECT pg_sleep(10)", "SELECT 1"]) {
        const controller = new AbortController();
        const bound = callers.as(ALICE, { signal: controller.signal });
        await callers.as(ALICE).withTransaction(async () => {
          assertEquals((await bound.query("SELECT 1 AS one"))[0], { one: 1 });
          if (query !== "SELECT 1") setTimeout(() => controller.abort(reason), 30);
          else controller.abort(reason);
          assertStrictEquals(await bound.query(query).catch((error) => error), reason);
        }).catch(() => {});
      }
      for (const isBefore of [true, false]) {
        const controller = new AbortController();
        const bound = callers.as(ALICE, { signal: controller.signal });
        if (isBefore) controller.abort(reason);
        const kept = await callers.as(ALICE).withTransaction(async () => {
          const nested = bound.withTransaction(async () => {
            await callers.as(ALICE).query("INSERT INTO note (text) VALUES ('undone')");
            controller.abort(reason);
            await callers.as(ALICE).query("SELECT pg_sleep(10)");
          });
          assertStrictEquals(await nested.catch((error) => error), reason);
          return (await callers.as(ALICE).query("SELECT text FROM note")).length;
        });
        assertEquals(kept, 0);
      }
    },
  );

  await t.step("as() acts for a caller: its statements join its own transaction, and no other one", async () => {
    const callers = new ConnectionWrapper(database.manager({ maxConnections: 4 }, "authenticator"));
    const alice = callers.as(ALICE);
    await alice.withTransaction(async () => {
      await alice.sql`INSERT INTO note (text) VALUES ('mine')`;
      // Another wrapper of the same caller joins; one of another caller does not.
      assertEquals((await callers.as(ALICE).query("SELECT text FROM note")).length, 1);
      assertEquals((await callers.as(BOB).query("SELECT text FROM note")).length, 0);
    });
    assertEquals((await alice.query("SELECT text FROM note")).length, 1);
    assertEquals((await callers.as(BOB).query("SELECT text FROM note")).length, 0);
    // The cache of a caller is that caller's own.
    await alice.getCache().set("key", "of alice", 60);
    const cached = [callers.as(ALICE), callers.as(BOB), callers.as("anonymous"), callers].map((one) => one.getCache());
    const values = await Promise.all(cached.map((cache) => cache.get("key")));
    assertEquals(values, ["of alice", undefined, undefined, undefined]);
    const bound = database.manager({}, "authenticator").as(ALICE);
    assertThrows(() => new ConnectionWrapper(bound).getCache(), ConfigError, "pass { cache");
    assertStrictEquals(new ConnectionWrapper(bound, { cache: () => getCache() }).getCache(), getCache());
    closeCache();
    assertThrows(() => alice.as(BOB), CallerError, "acts for one already");
    assertThrows(() => callers.as({ claims: {} }), CallerError);
  });
});
