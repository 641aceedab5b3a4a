import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import fc from "fast-check";
import { chooseTarget, type TargetCall, TargetLoad } from "../../shared/resilience/load_balancer.ts";

/** Returns a generator of numbers in `[0, 1)` that repeats (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function targets(count: number): { readonly name: number; readonly load: TargetLoad }[] {
  return Array.from({ length: count }, (_, name) => ({ name, load: new TargetLoad() }));
}

function fail(): never {
  throw new Error("there is no such target");
}

function count(counts: number[], at: number = -1): void {
  counts[at] = (counts[at] ?? 0) + 1;
}

Deno.test("TargetLoad.cost() grows with the calls in flight, the latency, and the age of the oldest call", () => {
  const load = new TargetLoad();
  assertEquals(load.cost(0), 0.5);
  const call = load.begin(0);
  assertEquals(load.cost(0), 1);
  assertEquals(load.cost(100), 200);
  load.end(call, 100);
  assertEquals(load.cost(100), 100);
  load.end(call, 5_000);
  assertEquals([load.inFlight, load.cost(100)], [0, 100]);
});

Deno.test("TargetLoad takes a slower response at once, a faster one with time, and forgets both", () => {
  const load = new TargetLoad();
  load.end(load.begin(0), 10);
  load.end(load.begin(10), 110);
  assertEquals(load.latencyMs(110), 100);
  load.end(load.begin(110), 111);
  assertGreater(load.latencyMs(111), 99);
  load.end(load.begin(10_100), 10_110);
  const later = load.latencyMs(10_110);
  assert(later > 37 && later < 50, String(later));
  assertLess(load.latencyMs(100_000), 0.1);
});

Deno.test("TargetLoad.end() counts a failure as slow, however fast it was", () => {
  const load = new TargetLoad();
  load.end(load.begin(0), 1, true);
  assertEquals(load.latencyMs(1), 1_000);
});

Deno.test("TargetLoad.abort() counts the time of a call without a response only where it is more than the latency", () => {
  const load = new TargetLoad();
  load.end(load.begin(0), 50);
  load.abort(load.begin(50), 51);
  assertEquals([load.inFlight, load.latencyMs(50)], [0, 50]);
  const call = load.begin(100);
  load.abort(call, 200);
  assertEquals(load.latencyMs(200), 100);
  load.abort(call, 900);
  load.end(call, 900);
  assertEquals(load.latencyMs(200), 100);
});

Deno.test("TargetLoad.drop() ends a call whose time says nothing", () => {
  const load = new TargetLoad();
  load.drop(load.begin(0));
  assertEquals([load.inFlight, load.latencyMs(5_000)], [0, 0]);
});

Deno.test("chooseTarget() spreads calls over equal targets, and chooses none of none", () => {
  assertEquals(chooseTarget([], 0, Math.random), undefined);
  const random = seeded(1);
  const all = targets(4);
  const counts = [0, 0, 0, 0];
  for (let call = 0; call < 4_000; call++) count(counts, chooseTarget(all, 0, random)?.name);
  for (const count of counts) assert(count > 850 && count < 1_150, String(counts));
});

Deno.test("chooseTarget() sends little to a target that is slow, and almost nothing to one that hangs", () => {
  const random = seeded(2);
  const latencies = [2, 2, 20, Infinity];
  const all = targets(4);
  const counts = [0, 0, 0, 0];
  const ends: { readonly at: number; readonly run: () => void }[] = [];
  for (let now = 0; now < 4_000; now++) {
    for (const end of ends.splice(0)) end.at <= now ? end.run() : ends.push(end);
    const target = chooseTarget(all, now, random);
    if (!target) continue;
    count(counts, target.name);
    const call = target.load.begin(now);
    const at = now + (latencies[target.name] ?? 0);
    ends.push({ at, run: () => target.load.end(call, at) });
  }
  const [fast = 0, alsoFast = 0, slow = 0, hung = 0] = counts;
  // Of the pair that both are in, the slow one is the better choice.
  assertGreater(fast + alsoFast, 4_000 * 5 / 6 * 0.95);
  assert(slow > 20 && slow < 4_000 / 6 * 1.15, String(counts));
  assertLess(hung, 10);
});

Deno.test("chooseTarget() never chooses the costlier of the targets it draws, whatever has happened", () => {
  const step = fc.record({
    target: fc.nat(4),
    kind: fc.constantFrom("begin", "end", "fail", "abort"),
    afterMs: fc.nat(5_000),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), fc.integer(), (steps, seed) => {
    const all = targets(5).map((target) => ({ ...target, open: [] as TargetCall[] }));
    let now = 0;
    for (const { target, kind, afterMs } of steps) {
      now += afterMs;
      const { load, open } = all[target] ?? fail();
      if (kind === "begin") open.push(load.begin(now));
      else {
        const call = open.shift();
        const before = load.latencyMs(now);
        if (call && kind === "abort") load.abort(call, now);
        else if (call) load.end(call, now, kind === "fail");
        assert(kind !== "abort" || load.latencyMs(now) >= before);
      }
      assertEquals([load.inFlight, load.oldestSince], [open.length, open[0]?.since]);
      for (const each of all) assert(each.load.cost(now) >= 0.5 && Number.isFinite(each.load.cost(now)));
      assert(load.cost(now) >= (load.inFlight + 1) * (now - (load.oldestSince ?? now)));
    }
    const drawn: number[] = [];
    const random = seeded(seed);
    const draw = () => {
      const value = random();
      drawn.push(value);
      return value;
    };
    const chosen = chooseTarget(all, now, draw) ?? fail();
    const [one = 0, two = 0] = drawn;
    const first = Math.floor(one * 5);
    const second = (first + 1 + Math.floor(two * 4)) % 5;
    assert(first !== second && [first, second].includes(chosen.name));
    const other = all[chosen.name === first ? second : first] ?? fail();
    assert(chosen.load.cost(now) <= other.load.cost(now));
  }));
});
