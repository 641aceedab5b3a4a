/** Nothing of a cache grows with use: keys, locks, flights, invalidations, timers and listeners end. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { settle } from "../support/fake_clock.ts";
import { Setting } from "./setting.ts";

/** `full` runs the stated size; otherwise a small part of it, with a fixed seed. */
const STEPS = Deno.env.get("CACHE_GROWTH") === "full" ? 200_000 : 20_000;

Deno.test("LayeredCache does not grow under churn, outages and lost messages", async () => {
  const setting = new Setting();
  const isolates = Array.from({ length: 3 }, () => setting.isolate({ memory: { maxEntries: 50 }, lockMs: 1_000 }));
  const random = fc.sample(fc.nat(), { seed: 7, numRuns: STEPS });
  for (const [step, number] of random.entries()) {
    const { cache, redis } = isolates[number % 3] ?? isolates[0] ?? setting.isolate();
    const key = `k${number % 401}`;
    const options = { ttlSeconds: 5, staleSeconds: 2, graceSeconds: 2, tags: [`t${number % 17}`] };
    const failure = number % 11 === 0 ? () => Promise.reject(new Error("of the loader")) : setting.load;
    const work = [
      () => cache.set(key, { step }, options),
      () => cache.get(key),
      () => cache.getOrLoad(key, failure, options),
      () => cache.delete(key),
      () => cache.invalidateTags([`t${number % 17}`]),
      () => cache.mset({ [key]: 1, [`${key}x`]: 2 }, 3),
      () => cache.publish("c", step),
      async () => (await cache.subscribe("c", () => {})).unsubscribe(),
      () => cache.increment(`n${number % 13}`, 1, 5),
    ][number % 9];
    await work?.().catch(() => {});
    if (number % 53 === 0) redis.isDown = true;
    if (number % 37 === 0) redis.up();
    if (number % 61 === 0) redis.isDeaf = true;
    if (number % 41 === 0) redis.resubscribe();
    if (number % 5 === 0) await setting.clock.advance(number % 700);
  }
  for (const { redis } of isolates) {
    redis.up();
    redis.resubscribe();
  }
  await settle();
  for (let second = 0; second < 60; second++) await setting.clock.advance(1_000);
  for (const { cache, redis } of isolates) {
    await cache.get("other");
    const { memory, redis: level } = cache.stats();
    assert(memory.entries <= 50, `${memory.entries} values`);
    assertEquals([level?.pendingInvalidations, redis.listeners], [0, 2]);
    cache.close();
    assertEquals(redis.listeners, 0);
  }
  assertEquals(setting.server.names.filter((name) => /:[vl]:/.test(name)), []);
  assertEquals(setting.clock.timers, 0);
});
