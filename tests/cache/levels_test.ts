/** The levels of a cache: bounds, counters, messages and options. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  CacheClosedError,
  CacheConfigError,
  CacheKeyError,
  CacheValueError,
  LayeredCache,
} from "../../shared/cache/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { Setting } from "./setting.ts";

Deno.test("values above maxValueBytes are not stored in Redis, and remove what was there", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate({ memory: false, maxValueBytes: 100 });
  await cache.set("k", "old");
  await cache.set("k", "x".repeat(200));
  assertEquals([await cache.get("k"), cache.stats().redis?.tooLarge], [undefined, 1]);
  setting.source = "y".repeat(200);
  assertEquals(await cache.getOrLoad("k", setting.load), setting.source);
  assertEquals([await cache.get("k"), setting.server.names], [undefined, []]);
});

Deno.test("the memory is bounded in values and in bytes", async () => {
  const setting = new Setting();
  const cache = setting.alone({ memory: { maxEntries: 100, maxBytes: 50_000 } });
  for (let index = 0; index < 1_000; index++) {
    await cache.set(`k:${index}`, "x".repeat(1_000), { tags: [`t:${index}`] });
  }
  const { entries, bytes, evictions } = cache.stats().memory;
  assert(entries <= 100 && entries > 10 && bytes <= 50_000, `${entries} ${bytes}`);
  assertEquals(evictions, 1_000 - entries);
  await cache.set("huge", "x".repeat(100_000));
  assertEquals(await cache.get("huge"), undefined);
});

Deno.test("increment() counts in all isolates, keeps the time to live, and rejects what is not a counter", async () => {
  for (const withRedis of [true, false]) {
    const setting = new Setting();
    const one = withRedis ? setting.isolate().cache : setting.alone();
    const other = withRedis ? setting.isolate().cache : one;
    assertEquals([await one.increment("n"), await other.increment("n", 4), await one.get("n")], [1, 5, 5]);
    assertEquals([await other.increment("n", -7), await one.get("n")], [-2, -2]);
    await one.set("s", 10, 60);
    assertEquals([await other.increment("s"), await one.get("s")], [11, 11]);
    await one.increment("ttl", 1, 10);
    await setting.clock.advance(9_000);
    assertEquals(await one.increment("ttl", 1, 10), 2);
    await setting.clock.advance(1_001);
    assertEquals([await one.get("ttl"), await one.get("n")], [undefined, -2]);
    await one.set("grace", 5, { ttlSeconds: 10, graceSeconds: 100 });
    await setting.clock.advance(11_000);
    assertEquals([await one.increment("grace"), await one.get("grace")], [1, 1]);
    await one.set("text", "a");
    await assertRejects(() => one.increment("text"), Error, "not a safe whole number");
    assertEquals(await one.get("text"), "a");
    for (const by of [0.5, NaN, Infinity, 2 ** 53]) {
      await assertRejects(() => one.increment("n", by), Error, "whole number");
    }
  }
});

Deno.test("LayeredCache rejects options and times out of range, and calls after close()", async () => {
  for (
    const options of [
      { memorySeconds: -1 },
      { ttlJitter: 1 },
      { maxValueBytes: 0 },
      { lockMs: 1 },
      { lockWaitMs: NaN },
      { ttlSeconds: -1 },
      { memory: { maxEntries: 0 } },
      { memory: { maxEntries: 1.5 } },
      { memory: { maxBytes: NaN } },
      { name: "a:b" },
      { redis: "http://localhost" },
      { redis: { url: "redis://localhost", commandTimeoutMs: 0 } },
      { redis: { url: "redis://localhost", circuitBreaker: { openMs: 0 } } },
    ]
  ) {
    await assertRejects(async () => await Promise.resolve(new LayeredCache(options)), CacheConfigError);
  }
  const cache = new LayeredCache();
  for (const ttl of [0, -1, NaN, Infinity, 1e12, { staleSeconds: -1 }, { tags: Array.from({ length: 33 }, String) }]) {
    await assertRejects(() => cache.set("k", 1, ttl), CacheConfigError);
    await assertRejects(() => cache.getOrLoad("k", () => 1, ttl), CacheConfigError);
  }
  cache.close();
  cache.close();
  await assertRejects(() => cache.get("k"), CacheClosedError);
  await assertRejects(() => cache.getOrLoad("k", () => 1), CacheClosedError);
  await assertRejects(() => cache.invalidateTags(["t"]), CacheClosedError);
  await assertRejects(() => cache.publish("c", 1), CacheClosedError);
  await assertRejects(() => cache.subscribe("c", () => {}), CacheClosedError);
});

Deno.test("publish() reaches every subscriber once, and a failed handler affects no other", async () => {
  const setting = new Setting();
  const [one, other] = [setting.isolate(), setting.isolate()];
  const received: unknown[] = [];
  await one.cache.subscribe("c", () => {
    throw new Error("ignored");
  });
  await one.cache.subscribe("c", (message) => received.push(["one", message]));
  const subscription = await other.cache.subscribe("c", (message) => received.push(["other", message]));
  await one.cache.publish("c", { at: new Date(0) });
  await settle();
  assertEquals(received, [["one", { at: new Date(0) }], ["other", { at: new Date(0) }]]);
  subscription.unsubscribe();
  await other.cache.publish("c", 2);
  await settle();
  assertEquals(received.slice(2), [["one", 2]]);
  // Another program publishes JSON, and what is not JSON.
  setting.server.run(["PUBLISH", "cache:c:c", '{"plain":true}']);
  setting.server.run(["PUBLISH", "cache:c:c", "not JSON"]);
  setting.server.run(["PUBLISH", "cache:i", "not JSON"]);
  await settle();
  assertEquals([received.slice(3), one.cache.stats().redis?.foreignMessages], [[["one", { plain: true }]], 1]);
});

Deno.test("close() ends the subscriptions of a cache whose connection goes on", async () => {
  const setting = new Setting();
  const [one, other] = [setting.isolate(), setting.isolate()];
  const received: unknown[] = [];
  const subscription = await one.cache.subscribe("c", (message) => received.push(message));
  await one.cache.get("connects");
  await other.cache.publish("c", 1);
  await settle();
  one.cache.close();
  await other.cache.publish("c", 2);
  await other.cache.delete("k");
  await settle();
  subscription.unsubscribe();
  assertEquals([received, one.cache.stats().redis?.receivedInvalidations], [[1], 0]);
});

Deno.test("mset() and mget() of 10,000 keys are sent in parts", async () => {
  const setting = new Setting();
  const { cache, redis } = setting.isolate({ memory: false });
  const sizes: number[] = [];
  const send = redis.send.bind(redis);
  redis.send = (commands) => {
    sizes.push(Math.max(commands.length, commands[0]?.length ?? 0));
    return send(commands);
  };
  const values = Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`k${n}`, n]));
  await cache.mset(values, 60);
  const written = sizes.splice(0);
  assertEquals(await cache.mget(Object.keys(values)), Object.values(values));
  assertEquals([written.length, Math.max(...written)], [79, 257]);
  assert(Math.max(...sizes) <= 129, `${Math.max(...sizes)}`);
});

Deno.test("increment() rejects a value with tags in every level, and leaves it as it is", async () => {
  const setting = new Setting();
  for (const cache of [setting.alone(), setting.isolate().cache]) {
    await cache.set("n", 1, { tags: ["t"], ttlSeconds: 60 });
    await assertRejects(() => cache.increment("n"), CacheKeyError, "without tags");
    assertEquals(await cache.get("n"), 1);
  }
});

Deno.test("close() removes what a cache listens for on a connection that others use", () => {
  const setting = new Setting();
  const { cache, redis } = setting.isolate();
  assertEquals(redis.listeners, 2);
  cache.close();
  cache.close();
  assertEquals(redis.listeners, 0);
});

Deno.test("errors of values name the key of the caller, not that of the isolate", async () => {
  const setting = new Setting();
  const cache = setting.alone();
  const ann = cache.forUser({ jwtClaims: { sub: "ann" }, authMode: "user" });
  for (
    const call of [() => cache.set("~k", () => {}), () => ann.set("~k", () => {}), () => ann.publish("~k", () => {})]
  ) {
    await assertRejects(call, CacheValueError, 'the value of "~k" at $');
  }
  await assertRejects(() => ann.getOrLoad("~k", () => () => {}), CacheValueError, 'the value of "~k" at $');
});

Deno.test("messages of invalidations that no cache has written are counted, and invalidate nothing", async () => {
  const setting = new Setting();
  const { cache, redis } = setting.isolate();
  await cache.set("k", "value");
  await redis.send([["PUBLISH", "cache:i", "nonsense"], ["PUBLISH", "cache:i", "{}"]]);
  await settle();
  assertEquals([cache.stats().redis?.foreignMessages, await cache.get("k")], [2, "value"]);
  assertEquals(cache.stats().redis?.receivedInvalidations, 0);
});

Deno.test("subscription.unsubscribe() of one subscriber leaves the channel to the others, and is idempotent", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate();
  const received: unknown[] = [];
  const first = await cache.subscribe("c", (message) => received.push(`1 ${message}`));
  using _second = await cache.subscribe("c", (message) => received.push(`2 ${message}`));
  first.unsubscribe();
  first.unsubscribe();
  await cache.publish("c", "x");
  assertEquals(received, ["2 x"]);
});

Deno.test("forUser() has one cache for the frozen claims of a caller, whose identity is computed once", async () => {
  const cache = new Setting().alone();
  const jwtClaims = Object.freeze({ sub: "ann", role: "authenticated" });
  await cache.forUser({ jwtClaims, authMode: "user" }).set("k", 1);
  assertEquals(await cache.forUser({ jwtClaims, authMode: "user" }).get("k"), 1);
  assertEquals(await cache.forUser({ jwtClaims: { ...jwtClaims }, authMode: "user" }).get("k"), 1);
});

Deno.test("values that share a tag are read by other isolates, until the tag is invalidated", async () => {
  const setting = new Setting();
  const [one, two] = [setting.isolate().cache, setting.isolate().cache];
  await one.set("a", 1, { tags: ["t"] });
  await one.set("b", 2, { tags: ["t", "u"] });
  assertEquals(await two.mget(["a", "b"]), [1, 2]);
  await two.invalidateTags(["t"]);
  assertEquals(await setting.isolate().cache.mget(["a", "b"]), [undefined, undefined]);
});

Deno.test("mset() and invalidateTags() in parts leave nothing in memory that was read while they ran", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate({ memory: { maxEntries: 5 } });
  const keys = Array.from({ length: 300 }, (_, index) => `k${index}`);
  const rows = (value: string) => Object.fromEntries(keys.map((key) => [key, value]));
  await cache.mset(rows("old"));
  const writing = cache.mset(rows("new"));
  const during = cache.get("k200");
  await writing;
  assert(["old", "new"].includes(String(await during)));
  assertEquals(await cache.get("k200"), "new");
  for (const key of keys) await cache.set(key, "tagged", { tags: [key] });
  const removing = cache.invalidateTags(keys);
  await cache.get("k290");
  await removing;
  assertEquals(await cache.get("k290"), undefined);
  assert(setting.server.longest <= 3 * 128, `${setting.server.longest} commands at once`);
});
