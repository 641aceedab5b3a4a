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
const SOME_CELLS: readonly (readonly [latencyMs: number, capacity: number, noise: number])[] = [
  [20, 50, 0],
  [50, 10, 0],
  [50, 100, 0],
  [50, 200, 0],
  [5, 10, 0.2],
  [50, 10, 0.2],
  [20, 20, 0.2],
];

Deno.test("AdaptiveLimit: throughput and p99 are within 5 % of the best fixed limit, after a warm-up of 10 s", () => {
  const cells = isFull
    ? [...gridCells(1, 0), ...gridCells(2, 0), ...gridCells(1, 0.2)]
    : SOME_CELLS.map(([latencyMs, capacity, noise]) => ({ latencyMs, capacity, degrade: 1, noise }));
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

/** A limit that knows the new capacity once the first call that it slows is overdue: no limit can know it earlier. */
function informedLimit(latencyMs: number, capacity: number): Limiter {
  let at = 0;
  return {
    get limit() {
      return at >= 15_000 + latencyMs ? capacity / 10 : capacity;
    },
    begin: (now) => void (at = now),
    end: (_call, now) => void (at = now),
  };
}

Deno.test("AdaptiveLimit: where a drop makes calls 100 times as slow, the last ones end after 3 times as long, at best 1", () => {
  for (const [latencyMs, capacity] of [[1, 200], [5, 50], [20, 100], [20, 200]] as const) {
    const options: BackendOptions = {
      latencyMs,
      degrade: 2,
      capacity: (now) => now >= 15_000 ? capacity / 10 : capacity,
    };
    /** The instant at which the last call ends that is far slower than others, in times of such a call. */
    const lastSlowEnd = (limiter: Limiter) => {
      const slow = run(options, limiter, 30_000).ends.filter(({ at, callMs }) =>
        at > 15_000 && callMs > 20 * latencyMs
      );
      return (Math.max(...slow.map(({ at }) => at)) - 15_000) / (100 * latencyMs);
    };
    const [atBest, last] = [lastSlowEnd(informedLimit(latencyMs, capacity)), lastSlowEnd(adaptive())];
    const what = `${latencyMs} ms, capacity ${capacity}: ${last}, at best ${atBest}`;
    assert(atBest >= 0.95 && last <= 3.1, what);
  }
});

/** The share of the first of two pools, of which the second begins at `joinMs`, in the 20 s after 20 s together. */
function sharedBy(latencyMs: number, capacity: number, seed: number, joinMs = 0): number {
  const backend: Backend = latencyBackend({ latencyMs, capacity: () => capacity });
  const pool = (seed: number, since: number) => ({
    limiter: adaptive(seed),
    backend,
    callers: 300,
    active: (now: number) => now >= since ? 300 : 0,
  });
  const endMs = joinMs + 40_000;
  const [first = 0, second = 0] = simulate([pool(7 * seed, 0), pool(13 * seed + 1_000, joinMs)], endMs, seed).map((
    seen,
  ) => summarize(seen, endMs - 20_000, endMs).perSecond);
  assert(first + second >= 0.95 * capacity / latencyMs * 1_000);
  return first / (first + second);
}

const SHARED = [[5, 50], [20, 20], [50, 100]] as const;
const SEEDS = Array.from({ length: isFull ? 20 : 10 }, (_, index) => 11 + index);

for (
  const [name, joinMs, seeds] of [
    ["two pools share a backend", 0, SEEDS],
    ["a pool that joins later shares a backend", 15_000, isFull ? SEEDS : SEEDS.slice(0, 4)],
  ] as const
) {
  Deno.test(`AdaptiveLimit: ${name} within 60:40, one seed in twenty at most within 62:38`, () => {
    const unequal: string[] = [];
    for (const [latencyMs, capacity] of SHARED) {
      for (const seed of seeds) {
        const first = sharedBy(latencyMs, capacity, seed, joinMs);
        const share = Math.max(first, 1 - first);
        const what = `${latencyMs} ms, capacity ${capacity}, seed ${seed}: ${share}`;
        assert(share <= 0.62, what);
        if (share > 0.6) unequal.push(what);
      }
    }
    if (isFull) console.log(`${name}: beyond 60:40: ${unequal.join("; ")}`);
    assert(unequal.length <= SHARED.length * seeds.length / 20, unequal.join("\n"));
  });
}

Deno.test("AdaptiveLimit: pauses at random instants leave p99 within 15 % of the best fixed limit", () => {
  for (const [latencyMs, capacity] of [[50, 80], [20, 20], [5, 50]] as const) {
    for (const [everyMs, forMs, lowest] of [[400, 25, 0.95], [150, 40, 0.85]] as const) {
      for (const seed of isFull ? SEEDS : SEEDS.slice(0, 2)) {
        const options = { latencyMs, capacity: () => capacity, noise: 0.05, pauses: { everyMs, forMs, seed } };
        const measure = (limiter: Limiter) => summarize(run(options, limiter, 40_000), 10_000, 40_000);
        const fixed = [1, 1.1, 1.25, 1.5, 2].map((factor) => measure(fixedLimit(Math.round(capacity * factor))));
        const best = Math.max(...fixed.map(({ perSecond }) => perSecond));
        const good = fixed.filter(({ perSecond }) => perSecond >= 0.95 * best);
        const { perSecond, callP99 } = measure(adaptive(seed));
        const [throughput, p99] = [perSecond / best, callP99 / Math.min(...good.map(({ callP99 }) => callP99))];
        const what =
          `${latencyMs} ms, capacity ${capacity}, pauses of ${forMs} ms, seed ${seed}: ${throughput}, ${p99}`;
        if (isFull) console.log(what);
        assert(throughput >= lowest && p99 <= 1.15, what);
      }
    }
  }
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

/** A backend that refuses a share of the calls, however many there are: those of one caller, or of one function. */
function refusingBackend(options: BackendOptions, share: number): Backend {
  const inner = latencyBackend(options);
  return {
    call(now, random) {
      const answered = inner.call(now, random);
      return random() < share ? { at: now + 3, outcome: "overload" } : answered;
    },
    done: () => inner.done(),
  };
}

Deno.test("AdaptiveLimit is not kept down by refusals that a lower limit does not end", () => {
  const seeds = isFull ? Array.from({ length: 100 }, (_, index) => 11 + index) : SEEDS.slice(0, 4);
  for (const [latencyMs, capacity] of [[5, 50], [20, 100], [50, 20]] as const) {
    for (const [share, lowest] of [[0.001, 0.75], [0.01, 0.75], [0.03, 0.5]] as const) {
      const all = seeds.map((seed) => {
        const backend = refusingBackend({ latencyMs, capacity: () => capacity, noise: 0.2 }, share);
        const [seen] = simulate([{ limiter: adaptive(seed), backend, callers: 300 }], 15_000, seed);
        assert(seen);
        return summarize(seen, 5_000, 15_000).perSecond * latencyMs / capacity / 1_000;
      });
      const mean = all.reduce((sum, throughput) => sum + throughput, 0) / all.length;
      const what = `${latencyMs} ms, capacity ${capacity}, ${share} refused: throughput ${mean}, least ${
        Math.min(...all)
      }`;
      if (isFull) console.log(what);
      assert(mean >= lowest, what);
    }
  }
});

Deno.test("AdaptiveLimit follows refusals above a number of calls, however many others there were", () => {
  // For 10 s a share is refused whatever the limit is, then most calls above 20.
  const options = { latencyMs: 20, capacity: () => 100 };
  for (const seed of SEEDS.slice(0, 4)) {
    let inFlight = 0;
    const inner = refusingBackend(options, 0.03);
    const backend: Backend = {
      call(now, random) {
        const answered = inner.call(now, random);
        return ++inFlight > 20 && now >= 10_000 ? { at: now + 3, outcome: "overload" } : answered;
      },
      done() {
        inFlight--;
        inner.done();
      },
    };
    const [seen] = simulate([{ limiter: adaptive(seed), backend, callers: 300 }], 15_000, seed);
    const after = seen?.limits.filter(({ at }) => at >= 10_500).map(({ limit }) => limit) ?? [];
    const mean = after.reduce((sum, limit) => sum + limit, 0) / after.length;
    assert(mean <= 24, `seed ${seed}: the mean limit is ${mean}`);
  }
});

Deno.test("AdaptiveLimit is deterministic: the same seed has the same limits", () => {
  const limits = () =>
    JSON.stringify(run({ latencyMs: 20, capacity: () => 50, noise: 0.3 }, adaptive(7), 10_000).limits);
  assert(limits() === limits());
});
