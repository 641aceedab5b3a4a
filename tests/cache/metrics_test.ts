/** The metrics of Redis and of caches on a real server: in a MetricsCollector, and in a registry. */
import { assertEquals, assertGreater, assertGreaterOrEqual, assertLessOrEqual, assertRejects } from "@std/assert";
import { LayeredCache, RedisConnection } from "../../shared/cache/mod.ts";
import { MetricsCollector, MetricsRegistry, observeCache, toPrometheusText } from "../../shared/observability/mod.ts";
import { checkMetrics, promtool } from "../support/promtool.ts";
import { redisServer, TestRedis } from "../support/redis.ts";
import { until } from "../support/until.ts";

function withServer(name: string, fn: (server: TestRedis) => Promise<void>): void {
  Deno.test({
    name: `${name}${redisServer.note}`,
    ignore: redisServer.ignore,
    fn: async () => {
      await using server = await TestRedis.start();
      await fn(server);
    },
  });
}

const SLOW = { commandTimeoutMs: 20_000, connectTimeoutMs: 20_000 };

withServer(
  "MetricsCollector.attachRedis() tracks the hits, misses and failures of a RedisConnection",
  async (server) => {
    const collector = new MetricsCollector();
    using connection = new RedisConnection({ url: server.url, ...SLOW });
    const redis = collector.attachRedis(connection);
    const measured: number[] = [];
    const send = async (...commands: (readonly [string, ...(string | number)[]])[]) => {
      const since = performance.now();
      const replies = await redis.send(commands);
      measured.push(performance.now() - since);
      return replies;
    };
    await send(["SET", "a", "1"]);
    assertEquals(await send(["GET", "a"]), ["1"]);
    assertEquals(await send(["GET", "b"]), [null]);
    assertEquals(await send(["MGET", "b", "c"]), [[null, null]]);
    assertEquals(await send(["MGET", "a", "b"]), [["1", null]]);
    await send(["LPUSH", "a", "x"]);
    const { count, failed, errorRate, hits, misses, hitRate, duration } = collector.getMetrics().redis.operation;
    assertEquals([count, failed, errorRate, hits, misses, hitRate], [6, 1, 1 / 6, 2, 2, 0.5]);
    const average = measured.reduce((sum, ms) => sum + ms, 0) / measured.length;
    assertEquals(collector.getMetric("redis.operation.duration.avg"), duration.avg);
    assertLessOrEqual(duration.avg, average + 0.1);
    assertGreater(duration.avg, 0);
    assertLessOrEqual(duration.max, Math.max(...measured) + 0.1);
    await server.kill();
    await until("the connection is lost", () => !connection.state.isConnected);
    await assertRejects(() => redis.send([["GET", "a"]]));
    assertEquals(collector.getMetric("redis.operation.failed"), 2);
    assertEquals(collector.getMetric("redis.operation.misses"), 2);
  },
);

withServer("MetricsCollector takes the same hits and misses from a cache and from its Redis", async (server) => {
  const collector = new MetricsCollector();
  using connection = new RedisConnection({ url: server.url, ...SLOW });
  using cache = new LayeredCache({ redis: collector.attachRedis(connection), memorySeconds: 0 });
  using _attached = collector.attachCache(cache);
  assertEquals(await cache.get("a"), undefined);
  await cache.set("a", { value: 1 }, 60);
  for (let i = 0; i < 3; i++) assertEquals(await cache.get("a"), { value: 1 });
  const { redis, cache: levels } = collector.getMetrics();
  assertEquals([redis.operation.hits, redis.operation.misses], [3, 1]);
  assertEquals([levels.redis.hits, levels.redis.misses, levels.redis.hitRate], [3, 1, 0.75]);
  assertEquals([levels.memory.hits, levels.memory.misses, levels.memory.entries], [0, 4, 1]);
  assertGreater(levels.memory.bytes, 0);
  assertGreaterOrEqual(redis.operation.count, 5);
});

withServer(`observeCache() shows two isolates on one Redis, and its outage${promtool.note}`, async (server) => {
  const registry = new MetricsRegistry();
  const options = { redis: { url: server.url, ...SLOW } };
  using first = new LayeredCache(options);
  using second = new LayeredCache(options);
  await second.get("none");
  using _first = observeCache(registry, first, "first");
  using _second = observeCache(registry, second, "second");
  let loads = 0;
  const load = () => Promise.resolve(++loads);
  assertEquals(await first.getOrLoad("a", load, 60), 1);
  // Memory is kept from when invalidations arrive.
  await until("both are subscribed", () => [first, second].every((cache) => cache.stats().redis?.isSubscribed));
  assertEquals(await second.getOrLoad("a", load, 60), 1);
  const { hits } = second.stats().memory;
  for (let i = 0; i < 5; i++) await second.getOrLoad("a", load, 60);
  const text = toPrometheusText(registry.snapshot());
  const valueOf = (line: string, from = text) =>
    Number(from.split("\n").find((each) => each.startsWith(`${line} `))?.split(" ").at(-1));
  const reads = (name: string, level: string, result: string, from?: string) =>
    valueOf(`cache_reads_total{cache_name="${name}",cache_level="${level}",result="${result}"}`, from);
  assertEquals(reads("second", "memory", "hit"), hits + 5);
  assertEquals(reads("second", "redis", "hit"), second.stats().redis?.hits);
  assertEquals(reads("first", "redis", "miss"), 1);
  assertEquals(valueOf('cache_loads_total{cache_name="first"}'), 1);
  assertEquals(valueOf('cache_loads_total{cache_name="second"}'), 0);
  assertEquals(valueOf('cache_entries{cache_name="second"}'), 1);
  assertEquals(valueOf('cache_redis_connected{cache_name="first"}'), 1);
  if (!promtool.ignore) assertEquals(await checkMetrics(text), { code: 0, output: "" });
  await server.kill();
  await until("the outage is noticed", () => first.stats().redis?.isConnected === false);
  assertEquals(await first.get("b"), undefined);
  const away = toPrometheusText(registry.snapshot());
  assertEquals(valueOf('cache_redis_connected{cache_name="first"}', away), 0);
  assertEquals(reads("first", "redis", "error", away), 1);
  assertEquals(reads("first", "redis", "miss", away), 1);
});
