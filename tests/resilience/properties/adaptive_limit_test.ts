/**
 * The promises of an AdaptiveLimit, in a deterministic simulation: throughput and latency beside all fixed limits,
 * changes of capacity, and traffic that must not collapse it. `SIMULATION=full` runs the whole grid of
 * backends with three seeds, which takes minutes, and prints it.
 */
import { assert } from "@std/assert";
import { AdaptiveLimit } from "../../../shared/resilience/adaptive_limit.ts";
import {
  CALLERS,
  type Cell,
  describeCell,
  fixedSummaries,
  gridCells,
  measureCell,
} from "../../../bench/adaptive/grid.ts";
import {
  type Backend,
  type BackendOptions,
  fixedLimit,
  latencyBackend,
  type Limiter,
  seeded,
  type Seen,
  simulate,
  type SimulatedPool,
  summarize,
} from "../../../bench/adaptive/simulation.ts";

const isFull = Deno.env.get("SIMULATION") === "full";

/** Throughput at least 95 % of the best fixed limit, p99 of calls and with the wait at most 5 % above the best. */
function checkCell(cell: Cell, seeds: readonly number[]): string[] {
  const fixed = fixedSummaries(cell);
  return seeds.flatMap((seed) => {
    const result = measureCell(cell, seed, fixed);
    if (isFull) console.log(describeCell(result));
    const holds = result.throughput >= 0.95 && result.callP99 <= 1.05 && result.totalP99 <= 1.05;
    return holds ? [] : [describeCell(result)];
  });
}

/** As many of the grid as seconds allow. */
const SOME_CELLS: readonly (readonly [latencyMs: number, capacity: number])[] = [
  [20, 50],
  [50, 10],
  [50, 100],
  [50, 200],
];

Deno.test("AdaptiveLimit: throughput and p99 are within 5 % of the best fixed limit, after a warm-up of 10 s", () => {
  const cells = isFull
    ? [...gridCells(1, 0), ...gridCells(2, 0)]
    : SOME_CELLS.map(([latencyMs, capacity]) => ({ latencyMs, capacity, degrade: 1, noise: 0 }));
  const failed = cells.flatMap((cell) => checkCell(cell, isFull ? [1, 2, 3] : [1]));
  assert(failed.length === 0, failed.join("\n"));
});

function run(
  options: BackendOptions,
  limiter: Limiter,
  durationMs: number,
  active?: (now: number) => number,
): Seen {
  const backend = latencyBackend(options);
  const pool = { limiter, backend, callers: CALLERS, ...(active ? { active } : {}) };
  const [seen] = simulate([pool], durationMs, 1);
  assert(seen);
  return seen;
}

const adaptive = (seed = 1) => new AdaptiveLimit({ random: seeded(seed) });

for (const [latencyMs, capacity, noise] of [[5, 20, 0], [20, 100, 0.2], [50, 100, 0], [50, 20, 0.2]] as const) {
  const name = `${latencyMs} ms, capacity ${capacity}, noise ${noise}`;
  Deno.test(`AdaptiveLimit follows a capacity that drops to a tenth, and returns: ${name}`, () => {
    const options: BackendOptions = {
      latencyMs,
      noise,
      capacity: (now) => now >= 15_000 && now < 30_000 ? capacity / 10 : capacity,
    };
    const seen = run(options, adaptive(), 42_000);
    const low = summarize(run(options, fixedLimit(capacity / 10), 30_000), 20_000, 30_000);
    const dropped = summarize(seen, 20_000, 30_000);
    assert(dropped.callP99 <= 1.5 * low.callP99, `p99 5 s after the drop: ${dropped.callP99} beside ${low.callP99}`);
    const returned = summarize(seen, 40_000, 42_000).perSecond;
    const best = capacity / latencyMs * 1_000;
    assert(returned >= 0.95 * best, `throughput 10 s after the return: ${returned} of ${best}`);
  });
}

