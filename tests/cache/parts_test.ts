/** Small parts of the cache by themselves. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { LRUCache } from "lru-cache";
import { HitClock } from "../../shared/cache/hit_clock.ts";
import { decodeInvalidation, encodeInvalidation } from "../../shared/cache/invalidations.ts";
import { type CacheEntry, MemoryLevel } from "../../shared/cache/memory_level.ts";
import { PendingInvalidations } from "../../shared/cache/pending_invalidations.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { FakeRedis, FakeServer } from "./fake_redis.ts";

Deno.test("HitClock reads the clock once for a burst, at most 256 times, and again in the next turn", async () => {
  const clock = new FakeClock();
  let reads = 0;
  const hits = new HitClock(() => {
    reads++;
    return clock.now();
  }, clock);
  for (let turn = 0; turn < 10_000; turn++) assertEquals(hits.now(), clock.now());
  assert(reads < 80, `${reads} reads`);
  // The longest lag within a turn.
  clock.freeze(5);
  let lag = 0;
  while (hits.now() !== clock.now()) lag++;
  assert(lag <= 256, `${lag} hits`);
  for (let turn = 0; turn < 100; turn++) hits.now();
  clock.freeze(7);
  await clock.advance(0);
  assertEquals(hits.now(), clock.now());
  // Rare hits read it each time.
  for (let turn = 0; turn < 100; turn++) {
    clock.freeze(1);
    assertEquals(hits.now(), clock.now());
  }
});

Deno.test("decodeInvalidation() returns what encodeInvalidation() wrote, and undefined for anything else", () => {
  const message = { origin: "o", keys: ["a", ""], tags: ["t"] };
  assertEquals(decodeInvalidation(encodeInvalidation(message)), message);
  for (
    const text of ["", "null", "[]", "{}", '{"origin":1,"keys":[],"tags":[]}', '{"origin":"o","keys":[1],"tags":[]}']
  ) {
    assertEquals(decodeInvalidation(text), undefined);
  }
});

Deno.test("PendingInvalidations keeps the latest 10,000, and those that Redis rejects", async () => {
  const server = new FakeServer(() => 0);
  const redis = new FakeRedis(server);
  const pending = new PendingInvalidations(redis, new FakeClock());
  for (let index = 0; index < 10_005; index++) pending.add(`k:${index}`, [["DEL", `k:${index}`]]);
  assertEquals([pending.size, pending.lost, pending.has("k:4"), pending.has("k:5")], [10_000, 5, false, true]);
  redis.isDown = true;
  assertEquals([await pending.send(), pending.size], [false, 10_000]);
  redis.isDown = false;
  assertEquals([await pending.send(), pending.size], [true, 0]);
  pending.add("rejected", [["NONSENSE"]]);
  assertEquals([await pending.send(), pending.size], [false, 1]);
  // One that was added while an earlier one of its name was sent is still to be sent.
  const [earlier] = pending.get(["rejected"]);
  pending.add("rejected", [["DEL", "rejected"]]);
  assert(earlier);
  pending.settle([earlier]);
  assertEquals(pending.size, 1);
});

/** An entry of `bytes` in memory, with a tag. */
function entryOf(bytes: number, tag: string): CacheEntry {
  const times = { freshUntil: 1, staleUntil: 1, graceUntil: 1, hitUntil: 1, storedAt: 0 };
  return { value: bytes, isCopied: false, resolved: undefined, tags: [tag], bytes, ...times };
}

Deno.test("MemoryLevel keeps what an LRUCache that notes each use at once would keep", () => {
  const key = fc.nat({ max: 7 }).map((number) => `k${number}`);
  const step = fc.oneof(
    { weight: 16, arbitrary: fc.record({ kind: fc.constant("get" as const), key }) },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant("set" as const), key, bytes: fc.integer({ min: 1, max: 4_000 }) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("delete", "deleteTag", "clear"), key }) },
  );
  fc.assert(
    fc.property(fc.array(step, { minLength: 40, maxLength: 200 }), (steps) => {
      const bounds = { maxEntries: 6, maxBytes: 20_000 };
      const memory = new MemoryLevel(bounds);
      const model = new LRUCache<string, CacheEntry>({ max: bounds.maxEntries, maxSize: bounds.maxBytes });
      for (const each of steps) {
        if (each.kind === "get") assertEquals(memory.get(each.key), model.get(each.key));
        else if ("bytes" in each) {
          const entry = entryOf(each.bytes, each.key);
          memory.set(each.key, entry);
          model.set(each.key, entry, { size: each.bytes + each.key.length * 4 + 450 });
        } else if (each.kind === "clear") {
          memory.clear();
          model.clear();
        } else {
          if (each.kind === "delete") memory.delete(each.key);
          else assertEquals(memory.deleteTag(each.key), model.has(each.key) ? [each.key] : []);
          model.delete(each.key);
        }
        assertEquals([memory.size, memory.bytes], [model.size, model.calculatedSize]);
      }
    }),
    { numRuns: 300 },
  );
});
