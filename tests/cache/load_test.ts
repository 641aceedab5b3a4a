/** Loads of `getOrLoad` on a fake clock, with isolates that share a fake Redis. */
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { type CacheLoadOptions, CacheValueError } from "../../shared/cache/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { Setting } from "./setting.ts";

Deno.test("getOrLoad() makes one load of 1,000 concurrent misses, in the isolate and across isolates", async () => {
  const setting = new Setting();
  setting.takesMs = 30;
  const isolates = Array.from({ length: 8 }, () => setting.isolate().cache);
  const values = await setting.during(
    Promise.all(isolates.flatMap((cache) => Array.from({ length: 125 }, () => cache.getOrLoad("k", setting.load, 60)))),
  );
  assertEquals([new Set(values), values.length, setting.loads], [new Set(["value"]), 1_000, 1]);
  assertEquals(setting.server.names.filter((name) => name.startsWith("cache:l:")), []);
});

Deno.test("getOrLoad() of others goes on a bounded time after the isolate that loads was killed", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate({ lockMs: 2_000 });
  setting.server.set("cache:l:k", "of a killed isolate", 2_000);
  const start = setting.clock.now();
  assertEquals(await setting.during(cache.getOrLoad("k", setting.load, 60)), "value");
  const waitedMs = setting.clock.now() - start;
  assert(waitedMs >= 1_900 && waitedMs <= 2_200, `${waitedMs} ms`);
  assertEquals(cache.stats().redis?.lockWaits, 1);
});

Deno.test("getOrLoad() keeps the lock of a load that takes longer than lockMs", async () => {
  const setting = new Setting();
  setting.takesMs = 7_000;
  const [one, other] = [setting.isolate({ lockMs: 1_000 }).cache, setting.isolate({ lockMs: 1_000 }).cache];
  const first = one.getOrLoad("k", setting.load, 60);
  const second = other.getOrLoad("k", setting.load, 60);
  assertEquals(await setting.during(Promise.all([first, second])), ["value", "value"]);
  assertEquals(setting.loads, 1);
});

Deno.test("getOrLoad() waits at most lockWaitMs for another isolate, then loads for itself and stores nothing", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate({ lockWaitMs: 300, memory: false });
  setting.server.set("cache:l:k", "of another isolate");
  const start = setting.clock.now();
  assertEquals(await setting.during(cache.getOrLoad("k", setting.load, 60)), "value");
  assert(setting.clock.now() - start <= 450);
  assertEquals([setting.server.get("cache:v:k"), cache.stats().redis?.lockTimeouts], [null, 1]);
});

Deno.test("getOrLoad() of a holder that was frozen past its lock does not overwrite a newer value (fencing)", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate({ memory: false });
  setting.takesMs = 50;
  const loading = cache.getOrLoad("k", setting.load, 60);
  await settle();
  // The lock expired, and another isolate has it.
  setting.server.set("cache:l:k", "another token");
  setting.server.set("cache:v:k", '[1,9000000,9000000,9000000,0,"newer"]');
  assertEquals(await setting.during(loading), "value");
  assertEquals(await cache.get("k"), "newer");
});

Deno.test("getOrLoad() stores nothing that was loaded before set() or delete(), here or in another isolate", async () => {
  for (const where of ["here", "there"] as const) {
    for (const change of ["set", "delete", "invalidateTags"] as const) {
      const setting = new Setting();
      setting.takesMs = 50;
      const [one, other] = [setting.isolate().cache, setting.isolate().cache];
      const cache = where === "here" ? one : other;
      await other.get("connects");
      const loading = one.getOrLoad("k", setting.load, { ttlSeconds: 60, tags: ["t"] });
      await setting.clock.advance(10);
      if (change === "set") await cache.set("k", "newer", 60);
      else if (change === "delete") await cache.delete("k");
      else await cache.invalidateTags(["t"]);
      await settle();
      setting.takesMs = 0;
      setting.source = "loaded later";
      // A call after the change does not get what was read before it.
      const later = one.getOrLoad("k", setting.load, 60);
      await setting.during(Promise.all([loading, later]));
      const expected = change === "set" ? "newer" : "loaded later";
      assertEquals([await later, await one.get("k"), await other.get("k")], [expected, expected, expected]);
    }
  }
});

