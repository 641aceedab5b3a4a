import { assert, assertEquals } from "@std/assert";
import {
  ConnectionLostError,
  PostgresConnectionManager,
  PostgresError,
  QueryTimeoutError,
} from "../../shared/postgres/mod.ts";
import { PoolClosedError } from "../../shared/pool/mod.ts";
import type { BackendKey } from "../../shared/postgres/connection/cancel.ts";
import { countedConnection, loneExecutor, TestDatabase, thrownBy } from "./support.ts";

const QUICK = "select $1::int as n, pg_backend_pid() as pid";

/** Makes a statement known as a quick one on the only connection of a manager. */
async function learn(manager: PostgresConnectionManager, text: string, values: unknown[] = []): Promise<void> {
  for (let time = 0; time < 20; time++) await manager.query(text, values);
}

Deno.test("manager.query() on shared connections", async (t) => {
  await using database = await TestDatabase.start();
  const admin = database.manager();
  await admin.query("create table gate (n int)");
  await admin.query("insert into gate values (0)");
  // By its text it only reads, and it waits for the holder of the row.
  const held = "select touch()";
  await admin.query(
    "create function touch() returns void language plpgsql as $$ begin update gate set n = n + 1; end $$",
  );
  const one = () => database.manager({ maxConnections: 1 });

  await t.step(
    "query() sends many statements on few connections, and resolves each with its own response",
    async () => {
      const manager = database.manager({ maxConnections: 3 });
      const got = await Promise.all(Array.from({ length: 500 }, (_, n) => manager.query(QUICK, [n])));
      assertEquals(got.map(({ rows }) => rows[0]?.["n"]), Array.from({ length: 500 }, (_, n) => n));
      assert(new Set(got.map(({ rows }) => rows[0]?.["pid"])).size <= 3);
      const { activeConnections, totalConnections } = manager.getStats();
      assertEquals([activeConnections, totalConnections <= 3], [0, true]);
    },
  );

  await t.step("query() shares a connection that becomes available among waiters", async () => {
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

  await t.step("query() fails alone on a shared connection", async () => {
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
    "query() sends nothing behind a statement that is not known to be quick, or may leave state",
    async () => {
      const manager = database.manager({ maxConnections: 2 });
      await learn(manager, QUICK, [1]);
      await Promise.all([manager.query("select pg_sleep(0)"), manager.query(QUICK, [1])]);
      await admin.transaction(async (tx) => {
        await tx.query("select pg_advisory_xact_lock(1)");
        const slow = manager.query("select pg_advisory_xact_lock(1)");
        // One that waits for the slow one reaches its timeout.
        for (let n = 0; n < 20; n++) await manager.query(QUICK, [n]);
        await tx.commit();
        await slow;
      });
      await manager.query("select set_config('my.setting', 'x', false)");
      const settings = await Promise.all(
        Array.from({ length: 10 }, () => manager.query("select current_setting('my.setting', true) as s")),
      );
      assertEquals(settings.map(({ rows }) => rows[0]?.["s"] || null), new Array(10).fill(null));
    },
  );

  await t.step("transaction() has its connection alone", async () => {
    const manager = one();
    await learn(manager, QUICK, [1]);
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

  await t.step("query() resends what a cancel request for another statement hits", async () => {
    const manager = one();
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

  await t.step("query() resends the next statement when a late cancel request hits it", async () => {
    // It takes a while, and only reads.
    const next = "select count(*)::int as counted, $2::int as n from generate_series(1, $1::int)";
    const lock = await admin.lease();
    let sent = false;
    /** Passes a request on once its own statement is over and the next one runs. */
    const late = async ({ processId }: BackendKey) => {
      await lock.query("commit");
      const runs = "select from pg_stat_activity where pid = $1 and query = $2 and state = 'active'";
      for (const end = performance.now() + 5_000; performance.now() < end && !sent;) {
        sent = (await admin.query(runs, [processId, next])).rows.length > 0;
      }
      if (sent) await admin.query("select pg_cancel_backend($1)", [processId]);
      return true;
    };
    await using lone = loneExecutor(database, late);
    const { executor } = lone;
    for (let time = 0; time < 3; time++) {
      await executor.query(held);
      await executor.query(next, [1, 0]);
    }
    // On a loaded machine, the next statement may end before it is seen.
    for (let attempt = 0; attempt < 20 && !sent; attempt++) {
      await lock.query("begin");
      await lock.query("select from gate for update");
      const [first, second] = await Promise.all([
        executor.query(held, [], { timeoutMs: 200 }),
        executor.query(next, [8_000_000, 7]),
      ]);
      assertEquals([first.rowCount, second.rows[0]?.["n"]], [1, 7]);
    }
    assertEquals(sent, true);
    lock.release();
  });

  await t.step(
    "query() rejects at once when it is aborted behind other statements, and cancels none of them",
    async () => {
      const manager = one();
      await learn(manager, held);
      await learn(manager, QUICK, [1]);
      await admin.query("update gate set n = 0");
      const given = new AbortController();
      await admin.transaction(async (tx) => {
        await tx.query("select from gate for update");
        const before = manager.query(held);
        const aborted = thrownBy(() => manager.query(QUICK, [5], { signal: given.signal }), RangeError);
        const late = thrownBy(() => manager.query(QUICK, [6], { timeoutMs: 20 }), QueryTimeoutError);
        const after = manager.query(QUICK, [7]);
        setTimeout(() => given.abort(new RangeError("mine")), 10);
        await Promise.all([aborted, late]);
        await tx.commit();
        assertEquals((await before).rowCount, 1);
        assertEquals((await after).rows[0]?.["n"], 7);
      });
      assertEquals((await admin.query("select n from gate")).rows, [{ n: 1 }]);
      const { activeConnections, totalCreated } = manager.getStats();
      assertEquals([activeConnections, totalCreated], [0, 1]);
    },
  );

  await t.step("lease() waits for statements on a shared connection for at most acquireTimeoutMs", async () => {
    const manager = one();
    await learn(manager, held);
    await learn(manager, QUICK, [1]);
    await admin.transaction(async (tx) => {
      await tx.query("select from gate for update");
      const before = manager.query(held);
      const given = new AbortController();
      const waiting = [
        manager.lease({ acquireTimeoutMs: 30 }),
        manager.query("select 'unknown'", [], { acquireTimeoutMs: 30 }),
        manager.transaction((own) => own.query("select 1"), { signal: given.signal, acquireTimeoutMs: 60_000 }),
      ];
      // The first of those who wait is given a connection that is not empty.
      const behind = manager.query(QUICK, [1]);
      const mine = new Error("mine");
      setTimeout(() => given.abort(mine), 60);
      const outcomes = await Promise.allSettled(waiting);
      const codes = outcomes.map((outcome) => outcome.status === "rejected" && (outcome.reason.code ?? outcome.reason));
      assertEquals(codes, ["ACQUIRE_TIMEOUT", "ACQUIRE_TIMEOUT", mine]);
      await tx.commit();
      await Promise.all([before, behind]);
    });
    assertEquals(manager.getStats().activeConnections, 0);
    assertEquals((await manager.query(QUICK, [3])).rows[0]?.["n"], 3);
  });

  await t.step(
    "query() sends writes alone, and everything with maxStatementsInFlight 1",
    async () => {
      const writes = one();
      const insert = "insert into gate select 0 from gate where false";
      const alone = database.manager({ maxConnections: 1, maxStatementsInFlight: 1 });
      for (const [manager, text] of [[writes, insert], [alone, "select 1"]] as const) {
        await learn(manager, text);
        const running = Array.from({ length: 10 }, () => manager.query(text));
        assertEquals(manager.getStats().waitingForConnection, 9);
        await Promise.all(running);
      }
      const shared = one();
      await learn(shared, "select 1");
      const running = Array.from({ length: 3 }, () => shared.query("select 1"));
      assertEquals(shared.getStats().waitingForConnection, 0);
      await Promise.all(running);
    },
  );

  await t.step(
    "query() rejects every statement of a broken connection with an unknown effect, and frees its slot",
    async () => {
      const manager = one();
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
    },
  );

  await t.step("query() takes another connection where the one it waits on breaks", async () => {
    const manager = one();
    const text = "select count(*)::int as n, min(pg_backend_pid()) as pid from generate_series(1, $1::int)";
    await learn(manager, text, [1]);
    const pid = (await manager.query(text, [1])).rows[0]?.["pid"];
    const slow = thrownBy(() => manager.query(text, [2_000_000_000]), PostgresError);
    const waiting = manager.query("insert into gate values (1) returning n, pg_backend_pid() as pid");
    await admin.query("select pg_terminate_backend($1, 5000)", [pid]);
    assertEquals((await slow).code, "57P01");
    const { rows } = await waiting;
    assertEquals(rows[0]?.["n"], 1);
    assert(rows[0]?.["pid"] !== pid);
    await admin.query("delete from gate where n = 1");
  });

  await t.step("shutdown() rejects what waits for statements on a shared connection with PoolClosedError", async () => {
    const kinds: Record<string, (manager: PostgresConnectionManager) => Promise<unknown>> = {
      lease: (manager) => manager.lease(),
      query: (manager) => manager.query("select 'unknown'"),
      function: (manager) => manager.transaction((own) => own.query("select 1")),
      list: (manager) => manager.transaction([{ query: "select 1" }]),
    };
    for (const [kind, run] of Object.entries(kinds)) {
      const manager = one();
      await learn(manager, held);
      await learn(manager, QUICK, [1]);
      await admin.transaction(async (tx) => {
        await tx.query("select from gate for update");
        const blocked = manager.query(held);
        const waiting = thrownBy(() => run(manager), PoolClosedError);
        // It ends the lease of the blocked statement early, in favor of the first waiter.
        const behind = Promise.allSettled([blocked, manager.query(QUICK, [1])]);
        await new Promise((resolve) => setTimeout(resolve, 20));
        assertEquals(manager.getStats().activeConnections, 1);
        const shutdown = manager.shutdown(0);
        await tx.commit();
        await waiting.catch((error) => {
          throw new Error(kind, { cause: error });
        });
        await Promise.all([behind, shutdown]);
      });
    }
  });

  await t.step("shutdown() lets shared statements finish", async () => {
    const manager = one();
    await learn(manager, held);
    await learn(manager, QUICK, [1]);
    const lock = await admin.lease();
    await lock.query("begin");
    await lock.query("select from gate for update");
    const running = Promise.allSettled([manager.query(held), manager.query(QUICK, [1]), manager.query(QUICK, [2])]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const over = manager.shutdown(60_000);
    await lock.query("commit");
    lock.release();
    const [first, ...behind] = await running;
    await over;
    assertEquals(first?.status, "fulfilled");
    // On a busy machine none may be quick enough to be followed: who waits for a connection is refused, then.
    for (const result of behind) assert(result.status === "fulfilled" || result.reason instanceof PoolClosedError);
  });
});
