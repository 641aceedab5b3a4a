import { assert, assertEquals } from "@std/assert";
import {
  ConnectionLostError,
  PostgresConnectionManager,
  PostgresError,
  QueryTimeoutError,
} from "../../shared/postgres/mod.ts";
import { PoolClosedError, ResourcePool } from "../../shared/pool/mod.ts";
import type { Backend } from "../../shared/postgres/cancel.ts";
import { parsePostgresConfig, poolOptions } from "../../shared/postgres/config.ts";
import { ConnectGate } from "../../shared/postgres/connect_gate.ts";
import { Deadlines } from "../../shared/postgres/deadlines.ts";
import { Executor } from "../../shared/postgres/executor.ts";
import { PoolerDetector } from "../../shared/postgres/pooler.ts";
import { SessionFactory } from "../../shared/postgres/session_factory.ts";
import { Sharing } from "../../shared/postgres/sharing.ts";
import { systemClock } from "../../shared/resilience/mod.ts";
import { countedConnection, TestDatabase, thrownBy } from "./support.ts";

const QUICK = "select $1::int as n, pg_backend_pid() as pid";

/** Makes a statement known as a quick one on the only connection of a manager. */
async function learn(manager: PostgresConnectionManager, text: string, values: unknown[] = []): Promise<void> {
  for (let time = 0; time < 3; time++) await manager.query(text, values);
}