const STALE: CacheLoadOptions = { ttlSeconds: 10, staleSeconds: 20, graceSeconds: 100 };

Deno.test("getOrLoad() returns a stale value at once and loads it again once, in the background", async () => {
  for (const withRedis of [true, false]) {
    const setting = new Setting();
    const caches = withRedis ? [setting.isolate().cache, setting.isolate().cache] : [setting.alone()];
    const [cache] = caches;
    assert(cache);
    await cache.getOrLoad("k", setting.load, STALE);
    await setting.clock.advance(11_000);
    assertEquals(await cache.get("k"), undefined);
    setting.source = "newer";
    setting.takesMs = 50;
    const stale = caches.flatMap((each) => [each, each].map((cache) => cache.getOrLoad("k", setting.load, STALE)));
    assertEquals(new Set(await Promise.all(stale)), new Set(["value"]));
    assertEquals(await cache.getOrLoad("k", setting.load, STALE), "value");
    await setting.clock.advance(100);
    assertEquals([setting.loads, cache.stats().staleHits > 0], [2, true]);
    for (const each of caches) assertEquals(await each.getOrLoad("k", setting.load, STALE), "newer");
    assertEquals(setting.loads, 2);
  }
});

Deno.test("getOrLoad() returns the old value within graceSeconds if the loader fails, and tries again a second later", async () => {
  for (const withRedis of [true, false]) {
    const setting = new Setting();
    const cache = withRedis ? setting.isolate().cache : setting.alone();
    await cache.getOrLoad("k", setting.load, STALE);
    await setting.clock.advance(40_000);
    setting.failure = new Error("The source is down");
    assertEquals(await cache.getOrLoad("k", setting.load, STALE), "value");
    assertEquals(await cache.getOrLoad("k", setting.load, STALE), "value");
    assertEquals([setting.loads, cache.stats().graceHits, cache.stats().failedLoads], [2, 1, 1]);
    assertEquals([await cache.get("k"), await cache.exists("k")], [undefined, false]);
    await setting.clock.advance(1_001);
    assertEquals([await cache.getOrLoad("k", setting.load, STALE), setting.loads], ["value", 3]);
    await setting.clock.advance(100_000);
    await assertRejects(() => cache.getOrLoad("k", setting.load, STALE), Error, "The source is down");
    await cache.delete("k");
    await assertRejects(() => cache.getOrLoad("k", setting.load, STALE), Error, "The source is down");
  }
});

Deno.test("getOrLoad() passes on the error of the loader to all who wait, caches none, and releases the lock", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate();
  setting.takesMs = 10;
  setting.failure = new Error("no");
  const results = await setting.during(
    Promise.allSettled([1, 2, 3].map(() => cache.getOrLoad("k", setting.load, 60))),
  );
  assertEquals(results.map(({ status }) => status), ["rejected", "rejected", "rejected"]);
  assertEquals([setting.loads, setting.server.names], [1, []]);
  setting.failure = undefined;
  assertEquals(await setting.during(cache.getOrLoad("k", setting.load, 60)), "value");
});

Deno.test("getOrLoad() caches null and undefined for negativeSeconds", async () => {
  for (const absent of [null, undefined]) {
    const setting = new Setting();
    const { cache } = setting.isolate();
    setting.source = absent;
    for (let turn = 0; turn < 3; turn++) {
      assertEquals(await cache.getOrLoad("k", setting.load, { ttlSeconds: 100, negativeSeconds: 7 }), absent);
    }
    assertEquals([setting.loads, await cache.exists("k")], [1, true]);
    await setting.clock.advance(7_001);
    assertEquals([await cache.exists("k"), await cache.getOrLoad("k", setting.load), setting.loads], [
      false,
      absent,
      2,
    ]);
  }
});

Deno.test("getOrLoad() shortens the time to live by ttlJitter at random; set() does not", async () => {
  const setting = new Setting();
  const cache = setting.alone({ random: () => 0.5, ttlJitter: 0.2 });
  await cache.getOrLoad("loaded", setting.load, 100);
  await cache.set("set", 1, 100);
  await setting.clock.advance(89_000);
  assertEquals([await cache.exists("loaded"), await cache.exists("set")], [true, true]);
  await setting.clock.advance(2_000);
  assertEquals([await cache.exists("loaded"), await cache.exists("set")], [false, true]);
});

