import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import {
  AcquireTimeoutError,
  CreateFailedError,
  DoubleReleaseError,
  LeaseReleasedError,
  PoolClosedError,
  QueueFullError,
} from "../../shared/pool/mod.ts";
import {
  ConnectionBrokenError,
  PostgresConnectionManager,
  PostgresError,
  type PostgresHealth,
  PostgresPools,
  QueryTimeoutError,
} from "../../shared/postgres/mod.ts";
import { retry } from "../../shared/resilience/mod.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { until } from "./chaos/rig.ts";
import { TestDatabase, thrownBy } from "./support.ts";

/** Returns the number of running statements with this text. */
async function running(admin: PostgresConnectionManager, text: string): Promise<number> {
  const { rows } = await admin.query("select from pg_stat_activity where state = 'active' and query = $1", [text]);
  return rows.length;
}

Deno.test("PostgresConnectionManager", async (t) => {
  await using database = await TestDatabase.start();
  const admin = database.manager();

  await t.step("lease() gives a connection to one holder, and clears it for the next", async () => {
    const manager = database.manager({ maxConnections: 1 });
    const client = await manager.connect();
    try {
      await client.query("set work_mem = '9MB'");
      await client.query("begin");
      await client.query("select pg_advisory_lock(5)");
      assertEquals((await client.query("show work_mem")).rows, [{ work_mem: "9MB" }]);
      await thrownBy(() => manager.query("select 1", [], { acquireTimeoutMs: 20 }), AcquireTimeoutError);
    } finally {
      client.release();
    }
    await thrownBy(() => client.query("select 1"), LeaseReleasedError);
    await thrownBy(() => Promise.resolve().then(() => client.release()), DoubleReleaseError);
    await using next = await manager.lease();
    assertEquals((await next.query("show work_mem")).rows, [{ work_mem: "4MB" }]);
    assertEquals((await next.query("select from pg_locks where locktype = 'advisory'")).rows, []);
    assertEquals(manager.getStats().totalCreated, 1);
    assertEquals(await next.transaction(async (tx) => (await tx.query("select 1 as n")).rows), [{ n: 1 }]);
  });

  await t.step("release() closes a connection that is released as broken", async () => {
    const manager = database.manager({ maxConnections: 1 });
    for (const broken of [true, new Error("seen")]) (await manager.connect()).release(broken);
    await until("both are closed", () => manager.getStats().totalDestroyed === 2);
    assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
  });

  await t.step("query() rejects with QueryTimeoutError, canceled at the server, and keeps the connection", async () => {
    const manager = database.manager({ maxConnections: 1, queryTimeoutMs: 40 });
    const text = "select pg_sleep(60)";
    const started = performance.now();
    await thrownBy(() => manager.query(text), QueryTimeoutError);
    assert(performance.now() - started < 30_000);
    assertEquals(await running(admin, text), 0);
    assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
    assertEquals(manager.getStats().totalCreated, 1);
  });

  await t.step("query() rejects with the reason of its signal, and nothing runs on", async () => {
    const manager = database.manager({ maxConnections: 1 });
    const reason = new RangeError("mine");
    for (
      const work of [
        (signal: AbortSignal) => manager.query("select pg_sleep(21)", [], { signal }),
        (signal: AbortSignal) => manager.transaction((tx) => tx.query("select pg_sleep(21)"), { signal }),
        (signal: AbortSignal) => manager.transaction([{ query: "select pg_sleep(21)" }], { signal }),
        async (signal: AbortSignal) => {
          await using client = await manager.lease();
          await client.query("select pg_sleep(21)", [], { signal });
        },
      ]
    ) {
      const given = new AbortController();
      const outcome = thrownBy(() => work(given.signal), RangeError);
      await until("it runs", async () => await running(admin, "select pg_sleep(21)") === 1);
      given.abort(reason);
      assertStrictEquals(await outcome, reason);
      assertEquals(await running(admin, "select pg_sleep(21)"), 0);
      const early = AbortSignal.abort(reason);
      await thrownBy(() => work(early), Error);
    }
    assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
    assertEquals([manager.getStats().totalCreated, manager.getStats().activeConnections], [1, 0]);
  });

  await t.step(
    "PostgresConnectionManager replaces a connection that breaks idle; a leased one fails its holder only",
    async () => {
      const manager = database.manager({ maxConnections: 2, minConnections: 2 });
      const errors: Error[] = [];
      manager.on("error", ({ error }) => errors.push(error));
      await until("both are there", () => manager.getStats().idleConnections === 2);
      const { rows } = await manager.query("select pg_backend_pid() as pid");
      await admin.query("select pg_terminate_backend($1)", [rows[0]?.["pid"]]);
      await until("it is replaced", () => manager.getStats().totalCreated === 3);
      assertEquals((errors[0]?.cause as PostgresError).code, "57P01");

      const client = await manager.connect();
      const { rows: [mine] } = await client.query("select pg_backend_pid() as pid");
      await admin.query("select pg_terminate_backend($1)", [mine?.["pid"]]);
      await until("the lease aborts", () => client.signal.aborted);
      await thrownBy(() => client.query("select 1"), ConnectionBrokenError);
      client.release();
      assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
    },
  );

  await t.step("healthCheck() runs at its interval, and concurrent calls share one check", async () => {
    const manager = database.manager({ maxConnections: 2, healthCheckIntervalMs: 50 });
    const checks: PostgresHealth[] = [];
    manager.on("healthCheck", (health) => checks.push(health));
    await until("a check", () => checks.some(({ healthy }) => healthy));
    const [one, two] = await Promise.all([manager.healthCheck(), manager.healthCheck()]);
    assertStrictEquals(one, two);
    assertEquals([one.healthy, one.stats.maxConnections], [true, 2]);
  });

  await t.step("healthCheck() is healthy while every connection is leased", async () => {
    const manager = database.manager({ maxConnections: 2, maxWaiters: 1 });
    const leases = [await manager.lease(), await manager.lease()];
    const waiting = manager.lease();
    await thrownBy(() => manager.lease(), QueueFullError);
    const before = manager.getStats();
    const { healthy, stats } = await manager.healthCheck();
    assertEquals([healthy, stats.activeConnections, stats.idleConnections, stats.waitingForConnection], [
      true,
      2,
      0,
      1,
    ]);
    assertEquals(manager.getStats(), before);
    for (const lease of leases) lease.release();
    (await waiting).release();
  });

  await t.step(
    "executeQueryWithRetry() retries what had no effect, and the rest only if it is idempotent",
    async () => {
      await admin.query("create table run (n int)");
      await admin.query("create sequence attempt");
      await admin.query(
        "create function flaky(code text, until int) returns int language plpgsql as $$ begin " +
          "if nextval('attempt') < until then raise exception using errcode = code, message = 'flaky'; end if; return 1; end $$",
      );
      const manager = database.manager({ maxConnections: 2 });
      const attempts: string[] = [];
      const run = async (code: string, options: { idempotent?: boolean }, retries = 3) => {
        await admin.query("alter sequence attempt restart");
        attempts.length = 0;
        const onRetry = ({ kind }: { kind: string }) => attempts.push(kind);
        return await manager.executeQueryWithRetry<{ n: number }>("select flaky($1, 3) as n", [code], retries, 1, {
          ...options,
          onRetry,
        }).then(({ rows }) => rows[0]?.n, (error) => error.code);
      };
      assertEquals([await run("40001", {}), attempts.length], [1, 2]);
      assertEquals([await run("55P03", {}), attempts.length], [1, 2]);
      assertEquals([await run("40001", {}, 1), attempts.length], ["40001", 1]);
      assertEquals([await run("08006", {}), attempts.length], ["08006", 0]);
      assertEquals([await run("08006", { idempotent: true }), attempts], [1, ["ambiguous", "ambiguous"]]);
      assertEquals([await run("23505", { idempotent: true }), attempts.length], ["23505", 0]);

      await admin.query("alter sequence attempt restart");
      const results = await manager.executeTransactionWithRetry(
        [{ query: "insert into run values (1)" }, { query: "select flaky('40P01', 3)" }, {
          query: "insert into run values (2)",
        }],
        3,
        1,
      );
      assertEquals(results.map(({ command }) => command), ["INSERT", "SELECT", "INSERT"]);
      assertEquals((await admin.query("select n from run order by n")).rows, [{ n: 1 }, { n: 2 }]);
    },
  );

  await t.step(
    "executeQueryWithRetry(), transaction() and retry() inside one another add up their attempts",
    async () => {
      const manager = database.manager({ maxConnections: 1 });
      const attemptsOf = async (operation: () => Promise<unknown>) => {
        await admin.query("alter sequence attempt restart");
        const error = await thrownBy(() => retry(operation, { retries: 3, delayMs: 1 }), PostgresError);
        assertEquals(error.code, "40001");
        const { rows: [row] } = await admin.query<{ last: string }>("select last_value as last from attempt");
        return Number(row?.last);
      };
      const fail = "select flaky('40001', 99)";
      assertEquals(await attemptsOf(() => manager.query(fail)), 4);
      assertEquals(await attemptsOf(() => manager.executeQueryWithRetry(fail, [], 3, 1)), 4);
      assertEquals(await attemptsOf(() => manager.transaction((tx) => tx.query(fail), { retries: 3 })), 4);
      assertEquals(await attemptsOf(() => manager.executeTransactionWithRetry([{ query: fail }], 3, 1)), 4);
    },
  );

  await t.step("executeQueryWithRetry() ends its delay when its signal aborts", async () => {
    const manager = database.manager({ maxConnections: 1 });
    await admin.query("alter sequence attempt restart");
    const given = new AbortController();
    const started = performance.now();
    const onRetry = () => setTimeout(() => given.abort(new RangeError("mine")), 10);
    const outcome = manager.executeQueryWithRetry("select flaky('40001', 99)", [], 3, 30_000, {
      signal: given.signal,
      onRetry,
    });
    await thrownBy(() => outcome, RangeError);
    assert(performance.now() - started < 15_000);
  });

  await t.step("lease() rejects all waiters of a refused login at once, and backs off", async () => {
    const { host, port } = database.options();
    await using proxy = await TcpProxy.start({ host, port });
    const manager = database.manager({ port: proxy.port, password: "hunter2", acquireTimeoutMs: 60_000 });
    const errors: Error[] = [];
    manager.on("error", ({ error }) => errors.push(error));
    const started = performance.now();
    for (let time = 0; time < 20; time++) {
      const [error] = await Promise.all(
        Array.from({ length: 10 }, () => thrownBy(() => manager.query("select 1"), CreateFailedError)),
      );
      assert(error);
      assertInstanceOf(error.cause, PostgresError);
      assertEquals(error.cause.code, "28P01");
      assert(!Deno.inspect(error, { depth: 9 }).includes("hunter2"));
    }
    const tookMs = performance.now() - started;
    assert(tookMs < 20_000, "it waited");
    // Another attempt may start beside one that takes 300 ms, and 1 s after a refusal.
    assert(proxy.accepted <= 1 + tookMs / 300, `${proxy.accepted} attempts in ${tookMs} ms`);
    assertEquals(errors.length, proxy.accepted);
    assert(!Deno.inspect(manager, { depth: 9, showHidden: true }).includes("hunter2"));
    assert(!JSON.stringify(manager.config).includes("hunter2"));
  });

  await t.step("query() shares the existing connections when the server accepts no more", async () => {
    await admin.query("create role few login password 'few' connection limit 2");
    const manager = database.manager({ user: "few", password: "few", maxConnections: 6, acquireTimeoutMs: 60_000 });
    const got = await Promise.all(
      Array.from({ length: 30 }, (_, n) => manager.query("select $1::int as n, pg_sleep(0.005)", [n])),
    );
    assertEquals(got.map(({ rows }) => rows[0]?.["n"]), Array.from({ length: 30 }, (_, n) => n));
    const { totalCreated } = manager.getStats();
    assert(totalCreated <= 2, `${totalCreated} were created`);
  });

  await t.step("query() prepares nothing and sets nothing for longer in pool mode transaction", async () => {
    const manager = database.manager({ maxConnections: 1, poolMode: "transaction" });
    for (let n = 0; n < 3; n++) assertEquals((await manager.query("select $1::int as n", [n])).rows, [{ n }]);
    assertEquals((await manager.query("select from pg_prepared_statements")).rows, []);
    assertEquals(manager.getStats().poolMode, "transaction");
    await thrownBy(() => manager.query("select pg_sleep(20)", [], { timeoutMs: 30 }), QueryTimeoutError);
    // A late request could hit another client's statement: the connection is not used again.
    assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
    assertEquals(manager.getStats().totalCreated, 2);
    assertEquals(admin.getStats().poolMode, "session");
    assertEquals(database.manager({ port: 6543, acquireTimeoutMs: 1 }).getStats().poolMode, "transaction");
  });

  await t.step("PostgresPools gives each priority its own limits", async () => {
    const own = database.options();
    await using pools = new PostgresPools(
      { ...own, healthCheckIntervalMs: 0 },
      { highPriority: { maxConnections: 1, minConnections: 0 }, admin: { maxConnections: 2 } },
    );
    assertEquals(pools.getStats(), {});
    const { limits: { maxConnections, minConnections } } = pools.getPool("lowPriority");
    assertEquals([maxConnections, minConnections], [10, 2]);
    assertEquals(pools.getPool("lowPriority").config.idleTimeoutMs, 60_000);
    assertEquals(pools.getPool("lowPriority").config.connectionTimeoutMs, 5_000);
    assertEquals(pools.getPool("admin").limits.maxConnections, 2);
    assertStrictEquals(pools.getPool(), pools.getPool("highPriority"));
    assertStrictEquals(pools.getPool("nonsense" as "admin"), pools.getPool("highPriority"));
    await using _held = await pools.getPool().lease();
    assertEquals((await pools.getPool("admin").query("select 1 as n")).rows, [{ n: 1 }]);
    const defaults = new PostgresPools();
    assertEquals(defaults.getPool("highPriority").limits.maxConnections, 30);
    assertEquals(defaults.getPool("highPriority").limits.minConnections, 10);
    assertEquals(defaults.getPool("admin").limits.maxConnections, 5);
    await defaults.shutdown(0);
    await thrownBy(() => defaults.getPool("admin").query("select 1"), PoolClosedError);
  });
});
