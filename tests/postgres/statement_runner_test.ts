/** A cancel request that arrives when its own statement is over. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { BackendKey } from "../../shared/postgres/connection/cancel.ts";
import { QueryTimeoutError, TransactionEndedError } from "../../shared/postgres/mod.ts";
import { loneExecutor, TestDatabase, thrownBy } from "./support.ts";

Deno.test("StatementRunner keeps a late cancel request from the next holder of a connection", async (t) => {
  await using database = await TestDatabase.start();
  const admin = database.manager();
  await admin.query("create table throttle (n int)");
  await admin.query("insert into throttle values (0)");
  await admin.query("create table run (n int)");
  await admin.query(
    "create procedure work() language plpgsql as $$ begin " +
      "insert into run values (1); commit; perform pg_sleep(0.15); end $$",
  );
  // By its text it only reads, so that others may follow on its connection.
  const held = "select touch()";
  await admin.query(
    "create function touch() returns void language plpgsql as $$ begin update throttle set n = n + 1; end $$",
  );
  let lock = await admin.lease();
  lock.release();

  /** Lets the statement end by itself, and passes the request on a while after that. */
  const late = async ({ processId }: BackendKey) => {
    await lock.query("commit");
    await new Promise((resolve) => setTimeout(resolve, 50));
    await admin.query("select pg_cancel_backend($1)", [processId]);
    return true;
  };
  await using lone = loneExecutor(database, late);
  const { executor } = lone;
  for (let time = 0; time < 20; time++) await executor.query(held);

  const behind: Readonly<Record<string, () => Promise<unknown>>> = {
    "a procedure that commits": () => executor.query("call work()", [], { acquireTimeoutMs: 60_000 }),
    "a transaction": () =>
      executor.transaction(async (tx) => {
        await tx.query("insert into run values (1)");
        await tx.query("select pg_sleep(0.15)");
      }),
    "a list": () => executor.transaction([{ query: "insert into run values (1)" }, { query: "select pg_sleep(0.15)" }]),
  };
  const moments = { "while its statement runs": 0, "when its statement is over": 175 };
  const cases = Object.entries(moments).flatMap((moment) =>
    Object.entries(behind).map((work) => [moment, work] as const)
  );
  for (const [[when, afterMs], [what, run]] of cases) {
    await t.step(`awaitResult() protects ${what}, ${when}`, async () => {
      await admin.query("truncate run");
      lock = await admin.lease();
      await lock.query("begin");
      await lock.query("select from throttle for update");
      const first = executor.query(held, [], { timeoutMs: 150 });
      const soon = afterMs === 0 ? run() : undefined;
      // Ends the first statement's lease early, in favor of a waiter.
      const third = executor.query(held);
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      const second = soon ?? run();
      await Promise.all([first, second, third]);
      assertEquals((await admin.query("select from run")).rowCount, 1);
      lock.release();
    });
  }
});

Deno.test("StatementRunner keeps a connection whose statement was canceled although the request seemed lost", async () => {
  await using database = await TestDatabase.start();
  const admin = database.manager();
  // Some servers reset the connection of a request that they pass on.
  await using lone = loneExecutor(database, async ({ processId }) => {
    await admin.query("select pg_cancel_backend($1)", [processId]);
    return false;
  });
  const { executor } = lone;
  const pid = async () => (await executor.query("select pg_backend_pid() as pid")).rows[0]?.["pid"];
  const before = await pid();
  await thrownBy(() => executor.query("select pg_sleep(60)", [], { timeoutMs: 50 }), QueryTimeoutError);
  assertEquals(await pid(), before);
});

Deno.test("StatementRunner closes a connection whose cancel request was lost and whose statement ended by itself", async () => {
  await using database = await TestDatabase.start();
  await using lone = loneExecutor(database, () => Promise.resolve(false));
  const { executor } = lone;
  const pid = async () => (await executor.query("select pg_backend_pid() as pid")).rows[0]?.["pid"];
  const before = await pid();
  await executor.query("select pg_sleep(0.3)", [], { timeoutMs: 50 }).catch(() => {});
  // The request may still arrive, and would hit the next statement.
  assert(await pid() !== before);
});

Deno.test("StatementRunner.cancelAll() cancels the statements that run when their transaction ends", async () => {
  await using database = await TestDatabase.start();
  const manager = database.manager({ maxConnections: 1 });
  let statement: Promise<TransactionEndedError> | undefined;
  await assertRejects(
    () =>
      manager.transaction(async (tx) => {
        await tx.query("select 1");
        statement = thrownBy(() => tx.query("select pg_sleep(20)"), TransactionEndedError);
        throw new Error("left");
      }),
    Error,
    "left",
  );
  assert(await statement);
  assertEquals((await manager.query("select 1")).rowCount, 1);
});
