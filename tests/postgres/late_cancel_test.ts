/** A cancel request that arrives when its own statement is over. */
import { assertEquals } from "@std/assert";
import { ResourcePool } from "../../shared/pool/mod.ts";
import type { Backend } from "../../shared/postgres/cancel.ts";
import { parsePostgresConfig, poolOptions } from "../../shared/postgres/config.ts";
import { ConnectGate } from "../../shared/postgres/connect_gate.ts";
import { Deadlines } from "../../shared/postgres/deadlines.ts";
import { Executor } from "../../shared/postgres/executor.ts";
import { PoolerDetector } from "../../shared/postgres/pooler.ts";
import { SessionFactory } from "../../shared/postgres/session_factory.ts";
import { Sharing } from "../../shared/postgres/sharing.ts";
import { systemClock } from "../../shared/resilience/mod.ts";
import { TestDatabase } from "./support.ts";

Deno.test("a cancel request that comes late does not reach what has the connection for itself", async (t) => {
  await using database = await TestDatabase.start();
  const admin = database.manager();
  await admin.query("create table gate (n int)");
  await admin.query("insert into gate values (0)");
  await admin.query("create table run (n int)");
  await admin.query(
    "create procedure work() language plpgsql as $$ begin " +
      "insert into run values (1); commit; perform pg_sleep(0.15); end $$",
  );
  const config = parsePostgresConfig({ ...database.options(), maxConnections: 1, minConnections: 0 });
  const factory = new SessionFactory(config, new ConnectGate(systemClock), new PoolerDetector(config), systemClock);
  const pool = new ResourcePool(factory, poolOptions(config));
  const deadlines = new Deadlines(systemClock);
  const held = "update gate set n = n + 1";
  let lock = await admin.lease();
  lock.release();

  /** Lets the statement end by itself, and passes the request on a while after that. */
  const late = async ({ processId }: Backend) => {
    await lock.query("commit");
    await new Promise((resolve) => setTimeout(resolve, 50));
    await admin.query("select pg_cancel_backend($1)", [processId]);
    return true;
  };
  const executor = new Executor({
    pool,
    sharing: new Sharing(pool),
    runner: {
      clock: systemClock,
      deadlines,
      cancelTimeoutMs: 5_000,
      requestCancel: (backend) => ({ passedOn: late(backend), giveUp: () => {} }),
    },
    queryTimeoutMs: 30_000,
    trustedLogin: undefined,
    owner: { ended: () => {}, report: () => {}, nowEpochMs: Date.now },
  });
  // It is quick, so that others may follow on its connection.
  for (let time = 0; time < 3; time++) await executor.query(held);

  const behind: Readonly<Record<string, () => Promise<unknown>>> = {
    "a procedure that commits": () => executor.query("call work()"),
    "a transaction": () =>
      executor.transaction(async (tx) => {
        await tx.query("insert into run values (1)");
        await tx.query("select pg_sleep(0.15)");
      }),
    "a list": () => executor.transaction([{ query: "insert into run values (1)" }, { query: "select pg_sleep(0.15)" }]),
  };
  for (const [what, run] of Object.entries(behind)) {
    await t.step(what, async () => {
      await admin.query("truncate run");
      lock = await admin.lease();
      await lock.query("begin");
      await lock.query("select from gate for update");
      const first = executor.query(held, [], { timeoutMs: 30 });
      const second = run();
      // Ends the first one's lease early, in favour of whoever waits.
      const third = executor.query(held);
      await Promise.all([first, second, third]);
      assertEquals((await admin.query("select from run")).rowCount, 1);
      lock.release();
    });
  }
  deadlines.stop();
  await pool.shutdown();
});