Deno.test("AdaptiveLimit: two pools share a backend within 60:40 nine times in ten, and never beyond 65:35", () => {
  const unequal: string[] = [];
  for (const [latencyMs, capacity] of [[5, 50], [20, 20], [50, 100]] as const) {
    for (let seed = 11; seed <= 20; seed++) {
      const backend: Backend = latencyBackend({ latencyMs, capacity: () => capacity });
      const pool = (seed: number) => ({ limiter: adaptive(seed), backend, callers: 300 });
      const [first = 0, second = 0] = simulate([pool(7 * seed), pool(13 * seed + 1_000)], 40_000, seed).map((seen) =>
        summarize(seen, 20_000, 40_000).perSecond
      );
      const share = Math.max(first, second) / (first + second);
      const what = `${latencyMs} ms, capacity ${capacity}, seed ${seed}: ${share}`;
      assert(share <= 0.65, what);
      if (share > 0.6) unequal.push(what);
      assert(first + second >= 0.95 * capacity / latencyMs * 1_000);
    }
  }
  assert(unequal.length <= 3, unequal.join("\n"));
});

const TRAFFIC: Readonly<
  Record<string, Pick<SimulatedPool, "active"> & Pick<BackendOptions, "slow" | "pauses">>
> = {
  "bursts of 200 ms": { active: (now) => now % 2_000 < 200 ? CALLERS : 3 },
  "on/off traffic": { active: (now) => now % 2_000 < 1_000 ? CALLERS : 0 },
  "one slow query in 1,000": { slow: { share: 0.001, latencyMs: 5_000 } },
  "one slow query in 100": { slow: { share: 0.01, latencyMs: 2_000 } },
  "pauses of 100 ms": { pauses: { everyMs: 1_700, forMs: 100 } },
  "pauses of 300 ms": { pauses: { everyMs: 2_900, forMs: 300 } },
};

for (const [name, { active, ...faults }] of Object.entries(TRAFFIC)) {
  Deno.test(`AdaptiveLimit: ${name} keep the limit up`, () => {
    for (const [latencyMs, capacity] of [[5, 50], [20, 100], [50, 20]] as const) {
      const options: BackendOptions = { latencyMs, capacity: () => capacity, noise: 0.2, ...faults };
      const seen = run(options, adaptive(), 30_000, active);
      const lowest = Math.min(...seen.limits.filter(({ at }) => at >= 10_000).map(({ limit }) => limit));
      assert(lowest >= capacity / 2, `${latencyMs} ms, capacity ${capacity}: lowest limit ${lowest}`);
      const { perSecond } = summarize(seen, 10_000, 30_000);
      const best = summarize(run(options, fixedLimit(capacity), 30_000, active), 10_000, 30_000).perSecond;
      assert(perSecond >= 0.93 * best, `${latencyMs} ms, capacity ${capacity}: ${perSecond} beside ${best}`);
    }
  });
}

Deno.test("AdaptiveLimit tries another limit each few seconds, however long the present one holds", () => {
  const limits = run({ latencyMs: 50, capacity: () => 20 }, adaptive(3), 120_000).limits;
  const changes = limits.filter(({ at, limit }, index) => at > 30_000 && limit !== limits[index - 1]?.limit);
  const gaps = changes.slice(1).map(({ at }, index) => at - (changes[index]?.at ?? 0));
  assert(gaps.length > 20 && Math.max(...gaps) < 7_000, `${gaps}`);
});

Deno.test("AdaptiveLimit does not oscillate at low traffic", () => {
  const limiter = adaptive();
  const pool = { limiter, backend: latencyBackend({ latencyMs: 20, capacity: () => 50, noise: 0.5 }), callers: 5 };
  const [seen] = simulate([{ ...pool, thinkMs: 50 }], 60_000, 1);
  assert(seen?.limits.every(({ limit }) => limit === 10));
});

Deno.test("AdaptiveLimit finds what a backend refuses above, and few calls are refused", () => {
  for (const [latencyMs, refuseAbove] of [[5, 20], [20, 100], [50, 50]] as const) {
    const seen = run({ latencyMs, capacity: () => 200, refuseAbove }, adaptive(), 40_000);
    const ends = seen.ends.filter(({ at }) => at >= 10_000);
    const refused = ends.filter(({ ok }) => !ok).length / ends.length;
    assert(refused < 0.01, `refused: ${refused}`);
    const { perSecond } = summarize(seen, 10_000, 40_000);
    assert(perSecond >= 0.9 * refuseAbove / latencyMs * 1_000, `${perSecond}`);
  }
});

Deno.test("AdaptiveLimit is deterministic: the same seed has the same limits", () => {
  const limits = () =>
    JSON.stringify(run({ latencyMs: 20, capacity: () => 50, noise: 0.3 }, adaptive(7), 10_000).limits);
  assert(limits() === limits());
});