Deno.test("statements that share a connection", async (t) => {
  await using database = await TestDatabase.start();
  const admin = database.manager();
  await admin.query("create table gate (n int)");
  await admin.query("insert into gate values (0)");
  const one = () => database.manager({ maxConnections: 1 });

  await t.step("many go out on few connections, and each gets its own answer", async () => {
    const manager = database.manager({ maxConnections: 3 });
    const got = await Promise.all(Array.from({ length: 500 }, (_, n) => manager.query(QUICK, [n])));
    assertEquals(got.map(({ rows }) => rows[0]?.["n"]), Array.from({ length: 500 }, (_, n) => n));
    assert(new Set(got.map(({ rows }) => rows[0]?.["pid"])).size <= 3);
    const { activeConnections, totalConnections } = manager.getStats();
    assertEquals([activeConnections, totalConnections <= 3], [0, true]);
  });

  await t.step("those that waited for the connection share it once it comes", async () => {
    await using counted = countedConnection(database, "superuser");
    const { manager } = counted;
    await learn(manager, QUICK, [1]);
    const holder = await manager.lease();
    const waiting = Array.from({ length: 12 }, (_, n) => manager.query(QUICK, [n]));
    counted.reset();
    holder.release();
    assertEquals(
      (await Promise.all(waiting)).map(({ rows }) => rows[0]?.["n"]),
      Array.from({ length: 12 }, (_, n) => n),
    );
    assert(counted.turns() < 6, `${counted.turns()} round trips`);
  });

  await t.step("one that fails is the only one", async () => {
    const manager = one();
    const text = "select 1 / $1::int as n";
    await learn(manager, text, [1]);
    const got = await Promise.allSettled([1, 0, 1, 0, 1].map((n) => manager.query(text, [n])));
    assertEquals(got.map((result) => result.status === "fulfilled" || result.reason.code), [
      true,
      "22012",
      true,
      "22012",
      true,
    ]);
  });

  await t.step(
    "nothing goes out behind a statement that is not known to be quick, or that may leave something",
    async () => {
      const manager = database.manager({ maxConnections: 2 });
      await learn(manager, QUICK, [1]);
      await Promise.all([manager.query("select pg_sleep(0)"), manager.query(QUICK, [1])]);
      const slow = manager.query("select pg_sleep(0.3)");
      const started = performance.now();
      for (let n = 0; n < 20; n++) await manager.query(QUICK, [n]);
      assert(performance.now() - started < 250, "it waited for the slow one");
      await slow;
      await manager.query("select set_config('my.setting', 'x', false)");
      const settings = await Promise.all(
        Array.from({ length: 10 }, () => manager.query("select current_setting('my.setting', true) as s")),
      );
      assertEquals(settings.map(({ rows }) => rows[0]?.["s"] || null), new Array(10).fill(null));
    },
  );

  await t.step("a transaction has the connection alone", async () => {
    const manager = one();
    await learn(manager, QUICK, [1]);
    const held = "update gate set n = n + 1";
    await learn(manager, held);
    await admin.transaction(async (tx) => {
      await tx.query("select from gate for update");
      const blocked = manager.query(held);
      const behind = [manager.query(QUICK, [1]), manager.query(QUICK, [2])];
      let began = false;
      const transaction = manager.transaction(async (own) => {
        began = true;
        await own.query("select 1");
      });
      // This one ends a lease early, in favour of who waited first: the transaction.
      const after = manager.query(QUICK, [3]);
      await new Promise((resolve) => setTimeout(resolve, 30));
      assertEquals(began, false);
      await tx.commit();
      await Promise.all([blocked, ...behind, transaction, after]);
    });
    await admin.query("update gate set n = 0");
  });

  await t.step("a cancel request hits its own statement, and what it hits besides is sent again", async () => {
    const manager = one();
    const held = "update gate set n = n + 1";
    await learn(manager, held);
    await learn(manager, QUICK, [1]);
    await admin.query("update gate set n = 0");
    await admin.transaction(async (tx) => {
      await tx.query("select from gate for update");
      const blocked = manager.query(held, [], { timeoutMs: 60 });
      const behind = Array.from({ length: 8 }, (_, n) => manager.query(QUICK, [n]));
      await thrownBy(() => blocked, QueryTimeoutError);
      const got = await Promise.all(behind);
      assertEquals(got.map(({ rows }) => rows[0]?.["n"]), [0, 1, 2, 3, 4, 5, 6, 7]);
    });
    assertEquals((await admin.query("select n from gate")).rows, [{ n: 0 }]);
  });

  await t.step("a cancel request that comes late hits the next one, which is sent again", async () => {
    const config = parsePostgresConfig({ ...database.options(), maxConnections: 1, minConnections: 0 });
    const gate = new ConnectGate(systemClock);
    const factory = new SessionFactory(config, gate, new PoolerDetector(config), systemClock);
    const pool = new ResourcePool(factory, poolOptions(config));
    const deadlines = new Deadlines(systemClock);
    const next = "select pg_sleep($1), $2::int as n";
    const held = "update gate set n = n + 1";
    const lock = await admin.lease();
    let sent = false;
    /** Passes a request on once its own statement is over and the next one runs. */
    const late = async ({ processId }: Backend) => {
      await lock.query("commit");
      const runs = "select from pg_stat_activity where pid = $1 and query = $2 and state = 'active'";
      while ((await admin.query(runs, [processId, next])).rows.length === 0) await Promise.resolve();
      await admin.query("select pg_cancel_backend($1)", [processId]);
      return sent = true;
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
    for (let time = 0; time < 3; time++) {
      await executor.query(held);
      await executor.query(next, [0, 0]);
    }
    await lock.query("begin");
    await lock.query("select from gate for update");
    const first = executor.query(held, [], { timeoutMs: 30 });
    const second = executor.query(next, [0.3, 7]);
    assertEquals((await first).rowCount, 1);
    assertEquals([(await second).rows[0]?.["n"], sent], [7, true]);
    lock.release();
    deadlines.stop();
    await pool.shutdown();
  });

  await t.step("one that is given up while others are before it does not hit them", async () => {
    const manager = one();
    const held = "update gate set n = n + 1";
    await learn(manager, held);
    await learn(manager, QUICK, [1]);
    await admin.query("update gate set n = 0");
    const given = new AbortController();
    await admin.transaction(async (tx) => {
      await tx.query("select from gate for update");
      const before = manager.query(held);
      const mine = manager.query(QUICK, [5], { signal: given.signal })
        .then(({ rows }) => rows[0]?.["n"], (error) => error.message);
      await new Promise((resolve) => setTimeout(resolve, 20));
      given.abort(new Error("mine"));
      await new Promise((resolve) => setTimeout(resolve, 20));
      await tx.commit();
      assertEquals((await before).rowCount, 1);
      // It was through before anything could be cancelled, or was cancelled itself.
      const outcome = await mine;
      assert(outcome === 5 || outcome === "mine", String(outcome));
    });
    assertEquals((await admin.query("select n from gate")).rows, [{ n: 1 }]);
  });

  await t.step("when the connection breaks, each learns that its effect is unknown, and no place is lost", async () => {
    const manager = one();
    const held = "update gate set n = n + 1";
    await learn(manager, held);
    await learn(manager, QUICK, [1]);
    await admin.transaction(async (tx) => {
      await tx.query("select from gate for update");
      const running = [manager.query(held), manager.query(QUICK, [1]), manager.query(QUICK, [2])];
      const settled = Promise.allSettled(running);
      await new Promise((resolve) => setTimeout(resolve, 20));
      await tx.query("select pg_terminate_backend(pid) from pg_stat_activity where query = $1 and state = 'active'", [
        held,
      ]);
      for (const result of await settled) {
        assert(result.status === "rejected");
        assert(result.reason instanceof ConnectionLostError || result.reason instanceof PostgresError);
      }
    });
    assertEquals((await manager.query(QUICK, [3])).rows[0]?.["n"], 3);
    const { activeConnections, totalConnections } = manager.getStats();
    assertEquals([activeConnections, totalConnections], [0, 1]);
  });

  await t.step("a shutdown lets them finish", async () => {
    const manager = one();
    const held = "update gate set n = n + 1";
    await learn(manager, held);
    await learn(manager, QUICK, [1]);
    const lock = await admin.lease();
    await lock.query("begin");
    await lock.query("select from gate for update");
    const running = Promise.allSettled([manager.query(held), manager.query(QUICK, [1]), manager.query(QUICK, [2])]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const over = manager.shutdown(5_000);
    await lock.query("commit");
    lock.release();
    const [first, ...behind] = await running;
    await over;
    assertEquals(first?.status, "fulfilled");
    // On a busy machine none may be quick enough to be followed: who waits for a connection is refused, then.
    for (const result of behind) assert(result.status === "fulfilled" || result.reason instanceof PoolClosedError);
  });
});
