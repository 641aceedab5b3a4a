import { assert, assertEquals, assertRejects } from "@std/assert";
import { MetricsCollector, metricsCollector } from "../../../shared/observability/mod.ts";
import { settle } from "../../support/fake_clock.ts";
import { testPool } from "../../support/pool.ts";
import { createRig } from "../../supabase/support.ts";

Deno.test("metricsCollector has the names and arguments of the specification", () => {
  metricsCollector.trackPostgresQuery(100, false, false);
  metricsCollector.trackRedisOperation(50, false, true);
  metricsCollector.trackPrismaQuery(200, false);
  metricsCollector.updatePostgresPoolMetrics(10, 5, 5, 0);
  metricsCollector.updateRedisMetrics(1024 * 1024, 5);
  const metrics = metricsCollector.getMetrics();
  assertEquals(metrics.postgres.pool, { total: 10, active: 5, idle: 5, waiting: 0 });
  assertEquals([metrics.redis.memoryBytes, metrics.redis.clients], [1_048_576, 5]);
  assertEquals(metricsCollector.getMetric("postgres.query.duration.avg"), 100);
  assertEquals(metricsCollector.getMetric("redis.operation.hitRate"), 1);
  assertEquals(metricsCollector.getMetric("prisma.query.count"), 1);
});

Deno.test("MetricsCollector.getMetrics() is 0 throughout at first", () => {
  const numbers = (value: unknown): unknown[] =>
    typeof value === "object" && value !== null ? Object.values(value).flatMap(numbers) : [value];
  const all = numbers(new MetricsCollector().getMetrics());
  assertEquals([all.length > 40, new Set(all)], [true, new Set([0])]);
});

Deno.test("MetricsCollector takes averages, extremes, percentiles and shares", () => {
  const collector = new MetricsCollector();
  assertEquals(collector.getMetric("postgres.query.duration.p99"), 0);
  assertEquals(collector.getMetric("redis.operation.hitRate"), 0);
  for (let ms = 1; ms <= 100; ms++) collector.trackPostgresQuery(ms, ms > 90, ms > 95);
  const { query } = collector.getMetrics().postgres;
  assertEquals([query.count, query.failed, query.errorRate, query.slow], [100, 10, 0.1, 5]);
  assertEquals([query.duration.avg, query.duration.min, query.duration.max], [50.5, 1, 100]);
  assertEquals([query.duration.p50, query.duration.p95, query.duration.p99].map(Math.round), [50, 95, 99]);
  collector.trackRedisOperation(1, false, true);
  collector.trackRedisOperation(1, false, false);
  collector.trackRedisOperation(1, true, true);
  const { operation } = collector.getMetrics().redis;
  assertEquals([operation.hits, operation.misses, operation.hitRate, operation.failed], [1, 1, 0.5, 1]);
});

Deno.test("MetricsCollector survives numbers that are none, and paths that lead nowhere", () => {
  const collector = new MetricsCollector();
  for (const bad of [NaN, -5, Infinity, 5n, "5", null, Symbol("s")] as unknown as number[]) {
    collector.trackPostgresQuery(bad, false, false);
    collector.updatePostgresPoolMetrics(bad, bad, bad, bad);
    collector.updateRedisMetrics(bad, bad);
  }
  assertEquals(collector.getMetric("postgres.query.count"), 7);
  assertEquals(collector.getMetric("postgres.query.duration.avg"), 0);
  assertEquals(collector.getMetric("postgres.pool.total"), 0);
  for (
    const path of ["", "postgres", "postgres.query.none", "constructor.name", "__proto__", "postgres.query.count.x"]
  ) {
    assertEquals(collector.getMetric(path), undefined);
  }
  for (const path of [undefined, null, 7, Symbol("s"), Object.create(null)] as unknown as string[]) {
    assertEquals(collector.getMetric(path), undefined);
  }
});

Deno.test("MetricsCollector.attachPostgres() takes the calls and connections of a pool until it is disposed of", async () => {
  await using rig = createRig();
  const collector = new MetricsCollector();
  const attached = collector.attachPostgres(rig.pool, { slowMs: 0 });
  await using lease = await rig.pool.lease();
  await lease.client.from("budgets").select();
  await settle();
  assertEquals(collector.getMetrics().postgres.query.count, 1);
  assertEquals(collector.getMetric("postgres.query.slow"), 1);
  assertEquals(collector.getMetric("postgres.pool.active"), 1);
  attached[Symbol.dispose]();
  await lease.client.from("budgets").select();
  await settle();
  assertEquals(collector.getMetrics().postgres.query.count, 1);
});

