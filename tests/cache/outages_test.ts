/** Outages of Redis: what is lost, and what is sent again. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { CacheUnavailableError, RedisReplyError } from "../../shared/cache/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { FakeRedis } from "./fake_redis.ts";
import { Setting } from "./setting.ts";

Deno.test("in an outage each isolate makes one load of a key for memorySeconds, and increment() alone fails", async () => {
  const setting = new Setting();
  const { cache, redis } = setting.isolate();
  redis.isDown = true;
  setting.takesMs = 10;
  const values = await setting.during(
    Promise.all(Array.from({ length: 1_000 }, () => cache.getOrLoad("k", setting.load, 60))),
  );
  assertEquals([values.length, setting.loads], [1_000, 1]);
  assertEquals(await cache.getOrLoad("k", setting.load, 60), "value");
  const stats = cache.stats().redis;
  assert(stats && stats.failedReads > 0 && stats.misses === 0, "an outage is not a miss");
  await cache.set("s", 1);
  assertEquals([await cache.get("s"), await cache.delete("s"), await cache.get("s")], [1, true, undefined]);
  await assertRejects(() => cache.increment("n"), CacheUnavailableError);
  await cache.invalidateTags(["t"]);
  await cache.publish("c", 1);
});

Deno.test("invalidations of an outage reach Redis after it, also those whose reply was lost", async () => {
  const setting = new Setting();
  const { cache, redis } = setting.isolate();
  const { cache: other } = setting.isolate();
  for (const key of ["deleted", "changed", "tagged", "kept"]) await cache.set(key, "old", { tags: [key] });
  redis.isDown = true;
  await cache.delete("deleted");
  await cache.set("changed", "new");
  await cache.invalidateTags(["tagged"]);
  redis.isDown = false;
  // Not sent yet: this isolate reads nothing of them.
  for (const key of ["deleted", "tagged"]) assertEquals(await cache.get(key), undefined, key);
  redis.up();
  await settle();
  for (const each of [cache, other]) {
    assertEquals([await each.get("deleted"), await each.get("tagged"), await each.get("kept")], [
      undefined,
      undefined,
      "old",
    ]);
    assert(await each.get("changed") !== "old");
  }
  assertEquals(cache.stats().redis?.pendingInvalidations, 0);
  redis.losesReplies = true;
  await cache.set("kept", "new");
  redis.up();
  await settle();
  assert(await other.get("kept") !== "old");
});

Deno.test("an isolate drops its memory when messages arrive again after some may have been lost", async () => {
  const setting = new Setting();
  const [one, other] = [setting.isolate(), setting.isolate()];
  await other.cache.set("k", "old", 60);
  assertEquals(await one.cache.get("k"), "old");
  one.redis.isDeaf = true;
  await other.cache.set("k", "new", 60);
  // Bounded by memorySeconds without messages, and at once with them.
  assertEquals(await one.cache.get("k"), "old");
  one.redis.resubscribe();
  assertEquals(await one.cache.get("k"), "new");
  one.redis.isDeaf = true;
  await other.cache.set("k", "newest", 60);
  await setting.clock.advance(5_001);
  assertEquals(await one.cache.get("k"), "newest");
});

Deno.test("a full Redis costs neither a value nor the lock of a load", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate({ memory: false });
  await cache.set("k", "old");
  setting.server.isFull = true;
  await cache.set("k", "new");
  assertEquals(await cache.get("k"), undefined);
  assertEquals(await cache.getOrLoad("k", setting.load), "value");
  assert((cache.stats().redis?.full ?? 0) >= 2);
  setting.server.isFull = false;
  assertEquals([await cache.getOrLoad("k", setting.load), await cache.get("k")], ["value", "value"]);
});

Deno.test("an invalidation that Redis rejects for a while is sent again on the same connection", async () => {
  const setting = new Setting();
  const [one, other] = [setting.isolate(), setting.isolate()];
  await one.cache.set("k", "old", 3_600);
  await one.cache.set("tagged", "old", { ttlSeconds: 3_600, tags: ["t"] });
  setting.server.isMisconfigured = true;
  await one.cache.delete("k");
  await one.cache.invalidateTags(["t"]);
  await setting.clock.advance(3_000);
  assertEquals(one.cache.stats().redis?.pendingInvalidations, 2);
  setting.server.isMisconfigured = false;
  await setting.clock.advance(1_000);
  assertEquals(one.cache.stats().redis?.pendingInvalidations, 0);
  for (const { cache } of [one, other]) assertEquals(await cache.mget(["k", "tagged"]), [undefined, undefined]);
  assertEquals(setting.clock.timers, 0);
});

Deno.test("each pending invalidation sends a message of its own key", async () => {
  const setting = new Setting();
  const { cache, redis } = setting.isolate();
  const messages: string[] = [];
  await new FakeRedis(setting.server).subscribe("cache:i", (message) => messages.push(message));
  redis.isDown = true;
  await cache.mset({ a: 1, b: 2, c: 3 });
  redis.up();
  await settle();
  assertEquals(messages.map((message) => JSON.parse(message).keys), [["a"], ["b"], ["c"]]);
});

Deno.test("locks that are to be given up displace no invalidation of an outage", async () => {
  const setting = new Setting();
  const { cache, redis } = setting.isolate({ memory: { maxEntries: 20_000, maxBytes: 1e9 } });
  const keys = Array.from({ length: 10_010 }, (_, index) => `k:${index}`);
  await cache.mset(Object.fromEntries(keys.map((key) => [key, 1])), { ttlSeconds: 1, staleSeconds: 1_000 });
  await cache.set("deleted", "old", 3_600);
  await setting.clock.advance(6_000);
  redis.isDown = true;
  await cache.delete("deleted");
  await Promise.all(keys.map((key) => cache.getOrLoad(key, setting.load)));
  await settle();
  assertEquals([setting.loads, cache.stats().redis?.pendingInvalidations], [keys.length, 1]);
  redis.up();
  await settle();
  assertEquals([setting.server.get("cache:v:deleted"), cache.stats().redis?.lostInvalidations], [null, 0]);
});

Deno.test("a load of an isolate without messages does not overwrite what another one set or deleted meanwhile", async () => {
  for (const change of ["set", "delete"] as const) {
    const setting = new Setting();
    const [one, other] = [setting.isolate({ memory: false }), setting.isolate({ memory: false })];
    one.redis.isDeaf = true;
    setting.takesMs = 50;
    const loading = one.cache.getOrLoad("k", setting.load, 60);
    await setting.clock.advance(10);
    if (change === "set") await other.cache.set("k", "newer", 60);
    else await other.cache.delete("k");
    assertEquals(await setting.during(loading), "value");
    const expected = change === "set" ? "newer" : undefined;
    assertEquals([await one.cache.get("k"), await other.cache.get("k")], [expected, expected]);
  }
});

Deno.test("getOrLoad() releases the lock of a value that Redis, full meanwhile, does not store", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate();
  setting.takesMs = 50;
  const loading = cache.getOrLoad("k", setting.load, 60);
  await setting.clock.advance(10);
  setting.server.isFull = true;
  assertEquals(await setting.during(loading), "value");
  assertEquals(setting.server.names, []);
});

Deno.test("getOrLoad() releases a lock that a stopped Redis gave it after it had given up", async () => {
  const setting = new Setting();
  const [one, other] = [setting.isolate(), setting.isolate()];
  await one.cache.get("connects");
  const loading = one.cache.getOrLoad("k", setting.load, 60);
  // The value is read; the lock is taken, and its reply is lost.
  for (let turn = 0; turn < 6; turn++) await Promise.resolve();
  one.redis.losesReplies = true;
  assertEquals(await setting.during(loading), "value");
  one.redis.up();
  await settle();
  assertEquals(setting.server.names, []);
  const start = setting.clock.now();
  assertEquals(await setting.during(other.cache.getOrLoad("k", setting.load, 60)), "value");
  assert(setting.clock.now() - start < 100);
});

Deno.test("get() and exists() return what memory has in an outage, for its time to live and not beyond memorySeconds alone", async () => {
  const setting = new Setting();
  const { cache, redis } = setting.isolate({ memorySeconds: 5 });
  await cache.set("k", "value", 60);
  await setting.clock.advance(10_000);
  redis.isDown = true;
  assertEquals([await cache.get("k"), await cache.exists("k")], ["value", true]);
  await cache.delete("k");
  assertEquals([await cache.get("k"), await cache.exists("k")], [undefined, false]);
  await cache.set("k", "new", 60);
  await setting.clock.advance(60_000);
  assertEquals([await cache.get("k"), await cache.exists("k")], [undefined, false]);
});

Deno.test("increment() rejects while an invalidation of its counter has not reached Redis, or Redis rejects commands", async () => {
  const setting = new Setting();
  const { cache, redis } = setting.isolate();
  await cache.set("n", 1);
  redis.isDown = true;
  await cache.delete("n");
  await assertRejects(() => cache.increment("n"), CacheUnavailableError, "has not reached it");
  redis.isDown = false;
  assertEquals(await cache.increment("n"), 1);
  const send = redis.send.bind(redis);
  redis.send = (commands) =>
    Promise.resolve(commands.map(() => new RedisReplyError("MISCONF Redis is configured to save snapshots")));
  await assertRejects(() => cache.increment("n"), CacheUnavailableError, "rejected the command");
  redis.send = (commands) => Promise.resolve(commands.map(() => new RedisReplyError("OOM command not allowed")));
  await assertRejects(() => cache.increment("n"), CacheUnavailableError, "memory is full");
  redis.send = send;
  assertEquals([await cache.increment("n"), cache.stats().redis?.full], [2, 1]);
});

Deno.test("a value with tags whose stamps cannot be read is an outage, not a miss", async () => {
  const setting = new Setting();
  const { cache, redis } = setting.isolate({ memory: false });
  await cache.set("k", "value", { tags: ["t"], ttlSeconds: 60 });
  const send = redis.send.bind(redis);
  let reads = 0;
  redis.send = (commands) => ++reads === 2 ? Promise.reject(new CacheUnavailableError("it is down")) : send(commands);
  assertEquals([await cache.get("k"), cache.stats().redis?.failedReads, cache.stats().redis?.misses], [
    undefined,
    1,
    0,
  ]);
  assertEquals(await cache.get("k"), "value");
});

Deno.test("close() ends the invalidations that wait for another attempt", async () => {
  const setting = new Setting();
  const { cache, redis } = setting.isolate();
  await cache.set("k", "value");
  const deleting = cache.delete("k");
  redis.isDown = true;
  cache.close();
  await deleting;
  assertEquals(setting.clock.timers, 0);
});

Deno.test("get() in an outage does not return a value that Redis did not have any more before it", async () => {
  const setting = new Setting();
  const [one, other] = [setting.isolate(), setting.isolate()];
  await one.cache.set("k", "old", 60);
  await one.cache.set("kept", "value", 60);
  one.redis.isDeaf = true;
  await other.cache.delete("k");
  await setting.clock.advance(6_000);
  assertEquals(await one.cache.mget(["k", "kept"]), [undefined, "value"]);
  one.redis.isDown = true;
  assertEquals(await one.cache.mget(["k", "kept"]), [undefined, "value"]);
});

Deno.test("a look at Redis that finds nothing does not remove what was loaded meanwhile", async () => {
  const setting = new Setting();
  const { cache, redis } = setting.isolate();
  await cache.set("k", "old", { ttlSeconds: 1, graceSeconds: 60 });
  await setting.clock.advance(6_000);
  await redis.send([["DEL", "cache:v:k"]]);
  const [missed, loaded] = await Promise.all([cache.get("k"), cache.getOrLoad("k", setting.load, 60)]);
  assertEquals([missed, loaded], [undefined, "value"]);
  redis.isDown = true;
  assertEquals(await cache.get("k"), "value");
});

Deno.test("increment() works while its counter and others are being deleted, without an outage", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate();
  await cache.increment("n", 5);
  for (let lag = 0; lag < 8; lag++) {
    const deleting = cache.delete("n");
    const counting = cache.increment("n");
    for (let turn = 0; turn < lag; turn++) await Promise.resolve();
    await cache.delete("other");
    assertEquals([await counting, await deleting], [1, true]);
  }
});

Deno.test("an invalidation of an outage does not remove the value that was stored after it", async () => {
  const setting = new Setting();
  const { cache, redis } = setting.isolate();
  redis.isDown = true;
  for (let index = 0; index < 250; index++) await cache.delete(`k:${index}`);
  redis.up();
  // The first part is under way; the last key is in the second one.
  await Promise.all([cache.set("k:249", 5, 60), cache.set("k:0", 5, 60)]);
  await settle();
  assertEquals([await cache.increment("k:249"), cache.stats().redis?.pendingInvalidations], [6, 0]);
});
