import { assert, assertEquals, assertRejects } from "@std/assert";
import { Kysely } from "kysely";
import { Migrator } from "kysely/migration";
import { KyselyDestroyedError, kyselyOf, PooledPostgresDialect, sql } from "../../../shared/data/mod.ts";
import { PostgresError } from "../../../shared/postgres/mod.ts";
import { claimsOf, thrownBy } from "../../postgres/support.ts";
import { clear, leases, startDatabase, type Tables } from "./support.ts";

const ALICE = "00000000-0000-4000-8000-00000000000a";
const BOB = "00000000-0000-4000-8000-00000000000b";

Deno.test("kyselyOf() runs statements", async (t) => {
  const { database, admin } = await startDatabase();
  await using _database = database;
  const db = kyselyOf<Tables>(admin);

  await t.step("kyselyOf(manager) runs typed statements, with results as Kysely has them", async () => {
    const inserted = await db.insertInto("note").values([{ id: 1, text: "a" }, { id: 2, text: "b" }])
      .executeTakeFirstOrThrow();
    assertEquals([inserted.numInsertedOrUpdatedRows, inserted.insertId], [2n, undefined]);
    const rows = await db.selectFrom("note").select(["id", "text"]).where("id", ">", 1).execute();
    assertEquals(rows, [{ id: 2, text: "b" }]);
    assertEquals((await db.updateTable("note").set({ text: "c" }).executeTakeFirst()).numUpdatedRows, 2n);
    assertEquals((await db.deleteFrom("note").where("id", "=", 1).executeTakeFirst()).numDeletedRows, 1n);
    const { rows: [first] } = await sql<{ text: string }>`select text from note where id = ${2}`.execute(db);
    assertEquals(first?.text, "c");
    await clear(admin);
  });

  await t.step("kyselyOf(manager) leases one connection for a statement, and none while it is built", async () => {
    assertEquals(await leases(admin, () => db.selectFrom("note").selectAll().execute()), 1);
    assertEquals(await leases(admin, () => Promise.resolve(db.selectFrom("note").selectAll().compile())), 0);
  });

  await t.step("kyselyOf(manager.as(caller)) runs statements and transactions as the caller", async () => {
    const login = database.manager({}, "authenticator");
    const [alice, bob] = [ALICE, BOB].map((sub) => kyselyOf<Tables>(login.as(claimsOf(sub))));
    assert(alice && bob);
    await alice.insertInto("note").values({ id: 1, text: "of alice" }).execute();
    await bob.transaction().execute(async (tx) => {
      await tx.insertInto("note").values({ id: 2, text: "of bob" }).execute();
      assertEquals((await tx.selectFrom("note").select("id").execute()).map(({ id }) => id), [2]);
    });
    assertEquals(await alice.selectFrom("note").select(["id", "owner"]).execute(), [{ id: 1, owner: ALICE }]);
    await bob.connection().execute(async (own) => {
      assertEquals((await own.selectFrom("note").select("id").execute()).length, 1);
      const { rows } = await sql<{ role: string }>`select current_user as role`.execute(own);
      assertEquals(rows[0]?.role, "authenticated");
    });
    const streamed: number[] = [];
    for await (const { id } of alice.selectFrom("note").select("id").stream(1)) streamed.push(id);
    assertEquals(streamed, [1]);
    const stolen = bob.insertInto("note").values({ id: 3, owner: ALICE, text: "x" }).execute();
    const error = await assertRejects(() => stolen, PostgresError);
    assertEquals(error.code, "42501");
    await clear(admin);
  });

  await t.step("kyselyOf() keeps the library's errors, with the stack of the statement", async () => {
    await db.insertInto("note").values({ id: 1, text: "a" }).execute();
    const error = await thrownBy(
      () => db.insertInto("note").values({ id: 1, text: "a" }).execute(),
      PostgresError,
    );
    assertEquals([error.code, error.constraint], ["23505", "note_pkey"]);
    assert(error.stack?.includes("statements_test.ts"), error.stack);
    await clear(admin);
  });

  await t.step("destroy() ends the instance, and not the manager", async () => {
    const other = kyselyOf<Tables>(admin);
    await other.destroy();
    await assertRejects(() => other.selectFrom("note").selectAll().execute(), KyselyDestroyedError);
    await assertRejects(() => other.transaction().execute(() => Promise.resolve()), KyselyDestroyedError);
    const dialect = new Kysely<Tables>({ dialect: new PooledPostgresDialect(admin) });
    assertEquals(await dialect.selectFrom("note").selectAll().execute(), []);
    await dialect.destroy();
    assertEquals(await db.selectFrom("note").selectAll().execute(), []);
  });

  await t.step("log and plugins are called as Kysely calls them", async () => {
    const logged: string[] = [];
    const noted = kyselyOf<Tables>(admin, { log: ({ level, query }) => void logged.push(`${level}: ${query.sql}`) });
    await noted.selectFrom("note").select("id").execute();
    await noted.transaction().execute((tx) => tx.selectFrom("note").select("text").execute());
    await sql`select nothing`.execute(noted).catch(() => {});
    assertEquals(logged, [
      'query: select "id" from "note"',
      "query: begin",
      'query: select "text" from "note"',
      "query: commit",
      "error: select nothing",
    ]);
    assertEquals(
      (await kyselyOf<Tables>(admin).withSchema("auth").selectFrom("note").selectAll().compile()).sql,
      'select * from "auth"."note"',
    );
  });

  await t.step("introspection and migrations work, two migrators at once", async () => {
    const tables = await db.introspection.getTables();
    assert(tables.some(({ name }) => name === "note"));
    const migrations = {
      one: { up: (target: Kysely<never>) => sql`create table migrated (id int)`.execute(target).then(() => {}) },
    };
    const migrator = () =>
      new Migrator({ db: kyselyOf(admin), provider: { getMigrations: () => Promise.resolve(migrations) } });
    const [first, second] = await Promise.all([migrator().migrateToLatest(), migrator().migrateToLatest()]);
    assertEquals([first.error, second.error], [undefined, undefined]);
    assertEquals((first.results?.length ?? 0) + (second.results?.length ?? 0), 1);
    const locks = await admin.query("select count(*)::int as n from pg_locks where locktype = 'advisory'");
    assertEquals(locks.rows, [{ n: 0 }]);
  });
});
