/** Small parts of the cache by themselves. */
import { assert, assertEquals } from "@std/assert";
import { HitClock } from "../../shared/cache/hit_clock.ts";
import { decodeInvalidation, encodeInvalidation } from "../../shared/cache/invalidations.ts";
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
