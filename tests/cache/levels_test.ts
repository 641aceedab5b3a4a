/** The levels of a cache: bounds, counters, messages and options. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { AsyncLocalStorage } from "node:async_hooks";
import {
  CacheClosedError,
  CacheConfigError,
  CacheKeyError,
  type CacheSubscription,
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

Deno.test("set() with tags keeps its order with later calls of its key, in memory and in Redis", async () => {
  const setting = new Setting();
  const tagged = { tags: ["t"], ttlSeconds: 60 };
  for (const memory of [{}, false] as const) {
    const { cache } = setting.isolate({ memory });
    const later: readonly (readonly [call: () => Promise<unknown>, expected: unknown])[] = [
      [() => cache.set("k", 2, 60), 2],
      [() => cache.set("k", 2, tagged), 2],
      [() => cache.mset({ k: 2, other: 3 }, tagged), 2],
      [() => cache.delete("k"), undefined],
      [() => cache.invalidateTags(["t"]), undefined],
      // Another tag is no reason to lose the value.
      [() => cache.invalidateTags(["u"]), 1],
    ];
    for (const [call, expected] of later) {
      await cache.set("k", 0, 60);
      await Promise.all([cache.set("k", 1, tagged), call()]);
      assertEquals(await cache.get("k"), expected);
      await setting.clock.advance(5_001);
      assertEquals(await cache.get("k"), expected, "Redis has another value than the memory");
    }
  }
});

Deno.test("set() and delete() without tags run in the order of their calls", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate();
  await Promise.all([cache.set("k", 1), cache.delete("k")]);
  assertEquals([await cache.get("k"), setting.server.get("cache:v:k")], [undefined, null]);
});

Deno.test("set() with tags leaves no older value in memory that was read before Redis had the new one", async () => {
  const setting = new Setting();
  const { cache, redis } = setting.isolate();
  await cache.set("k", "old", { tags: ["t"] });
  const writing = cache.set("k", "new", { tags: ["t"] });
  // The memory is dropped: messages may have been lost.
  redis.resubscribe();
  await Promise.all([writing, cache.get("k")]);
  assertEquals(await cache.get("k"), "new");
});

Deno.test("values in memory do not outlive their time when the clock is set back", async () => {
  const setting = new Setting();
  let step = 3_600_000;
  for (const withRedis of [true, false]) {
    const wallClock = () => setting.clock.now() + step;
    const options = { wallClock, memorySeconds: 5 };
    const cache = withRedis ? setting.isolate(options).cache : setting.alone(options);
    await cache.set("k", "value", { ttlSeconds: 60, graceSeconds: 60 });
    await cache.set("date", new Date(0), 60);
    await cache.increment("n");
    // As small as the corrections of every clock: nothing is lost.
    step -= 500;
    assertEquals(await cache.get("k"), "value");
    step -= 3_000_000;
    await setting.clock.advance(121_000);
    assertEquals(await cache.mget(["k", "date"]), [undefined, undefined]);
    // What does not expire does not depend on the clock.
    assertEquals(await cache.increment("n"), 2);
    setting.source = `loaded ${step}`;
    assertEquals(await cache.getOrLoad("k", setting.load, 60), setting.source);
    assertEquals(await cache.getOrLoad("k", setting.load, 60), setting.source);
    step = 3_600_000;
  }
  assertEquals(setting.loads, 2);
});

Deno.test("increment() with a time to live counts also where the clock has fractions of a ms", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate({ wallClock: () => setting.clock.now() + 0.25 });
  assertEquals([await cache.increment("n", 1, 10), await cache.get("n"), await cache.increment("n", 1, 10)], [1, 1, 2]);
});

Deno.test("the bound of the memory in bytes counts tags, and members that have no text", async () => {
  const maxBytes = 1_000_000;
  const values = {
    tags: [1, { tags: Array.from({ length: 32 }, (_, index) => `${index}`.padEnd(1_000, "x")) }],
    null: [Array.from({ length: 10_000 }, () => null)],
    true: [Array.from({ length: 10_000 }, () => true)],
    empty: [Array.from({ length: 10_000 }, () => "")],
    map: [new Map(Array.from({ length: 2_000 }, (_, index) => [index, index]))],
    set: [new Set(Array.from({ length: 2_000 }, (_, index) => index))],
  } as const;
  for (const withRedis of [true, false]) {
    for (const [name, [value, options]] of Object.entries(values)) {
      const setting = new Setting();
      const writer = withRedis ? setting.isolate().cache : setting.alone({ memory: { maxBytes } });
      const reader = withRedis ? setting.isolate({ memory: { maxBytes } }).cache : writer;
      for (let index = 0; index < 50; index++) await writer.set(`k:${index}`, value, options);
      for (let index = 0; index < 50; index++) await reader.get(`k:${index}`);
      const { entries, bytes } = reader.stats().memory;
      assert(bytes <= maxBytes && entries < 25, `${name}: ${entries} values of ${bytes} bytes`);
    }
  }
});

Deno.test("close() leaves nothing in memory, also of what was under way", async () => {
  const setting = new Setting();
  setting.takesMs = 10;
  for (const cache of [setting.isolate().cache, setting.alone()]) {
    const calls = [
      cache.getOrLoad("loaded", setting.load, 60),
      cache.mset(Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`k${index}`, index]))),
      cache.get("read"),
    ];
    cache.close();
    await setting.during(Promise.all(calls));
    assertEquals([cache.stats().memory.entries, cache.stats().memory.bytes, setting.clock.timers], [0, 0, 0]);
    await assertRejects(() => cache.get("loaded"), CacheClosedError);
  }
});

Deno.test("subscribe() calls its handler outside of the publisher's async context, and not after unsubscribe()", async () => {
  const setting = new Setting();
  const [one, other] = [setting.isolate().cache, setting.isolate().cache];
  const context = new AsyncLocalStorage<string>();
  const contexts: unknown[] = [];
  const subscriptions: CacheSubscription[] = [];
  const handler = () => {
    contexts.push(context.getStore());
    for (const each of subscriptions) each.unsubscribe();
  };
  await context.run("subscriber", async () => {
    for (let index = 0; index < 2; index++) subscriptions.push(await one.subscribe("c", handler));
  });
  await context.run("publisher", () => one.publish("c", 1));
  assertEquals(contexts, [undefined]);
  subscriptions.push(await one.subscribe("c", handler));
  await context.run("publisher", () => other.publish("c", 1));
  await settle();
  assertEquals(contexts, [undefined, undefined]);
});

Deno.test("all times that Redis gets are whole numbers, as it requires", async () => {
  const setting = new Setting();
  const { cache, redis } = setting.isolate({ lockMs: 100.5, wallClock: () => setting.clock.now() + 0.25 });
  const numbers: number[] = [];
  const send = redis.send.bind(redis);
  redis.send = (commands) => {
    numbers.push(...commands.flat().filter((part) => typeof part === "number"));
    return send(commands);
  };
  setting.takesMs = 200;
  const options = { ttlSeconds: 0.0123, staleSeconds: 0.0004, graceSeconds: 1 / 3, tags: ["t"] };
  await setting.during(cache.getOrLoad("k", setting.load, options));
  await cache.set("k", 1, options);
  await cache.increment("n", 1, 0.0123);
  assertEquals([numbers.length > 10, numbers.filter((number) => !Number.isInteger(number))], [true, []]);
});
