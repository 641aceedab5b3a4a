/** LimitRefusals: which refusals are a reason for a lower limit. */
import { assert, assertEquals } from "@std/assert";
import { LimitRefusals } from "../../shared/resilience/limit_refusals.ts";

/** Counts calls that were not refused. */
function answer(refusals: LimitRefusals, calls: number, inFlight: number, now = 0): void {
  for (let index = 0; index < calls; index++) refusals.count(inFlight, false, now);
}

/** Counts a refusal, and returns whether it is usual. */
function refuse(refusals: LimitRefusals, inFlight: number, now = 0): boolean {
  refusals.count(inFlight, true, now);
  return refusals.isUsual(inFlight, now);
}

/** Returns refusals of which one in 50 is usual, at a limit of 100 and however much lower. */
function settled(): LimitRefusals {
  const refusals = new LimitRefusals();
  answer(refusals, 1_000, 100);
  assert(!refuse(refusals, 100), "the first refusal lowers the limit");
  refusals.lowered(100);
  for (let index = 0; index < 20; index++) {
    answer(refusals, 49, 70);
    assert(refuse(refusals, 70), "one that is alone at a lower limit does not lower it");
  }
  answer(refusals, 49, 70);
  refusals.raised(100);
  return refusals;
}

Deno.test("LimitRefusals: the first refusal is not usual, nor are those one after another at a lower limit", () => {
  const refusals = new LimitRefusals();
  answer(refusals, 5_000, 100);
  for (const limit of [100, 70, 49, 34]) {
    for (let index = 0; index < 10; index++) {
      answer(refusals, 2, limit);
      assert(!refuse(refusals, limit));
    }
    refusals.lowered(limit);
  }
});

Deno.test("LimitRefusals: as many refusals as a lower limit has left are usual at a higher one, far more are not", () => {
  const refusals = settled();
  for (let index = 0; index < 20; index++) {
    answer(refusals, 49, 100);
    assert(refuse(refusals, 100));
  }
  let usual = 0;
  while (refuse(refusals, 100)) usual++;
  assert(usual < 15, `${usual} refusals one after another`);
});

Deno.test("LimitRefusals: refusals are usual for a minute after the latest one at a lower limit", () => {
  for (const [afterMs, expected] of [[59_999, true], [60_000, false]] as const) {
    const refusals = settled();
    answer(refusals, 49, 100, afterMs);
    assertEquals(refuse(refusals, 100, afterMs), expected);
  }
});

Deno.test("LimitRefusals: once the limit has grown again, a refusal that is alone is not usual by that", () => {
  const refusals = new LimitRefusals();
  answer(refusals, 1_000, 100);
  assert(!refuse(refusals, 100));
  refusals.lowered(100);
  answer(refusals, 49, 70);
  refusals.raised(90);
  answer(refusals, 49, 70);
  assert(!refuse(refusals, 70));
});
