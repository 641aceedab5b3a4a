import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  ConnectionBrokenError,
  PostgresConnectionManager,
  PostgresError,
  StatementError,
  TransactionOpenError,
} from "../../shared/postgres/mod.ts";
import { ScriptedServer } from "./scripted_server.ts";
import { claimsOf, countedConnection, TestDatabase, thrownBy } from "./support.ts";

const ALICE = "7a1d6f3e-0c4b-4e52-9f0a-1b6b1c2d3e04";
const BOB = "0b4d3a77-54b7-4f0b-8d0d-6f6a7c1e2f05";

const SCHEMA = [
  "create table note (id int generated always as identity, owner uuid not null default auth.uid(), text text)",
  "alter table note enable row level security",
  "create policy own on note to authenticated using (owner = auth.uid()) with check (owner = auth.uid())",
  "create function leave_behind() returns void language plpgsql as $$ begin " +
  "perform set_config('my.setting', 'left', false); perform pg_advisory_lock(7); end $$",
  "grant all on all tables in schema public to anon, authenticated",
];

/** Shows what a caller may have left on a connection. */
const LEFTOVERS = `select current_user = session_user as own_role,
  coalesce(current_setting('request.jwt.claims', true), '') as claims,
  coalesce(current_setting('my.setting', true), '') as setting,
  (select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks`;

const CLEAN = { own_role: true, claims: "", setting: "", locks: 0 };

