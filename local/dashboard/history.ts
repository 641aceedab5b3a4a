/**
 * The latest minutes of the fleet, in memory.
 *
 * @module
 */
import type { FleetSample } from "../../shared/observability/mod.ts";
import type { Counters, FunctionRow, Snapshot } from "./snapshot.ts";

/** The fleet, or one function, at one instant. `null`: not known. */
export interface Point {
  readonly atMs: number;
  readonly active: number;
  readonly idle: number | null;
  readonly waiting: number;
  readonly limit: number;
  /** Slots acquired per second in the last 12 s. */
  readonly acquiredPerS: number | null;
  /** Errors per second in the last 12 s. */
  readonly errorsPerS: number | null;
  readonly waitP50: number | null;
  readonly waitP90: number | null;
  readonly waitP99: number | null;
  readonly useP50: number | null;
  readonly useP90: number | null;
  readonly useP99: number | null;
}

/** The name of all functions together. */
export const ALL = "";

/** The time that the history covers, in ms. */
const WINDOW_MS = 15 * 60_000;
/** Maximum number of functions with a history of their own. */
const MAX_FUNCTIONS = 100;

/** The time that rates are taken over, in ms. Isolates report every 5 s at most: over less, rates would jump. */
const RATE_MS = 12_000;

/** The counts from which the rates of later points follow. */
interface Totals {
  readonly atMs: number;
  readonly acquired: number;
  readonly errors: number;
}

function sumOf(groups: readonly FunctionRow[], pick: (counters: Counters) => number): number {
  return groups.reduce((sum, { counters }) => sum + pick(counters), 0);
}

/** Returns a percentile of groups: that of the slowest group, since percentiles cannot be added up. */
function slowest(groups: readonly FunctionRow[], pick: (group: FunctionRow) => number, times: "wait" | "use") {
  const known = groups.filter((group) => group[times].count > 0).map(pick);
  return known.length === 0 ? null : Math.max(...known);
}

/** Returns a rate per second; `null` without an earlier count. */
function rate(now: number, before: number | undefined, elapsedMs: number): number | null {
  return before === undefined || elapsedMs <= 0 ? null : (now - before) / elapsedMs * 1000;
}

/** The points of each function and of all together. */
export class History {
  readonly #points = new Map<string, Point[]>();
  readonly #totals = new Map<string, Totals[]>();

  /** Adds a snapshot that was read at `atMs`. The first one brings the samples of the store. */
  add(atMs: number, { functions, samples }: Snapshot): void {
    if (this.#points.size === 0) this.#seed(atMs, samples);
    this.#push(ALL, atMs, functions);
    for (const name of new Set(functions.map((group) => group.function))) {
      // One of the histories is that of all functions.
      if (!this.#points.has(name) && this.#points.size > MAX_FUNCTIONS) continue;
      this.#push(name, atMs, functions.filter((group) => group.function === name));
    }
    for (const [name, points] of this.#points) {
      // What is later than now is from before the clock was set back.
      const kept = points.filter((point) => point.atMs > atMs - WINDOW_MS && point.atMs <= atMs);
      if (kept.length > 0 || name === ALL) this.#points.set(name, kept);
      else {
        this.#points.delete(name);
        this.#totals.delete(name);
      }
    }
  }

  /** Returns the points of a function, oldest first. */
  of(name: string): readonly Point[] {
    return this.#points.get(name) ?? [];
  }

  #push(name: string, atMs: number, groups: readonly FunctionRow[]): void {
    const acquired = sumOf(groups, (counters) => counters.acquired);
    const errors = groups.reduce((sum, group) => sum + group.errors.reduce((all, { count }) => all + count, 0), 0);
    const totals = this.#totals.get(name) ?? [];
    const newest = totals.at(-1);
    // Counts fall when an isolate ends: earlier ones cannot be compared with later ones. Nor can those of a later time.
    if (newest && (acquired < newest.acquired || errors < newest.errors || newest.atMs > atMs)) totals.length = 0;
    while ((totals[1]?.atMs ?? Infinity) <= atMs - RATE_MS) totals.shift();
    const [before] = totals;
    const elapsedMs = atMs - (before?.atMs ?? atMs);
    totals.push({ atMs, acquired, errors });
    this.#totals.set(name, totals);
    this.#append(name, {
      atMs,
      active: sumOf(groups, (counters) => counters.active),
      idle: sumOf(groups, (counters) => counters.idle),
      waiting: sumOf(groups, (counters) => counters.waiting),
      limit: sumOf(groups, (counters) => counters.limit),
      acquiredPerS: rate(acquired, before?.acquired, elapsedMs),
      errorsPerS: rate(errors, before?.errors, elapsedMs),
      waitP50: slowest(groups, ({ wait }) => wait.p50, "wait"),
      waitP90: slowest(groups, ({ wait }) => wait.p90, "wait"),
      waitP99: slowest(groups, ({ wait }) => wait.p99, "wait"),
      useP50: slowest(groups, ({ use }) => use.p50, "use"),
      useP90: slowest(groups, ({ use }) => use.p90, "use"),
      useP99: slowest(groups, ({ use }) => use.p99, "use"),
    });
  }

  #append(name: string, point: Point): void {
    const points = this.#points.get(name);
    if (points) points.push(point);
    else this.#points.set(name, [point]);
  }

  /** Adds what the store knows of the time before. Its clock may differ: the newest sample is taken to be of now. */
  #seed(nowMs: number, samples: readonly FleetSample[]): void {
    const shiftMs = nowMs - Math.max(0, ...samples.map(({ atMs }) => atMs));
    type Sum = Pick<FleetSample, "atMs" | "active" | "waiting" | "limit">;
    const add = (name: string, { atMs, active, waiting, limit }: Sum) =>
      this.#append(name, {
        atMs: atMs + shiftMs - 1,
        active,
        idle: null,
        waiting,
        limit,
        acquiredPerS: null,
        errorsPerS: null,
        waitP50: null,
        waitP90: null,
        waitP99: null,
        useP50: null,
        useP90: null,
        useP99: null,
      });
    const all = new Map<number, { active: number; waiting: number; limit: number }>();
    for (const sample of [...samples].sort((a, b) => a.atMs - b.atMs)) {
      if (this.#points.size < MAX_FUNCTIONS || this.#points.has(sample.function)) add(sample.function, sample);
      const sum = all.get(sample.atMs) ?? { active: 0, waiting: 0, limit: 0 };
      sum.active += sample.active;
      sum.waiting += sample.waiting;
      sum.limit += sample.limit;
      all.set(sample.atMs, sum);
    }
    for (const [atMs, sum] of all) add(ALL, { atMs, ...sum });
  }
}