Deno.test("getOrLoad() ends the wait of a caller whose signal aborts, and the load goes on for others", async () => {
  const setting = new Setting();
  const cache = setting.alone();
  setting.takesMs = 50;
  const controller = new AbortController();
  const ended = cache.getOrLoad("k", setting.load, { signal: controller.signal });
  const other = cache.getOrLoad("k", setting.load);
  const reason = new Error("The caller has gone");
  controller.abort(reason);
  assertStrictEquals(await ended.catch((error) => error), reason);
  assertEquals([await setting.during(other), setting.loads], ["value", 1]);
  await assertRejects(() => cache.getOrLoad("new", setting.load, { signal: controller.signal }));
  assertEquals(setting.loads, 1);
});

Deno.test("getOrLoad() rejects a value that cannot be cached, by name", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate();
  setting.source = new Date();
  Object.setPrototypeOf(setting.source, null);
  setting.source = { row: /x/ };
  await assertRejects(() => cache.getOrLoad("k", setting.load), CacheValueError, "at $.row");
  assertEquals(setting.server.names, []);
});

Deno.test("forUser().getOrLoad() loads again with the request of a caller whose other request ended", async () => {
  const setting = new Setting();
  const cache = setting.alone().forUser({ jwtClaims: { sub: "a" }, authMode: "user" });
  const { promise, reject } = Promise.withResolvers<string>();
  const ended = cache.getOrLoad("k", () => promise);
  const others = [1, 2, 3].map(() => cache.getOrLoad("k", setting.load));
  reject(new Error("The scope was closed"));
  await assertRejects(() => ended, Error, "The scope was closed");
  assertEquals([await Promise.all(others), setting.loads], [["value", "value", "value"], 1]);
});

Deno.test("forUser() keeps what a background load uses by ctx.waitUntil", async () => {
  const setting = new Setting();
  const kept: Promise<unknown>[] = [];
  const waitUntil = (promise: Promise<unknown>) => void kept.push(promise);
  const cache = setting.alone().forUser({ jwtClaims: { sub: "a" }, authMode: "user", waitUntil });
  await cache.getOrLoad("k", setting.load, STALE);
  await setting.clock.advance(11_000);
  setting.failure = new Error("ignored");
  assertEquals([await cache.getOrLoad("k", setting.load, STALE), kept.length], ["value", 1]);
  await Promise.all(kept);
  assertEquals(setting.loads, 2);
});

Deno.test("getOrLoad() returns a stale value also when ctx.waitUntil throws", async () => {
  const setting = new Setting();
  const waitUntil = () => {
    throw new TypeError("The response has been sent");
  };
  const cache = setting.alone().forUser({ jwtClaims: { sub: "a" }, authMode: "user", waitUntil });
  await cache.getOrLoad("k", setting.load, STALE);
  await setting.clock.advance(11_000);
  assertEquals(await cache.getOrLoad("k", setting.load, STALE), "value");
  await settle();
  assertEquals(setting.loads, 2);
});

Deno.test("getOrLoad() shares the load in the background when the value is not stale any more before it ends", async () => {
  for (const fails of [false, true]) {
    for (const withRedis of [true, false]) {
      const setting = new Setting();
      const cache = withRedis ? setting.isolate().cache : setting.alone();
      await cache.set("k", "old", { ttlSeconds: 1, staleSeconds: 1 });
      await setting.clock.advance(1_500);
      setting.takesMs = 5_000;
      if (fails) setting.failure = new Error("of the first load");
      assertEquals(await cache.getOrLoad("k", setting.load, 60), "old");
      await setting.clock.advance(1_000);
      const later = [1, 2, 3].map(() => cache.getOrLoad("k", setting.load, 60));
      await setting.clock.advance(1);
      setting.failure = undefined;
      assertEquals(await setting.during(Promise.all(later)), ["value", "value", "value"]);
      assertEquals([setting.loads, await cache.get("k")], [fails ? 2 : 1, "value"]);
    }
  }
});