Deno.test("MetricsCollector.attachPostgres() takes statements, and not their transaction", async () => {
  const collector = new MetricsCollector();
  let observe: unknown;
  const stats = { activeConnections: 2, idleConnections: 1, waitingForConnection: 3, totalCreated: 3 };
  using _attached = collector.attachPostgres({
    getStats: () => stats,
    observeStatements: (recorder) => {
      observe = recorder.observe;
      return { [Symbol.dispose]: () => {} };
    },
  });
  const run = observe as (work: unknown, times: unknown, run: () => Promise<unknown>) => Promise<unknown>;
  const times = { waitedMs: 1, connectMs: 2, executionMs: 1_500 };
  assertEquals(await run({ kind: "statement", texts: [] }, times, () => Promise.resolve(7)), 7);
  const error = new Error("taken");
  await assertRejects(() => run({ kind: "list", texts: [] }, times, () => Promise.reject(error)), Error, "taken");
  await run({ kind: "transaction", texts: [] }, times, () => Promise.resolve());
  // It takes as long as what is slow, and less.
  for (const executionMs of [997, 996]) {
    await run({ kind: "statement", texts: [] }, { ...times, executionMs }, () => Promise.resolve());
  }
  const { query, pool } = collector.getMetrics().postgres;
  assertEquals([query.count, query.failed, query.slow, query.duration.max], [4, 1, 3, 1_503]);
  assertEquals(pool, { total: 3, active: 2, idle: 1, waiting: 3 });
});

Deno.test("MetricsCollector takes no percentile for less than the minimum or more than the maximum", () => {
  const collector = new MetricsCollector();
  collector.trackPostgresQuery(100, false, false);
  const { p50, p95, p99 } = collector.getMetrics().postgres.query.duration;
  assertEquals([p50, p95, p99], [100, 100, 100]);
  collector.trackPostgresQuery(90_000, false, true);
  assertEquals(collector.getMetric("postgres.query.duration.p99"), 30_000);
});

Deno.test("MetricsCollector.attachPostgres() ends with the pool, whose connections are gone then", async () => {
  const { pool } = testPool({ maxConnections: 2 });
  const collector = new MetricsCollector();
  const attached = collector.attachPostgres(pool);
  (await pool.lease()).release();
  assertEquals(collector.getMetric("postgres.pool.total"), 1);
  await pool.shutdown();
  await settle();
  assertEquals(collector.getMetrics().postgres.pool, { total: 0, active: 0, idle: 0, waiting: 0 });
  collector.updatePostgresPoolMetrics(3, 2, 1, 0);
  attached[Symbol.dispose]();
  assertEquals(collector.getMetric("postgres.pool.total"), 3);
});

Deno.test("MetricsCollector.attachPostgres() counts a pool once that is attached twice", async () => {
  await using rig = createRig();
  const collector = new MetricsCollector();
  const attached = collector.attachPostgres(rig.pool);
  const again = collector.attachPostgres(rig.pool);
  await using lease = await rig.pool.lease();
  await lease.client.from("budgets").select();
  await settle();
  assertEquals([collector.getMetric("postgres.query.count"), collector.getMetric("postgres.pool.active")], [1, 1]);
  again[Symbol.dispose]();
  assertEquals(collector.getMetric("postgres.pool.active"), 1);
  attached[Symbol.dispose]();
  assertEquals(collector.getMetric("postgres.pool.active"), 0);
  using _back = collector.attachPostgres(rig.pool);
  assertEquals(collector.getMetric("postgres.pool.active"), 1);
});

Deno.test("MetricsCollector.getMetrics() survives a pool without statistics", () => {
  const collector = new MetricsCollector();
  using _broken = collector.attachPostgres({
    getStats: () => {
      throw new Error("closed");
    },
  });
  const stats = { activeConnections: 2, idleConnections: 1, waitingForConnection: 0, totalCreated: 3 };
  using _working = collector.attachPostgres({ getStats: () => stats });
  assertEquals(collector.getMetric("postgres.pool.active"), 2);
});

Deno.test("MetricsCollector.attachRedis() tracks what is sent, and passes everything else on", async () => {
  const collector = new MetricsCollector();
  class Redis {
    #closed = false;
    replies: unknown[] | Error = ["value"];
    send(_: readonly unknown[]): Promise<unknown[]> {
      return this.replies instanceof Error ? Promise.reject(this.replies) : Promise.resolve(this.replies);
    }
    close() {
      this.#closed = true;
    }
    get closed() {
      return this.#closed;
    }
  }
  const redis = new Redis();
  const tracked = collector.attachRedis(redis);
  const send = async (replies: unknown[], ...commands: unknown[][]) => {
    redis.replies = replies;
    return await tracked.send(commands);
  };
  assertEquals(await send(["value"], ["GET", "a"]), ["value"]);
  await send([["x", null]], ["mget", "a", "b"]);
  await send([null], ["GET", "a"]);
  await send([[null, null]], ["MGET", "a", "b"]);
  await send([0], ["EXISTS", "a"]);
  await send([[]], ["HGETALL", "a"]);
  // What only writes finds nothing, and misses nothing.
  await send(["OK", 1], ["SET", "a", "b"], ["PUBLISH", "c", "d"]);
  await send(["OK", null], ["SET", "a", "b"], ["GET", "c"]);
  await send(["PONG"], [7], "PING" as unknown as unknown[]);
  await send([new Error("WRONGTYPE")], ["GET", "a"]);
  redis.replies = new Error("down");
  await assertRejects(() => tracked.send([["SET", "a", "b"]]), Error, "down");
  const { count, failed, hits, misses, hitRate } = collector.getMetrics().redis.operation;
  assertEquals([count, failed, hits, misses, hitRate], [11, 2, 2, 5, 2 / 7]);
  tracked.close();
  assert(redis.closed && tracked.closed);
});
