import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  NestedTransactionOpenError,
  PostgresError,
  type PostgresQueries,
  StatementError,
  Transaction,
} from "../../shared/postgres/mod.ts";
import { claimsOf, TestDatabase, thrownBy } from "./support.ts";

const ALICE = "7a1d6f3e-0c4b-4e52-9f0a-1b6b1c2d3e04";
const BOB = "0b4d3a77-54b7-4f0b-8d0d-6f6a7c1e2f05";

const INSERT = "insert into seen (n) values (1)";
const WHO = "select auth.uid() as uid";

Deno.test("PostgresConnectionManager runs nothing outside its transaction", async (t) => {
  await using database = await TestDatabase.start();
  const admin = database.manager();
  await admin.query("create table seen (n int, role text default current_user, sub text default auth.uid()::text)");
  // So that one that ran as the login role would not be noticed by its lack of rights.
  await admin.query("grant all on seen to public");
  const manager = database.manager({ maxConnections: 1 }, "authenticator");
  const alice = manager.as(claimsOf(ALICE));
  const bob = manager.as(claimsOf(BOB));
  const seen = async () => (await admin.query("select n, role, sub from seen")).rows;
  const backend = async (queries: PostgresQueries) =>
    (await queries.query<{ pid: number }>("select pg_backend_pid() as pid")).rows[0]?.pid;

  await t.step("transaction() begins with the next statement when the first one could not be sent", async () => {
    const circular: Record<string, unknown> = {};
    circular["self"] = circular;
    await thrownBy(() =>
      alice.transaction(async (tx) => {
        await thrownBy(() => tx.query("select $1", [circular]), StatementError);
        await tx.query(INSERT);
        throw new RangeError("undone");
      }), RangeError);
    assertEquals(await seen(), []);
    await alice.transaction(async (tx) => {
      await thrownBy(() => tx.query("select $1", [circular]), StatementError);
      await tx.query(INSERT);
    });
    assertEquals(await seen(), [{ n: 1, role: "authenticated", sub: ALICE }]);
    await admin.query("truncate seen");
  });

  await t.step("transaction() begins when prepared statements of the connection are gone", async () => {
    // Who drops it on a connection of their own meets that themselves, in the transaction and not outside.
    await using connection = await admin.lease();
    const twice = (tx: Transaction) => Promise.all([tx.query(INSERT), tx.query("insert into seen (n) values (2)")]);
    await connection.transaction((tx) => tx.query(INSERT));
    await connection.query("truncate seen");
    await connection.query("deallocate all");
    assertEquals((await thrownBy(() => connection.transaction(twice), PostgresError)).code, "26000");
    assertEquals(await seen(), []);
    await connection.transaction(twice);
    assertEquals((await seen()).length, 2);
    await connection.query("truncate seen");
  });

  for (
    const text of [
      "commit",
      "/* to be sure */ rollback",
      ";end",
      "abort",
      "begin",
      "commit and chain",
      "rollback and chain",
      "prepare transaction 'two'",
    ]
  ) {
    await t.step(`transaction() rejects ${JSON.stringify(text)}, and stays open`, async () => {
      for (const queries of [admin, alice]) {
        await thrownBy(() => queries.transaction([{ query: text }, { query: INSERT }]), StatementError);
        await thrownBy(() =>
          queries.transaction(async (tx) => {
            await tx.query(INSERT);
            await thrownBy(() => tx.query(text), StatementError);
            await tx.transaction((nested) => thrownBy(() => nested.query(text), StatementError));
            throw new RangeError("undone");
          }), RangeError);
      }
      await thrownBy(() => alice.query(text), StatementError);
      // By itself it could only begin a transaction without a holder, or end none.
      await thrownBy(() => admin.query(text), StatementError);
      assertEquals(await seen(), []);
    });
  }

  await t.step("transaction() allows savepoints by SQL", async () => {
    await alice.transaction(async (tx) => {
      await tx.query("savepoint mine");
      await assertRejects(() => tx.query("select 1 / 0"), PostgresError);
      await tx.query("rollback to savepoint mine");
      await tx.query(INSERT);
    });
    assertEquals(await seen(), [{ n: 1, role: "authenticated", sub: ALICE }]);
    await admin.query("truncate seen");
  });

  for (
    const text of [
      "deallocate all",
      "do $$ begin execute 'deallocate all'; end $$",
      "do $$ declare s text; begin select name into s from pg_prepared_statements limit 1; execute 'deallocate ' || s; end $$",
    ]
  ) {
    await t.step(`as() works for the next caller after ${JSON.stringify(text.slice(0, 40))}`, async () => {
      await bob.transaction((tx) => tx.query(WHO));
      const before = await backend(bob);
      // Its own COMMIT may be among what it drops.
      await alice.query(text).catch((error) => assert(error instanceof PostgresError, String(error)));
      assertEquals(await bob.transaction(async (tx) => (await tx.query(WHO)).rows), [{ uid: BOB }]);
      assert(await backend(bob) !== before, "the connection went on");
    });
  }

  await t.step("query() rejects what outlives a transaction behind a pooler in transaction mode", async () => {
    const pooled = database.manager({ poolMode: "transaction", maxConnections: 1 }, "authenticator");
    const acting = pooled.as(claimsOf(ALICE));
    const text = "set work_mem = '8MB'";
    const attempts = [
      () => pooled.query(text),
      () => pooled.transaction([{ query: INSERT }, { query: text }]),
      () => pooled.transaction((tx) => tx.query(text)),
      () => acting.query(text),
      () => acting.transaction([{ query: INSERT }, { query: text }]),
      () => acting.transaction((tx) => tx.transaction((nested) => nested.query(text))),
      async () => {
        await using connection = await pooled.lease();
        await connection.query(text);
      },
    ];
    for (const attempt of attempts) await thrownBy(attempt, StatementError);
    assertEquals([pooled.getStats().activeConnections, await seen()], [0, []]);
    const shown = await acting.transaction([{ query: "set local work_mem = '8MB'" }, { query: "show work_mem" }]);
    assertEquals(shown[1]?.rows, [{ work_mem: "8MB" }]);
    assertEquals((await pooled.query("show work_mem")).rows, [{ work_mem: "4MB" }]);
  });

  await t.step("transaction() undoes what a nested one did that was left open and not awaited", async () => {
    for (let time = 0; time < 20; time++) {
      await alice.transaction(async (tx) => {
        const left = tx.transaction((outer) => {
          void outer.transaction((inner) => void inner.query(INSERT).catch(() => {})).catch(() => {});
        });
        await thrownBy(() => left, NestedTransactionOpenError);
      });
    }
    assertEquals(await seen(), []);
  });

  await t.step("transaction() prepares no COMMIT, which SQL could replace", async () => {
    await bob.transaction((tx) => tx.query(WHO));
    const { rows } = await manager.query("select from pg_prepared_statements where statement = 'COMMIT'");
    assertEquals(rows, []);
  });
});
