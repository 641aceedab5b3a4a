/** Reads of one turn that share a write although other connections are free. */
import { assertEquals, assertInstanceOf } from "@std/assert";
import { ConnectionLostError, type PostgresConfig, PostgresConnectionManager } from "../../shared/postgres/mod.ts";
import { classifyFailure, type Clock, systemClock } from "../../shared/resilience/mod.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { until } from "../support/until.ts";
import { TestDatabase } from "./support.ts";

const QUICK = "select $1::int as n, pg_backend_pid() as pid";
const SLOW = "select 2 as n, pg_backend_pid() as pid";
const VOLATILE = "select counted() as n, pg_backend_pid() as pid";

Deno.test("manager.query() shares a write while connections are free", async (t) => {
  await using database = await TestDatabase.start();
  const admin = database.manager();
  await admin.query("create sequence counter");
  await admin.query("create function counted() returns int language sql as $$ select nextval('counter')::int $$");
  let now = 0;
  // Statements take what the test says, however loaded the machine is.
  const clock: Clock = { now: () => now, setTimer: systemClock.setTimer };

  async function open(config: Partial<PostgresConfig> = {}): Promise<PostgresConnectionManager> {
    const manager = new PostgresConnectionManager(
      {
        ...database.options(),
        minConnections: 10,
        maxConnections: 10,
        healthCheckIntervalMs: 0,
        connectionTimeoutMs: 20_000,
        acquireTimeoutMs: 20_000,
        ...config,
      },
      { clock },
    );
    const leases = await Promise.all(Array.from({ length: 10 }, () => manager.lease()));
    // Each connection has prepared them, and knows how long they take.
    for (const lease of leases) {
      for (let time = 0; time < 3; time++) {
        await lease.query(QUICK, [1]);
        await lease.query(VOLATILE);
        const slow = lease.query(SLOW);
        now += 3;
        await slow;
      }
    }
    for (const lease of leases) lease.release();
    // The server is asked in the background whether they write.
    while (!manager.onlyReads(QUICK) || !manager.onlyReads(SLOW)) await manager.query("select 1");
    for (const text of [QUICK, SLOW]) await manager.query(text, text === QUICK ? [1] : []);
    await manager.query("select 1");
    return manager;
  }

  /** Runs statements in one turn, and returns for each the number of its connection, in order of appearance. */
  async function connectionsOf(manager: PostgresConnectionManager, texts: readonly string[]): Promise<number[]> {
    const got = await Promise.all(texts.map((text) => manager.query(text, text === QUICK ? [7] : [])));
    const pids = got.map(({ rows }) => rows[0]?.["pid"]);
    return pids.map((pid) => [...new Set(pids)].indexOf(pid));
  }

  await t.step("by five quick reads each, and resolves each with its own response", async () => {
    await using manager = await open();
    assertEquals(await connectionsOf(manager, new Array(12).fill(QUICK)), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2]);
    const got = await Promise.all(Array.from({ length: 12 }, (_, n) => manager.query(QUICK, [n])));
    assertEquals(got.map(({ rows }) => rows[0]?.["n"]), Array.from({ length: 12 }, (_, n) => n));
    const { activeConnections, idleConnections } = manager.getStats();
    assertEquals([activeConnections, idleConnections], [0, 10]);
  });

  await t.step("of reads that fail alone", async () => {
    await using manager = await open();
    const values = ["1", "x", "2"];
    const got = await Promise.allSettled(values.map((value) => manager.query(QUICK, [value])));
    assertEquals(got.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
  });

  await t.step("not behind or before what takes a while, or may write", async () => {
    await using manager = await open();
    assertEquals(await connectionsOf(manager, [QUICK, SLOW, QUICK, SLOW]), [0, 1, 0, 2]);
    assertEquals(await connectionsOf(manager, [SLOW, QUICK, QUICK]), [0, 1, 1]);
    assertEquals(await connectionsOf(manager, [VOLATILE, QUICK, VOLATILE, QUICK]), [0, 1, 2, 1]);
  });

  await t.step("not with what runs in a transaction, or on a lease", async () => {
    await using manager = await open();
    const first = connectionsOf(manager, [QUICK, QUICK]);
    const leased = manager.lease();
    const transaction = manager.transaction((tx) => tx.query(QUICK, [1]));
    const [pid] = (await transaction).rows.map((row) => row["pid"]);
    await using lease = await leased;
    assertEquals(await first, [0, 0]);
    assertEquals((await lease.query(QUICK, [1])).rows[0]?.["pid"] === pid, false);
  });

  await t.step("not with those of another lane", async () => {
    await using manager = await open();
    const got = await Promise.all(
      (["normal", "high", "high", "normal", undefined] as const).map((lane) => manager.query(QUICK, [1], { lane })),
    );
    const pids = got.map(({ rows }) => rows[0]?.["pid"]);
    const [normal, high] = pids;
    assertEquals(pids.map((pid) => pid === normal), [true, false, false, false, false]);
    assertEquals([pids[2] === high, pids[3] === high, pids[4] === pids[3]], [true, false, true]);
  });

  await t.step("of which an aborted one ends alone", async () => {
    await using manager = await open();
    for (const aborted of [0, 1, 4]) {
      const controller = new AbortController();
      const calls = Array.from(
        { length: 5 },
        (_, n) => manager.query(QUICK, [n], n === aborted ? { signal: controller.signal } : {}),
      );
      controller.abort(new Error("the caller has left"));
      // A cancel request is on its way to the first: what comes now uses another connection.
      calls.push(manager.query(QUICK, [5]));
      const got = await Promise.allSettled(calls);
      const numbers = got.map((each) => each.status === "fulfilled" ? each.value.rows[0]?.["n"] : undefined);
      assertEquals(numbers.filter((_, n) => n !== aborted), [0, 1, 2, 3, 4, 5].filter((n) => n !== aborted));
      const at = got[aborted];
      // One that had finished before the request arrived resolves.
      if (at?.status === "rejected") assertEquals(at.reason.message, "the caller has left");
    }
    // The lease of one that had not begun ends when the server has answered it, after its caller has left.
    await until("every lease has ended", () => manager.getStats().activeConnections === 0);
  });

  await t.step("not with a read that is being canceled", async () => {
    await using manager = await open();
    const controller = new AbortController();
    const first = manager.query(QUICK, [1], { signal: controller.signal }).catch(() => undefined);
    const second = manager.query(QUICK, [2]);
    controller.abort(new Error("the caller has left"));
    const third = manager.query(QUICK, [3]);
    const [, shared, own] = await Promise.all([first, second, third]);
    assertEquals(shared.rows[0]?.["pid"] === own.rows[0]?.["pid"], false);
  });

  await t.step("of which each rejects with an error of its own when the connection breaks", async () => {
    const { host, port } = database.options();
    await using proxy = await TcpProxy.start({ host, port });
    await using manager = await open({ port: proxy.port });
    let broken = 0;
    proxy.tap = (from, _bytes, connection) => {
      if (from === "client" && broken++ === 0) connection.reset();
    };
    const got = await Promise.allSettled(Array.from({ length: 7 }, (_, n) => manager.query(QUICK, [n])));
    const errors = got.flatMap((each) => each.status === "rejected" ? [each.reason] : []);
    // Five of one write; the others are on another connection.
    assertEquals([errors.length, new Set(errors).size], [5, 5]);
    for (const error of errors) assertInstanceOf(error, ConnectionLostError);
    // Reads may run twice.
    assertEquals(errors.map(classifyFailure), new Array(5).fill("ambiguous"));
    assertEquals((await manager.query(QUICK, [9])).rows[0]?.["n"], 9);
    assertEquals(manager.getStats().activeConnections, 0);
  });

  await t.step("and observes each", async () => {
    await using manager = await open();
    const seen: string[] = [];
    using _subscription = manager.observeStatements({
      async observe(work, _times, run) {
        const result = await run();
        seen.push(...work.texts);
        return result;
      },
    });
    assertEquals(await connectionsOf(manager, [QUICK, QUICK, QUICK]), [0, 0, 0]);
    assertEquals(seen, [QUICK, QUICK, QUICK]);
  });

  await t.step("not with maxStatementsInFlight: 1", async () => {
    await using manager = await open({ maxStatementsInFlight: 1 });
    assertEquals(await connectionsOf(manager, [QUICK, QUICK, QUICK]), [0, 1, 2]);
  });
});