Deno.test("manager.as().lease()", async (t) => {
  await using database = await TestDatabase.start();
  const admin = database.manager();
  for (const text of SCHEMA) await admin.query(text);
  const manager = database.manager({ maxConnections: 1 }, "authenticator");
  const alice = manager.as(claimsOf(ALICE));
  const leftovers = async () => (await manager.query(LEFTOVERS)).rows[0];

  await t.step("runs statements and transactions as the caller", async () => {
    {
      await using connection = await alice.lease();
      await connection.query("insert into note (text) values ($1)", ["one"]);
      await connection.transaction((tx) => tx.query("insert into note (text) values ('two')"));
      const { rows } = await connection.query("select current_user as role, auth.uid() as uid, count(*) from note");
      assertEquals(rows, [{ role: "authenticated", uid: ALICE, count: "2" }]);
    }
    await using connection = await manager.as(claimsOf(BOB)).lease();
    assertEquals((await connection.query("select * from note")).rows, []);
    const error = await thrownBy(
      () => connection.query("insert into note (owner, text) values ($1, 'x')", [ALICE]),
      PostgresError,
    );
    assertEquals(error.code, "42501");
  });

  await t.step("clears what the caller left before the next lease", async () => {
    {
      await using connection = await alice.lease();
      await connection.query("select leave_behind()");
      await connection.query("set my.setting = 'set'");
      assertEquals((await connection.query("show my.setting")).rows, [{ "my.setting": "set" }]);
    }
    assertEquals(await leftovers(), CLEAN);
  });

  await t.step("rolls a failed statement back, so that the next one runs, sent together with it too", async () => {
    await using connection = await alice.lease();
    const outcomes = await Promise.allSettled([
      connection.query("select 1 / 0"),
      connection.query("select auth.uid() as uid"),
      connection.query("select * from missing"),
      connection.transaction((tx) => tx.query("select auth.uid() as uid")),
    ]);
    const read = outcomes.map((outcome) =>
      outcome.status === "fulfilled" ? outcome.value.rows : (outcome.reason as PostgresError).code
    );
    assertEquals(read, ["22012", [{ uid: ALICE }], "42P01", [{ uid: ALICE }]]);
  });

  await t.step("rejects statements that control transactions, and statements beside a transaction", async () => {
    await using connection = await alice.lease();
    for (const text of ["commit", "begin", "rollback"]) {
      await thrownBy(() => connection.query(text), StatementError);
    }
    await connection.transaction(async (tx) => {
      await thrownBy(() => connection.query("select 1"), TransactionOpenError);
      await tx.query("select 1");
    });
    assertEquals((await connection.query("select current_user as role")).rows, [{ role: "authenticated" }]);
  });

  await t.step("cancels a running statement when the signal of the lease aborts", async () => {
    const controller = new AbortController();
    await using connection = await alice.lease({ signal: controller.signal });
    const sleeping = connection.query("select pg_sleep(10)");
    setTimeout(() => controller.abort(new Error("caller left")), 50);
    const started = performance.now();
    assertStringIncludes((await thrownBy(() => sleeping, Error)).message, "caller left");
    assert(performance.now() - started < 5_000);
    await thrownBy(() => connection.query("select 1"), Error);
    await thrownBy(() => connection.transaction((tx) => tx.query("select 1")), Error);
  });

  await t.step("a release inside a transaction closes the connection: its function meets no later caller", async () => {
    for (const hasBegun of [true, false]) {
      const connection = await alice.lease();
      const [begun, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const late = connection.transaction(async (tx) => {
        if (hasBegun) await tx.query("insert into note (text) values ('left open')");
        begun.resolve();
        await go.promise;
        return await tx.query("insert into note (text) values ('late')");
      });
      late.catch(() => {});
      await begun.promise;
      connection.release();
      await manager.as(claimsOf(BOB)).transaction(async (tx) => {
        await tx.query("insert into note (text) values ('of bob')");
        go.resolve();
        await thrownBy(() => late, ConnectionBrokenError);
        const { rows } = await tx.query("select owner, text from note");
        assertEquals(rows, [{ owner: BOB, text: "of bob" }]);
        await tx.rollback();
      });
    }
    const { rows } = await admin.query("select text from note where text in ('left open', 'late', 'of bob')");
    assertEquals(rows, []);
  });

  await t.step("takes one round trip per statement", async () => {
    await using counted = countedConnection(database, "authenticator");
    await using connection = await counted.manager.as(claimsOf(ALICE)).lease();
    await connection.query("select 1");
    counted.reset();
    await connection.query("select 2");
    assertEquals(counted.turns(), 1);
  });
});

Deno.test("manager.as().transaction() clears what a list left that was sent again", async () => {
  await using database = await TestDatabase.start();
  const admin = database.manager();
  for (const text of SCHEMA) await admin.query(text);
  const manager = database.manager({ maxConnections: 1 }, "authenticator");
  const alice = manager.as(claimsOf(ALICE));
  await alice.query("select * from note");
  // The statement is stale now: the server rejects it, and it is prepared and sent again.
  await admin.query("alter table note add column more int");
  await alice.transaction([{ query: "select * from note" }, { query: "select leave_behind()" }]);
  assertEquals((await manager.query(LEFTOVERS)).rows[0], CLEAN);
});

Deno.test("PostgresConnection.release() before the end of its transaction closes it, and the next caller has another one", async () => {
  const sent: string[] = [];
  await using server = new ScriptedServer((step, _connection, texts) => {
    if (step === "sync") sent.push(...texts);
    return false;
  });
  const { port, user } = server;
  const options = { host: "127.0.0.1", port, user, database: "d", password: "p", ssl: false };
  await using manager = new PostgresConnectionManager({
    ...options,
    minConnections: 0,
    maxConnections: 1,
    healthCheckIntervalMs: 0,
  });
  for (const end of ["release", "dispose"]) {
    const connection = await manager.lease();
    const [begun, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const late = connection.transaction(async (tx) => {
      await tx.query("select first");
      begun.resolve();
      await go.promise;
      await tx.query("select late");
    });
    late.catch(() => {});
    await begun.promise;
    if (end === "release") connection.release();
    else connection[Symbol.dispose]();
    sent.length = 0;
    await manager.transaction(async (tx) => {
      await tx.query("select second");
      go.resolve();
      await thrownBy(() => late, ConnectionBrokenError);
    });
    assertEquals(sent.filter((text) => text !== "SELECT pg_backend_pid() AS pid"), [
      "BEGIN",
      "select second",
      "COMMIT",
    ]);
  }
  assertEquals(manager.getStats().totalDestroyed, 2);
});
