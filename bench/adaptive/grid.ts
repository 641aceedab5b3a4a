/**
 * The comparison of a limit with all fixed limits, over backends that differ in latency and capacity.
 *
 * @module
 */
import { AdaptiveLimit } from "../../shared/resilience/adaptive_limit.ts";
import {
  type BackendOptions,
  fixedLimit,
  latencyBackend,
  type Limiter,
  seeded,
  simulate,
  summarize,
  type Summary,
} from "./simulation.ts";

/** One backend of the grid. */
export interface Cell extends Required<Pick<BackendOptions, "latencyMs" | "degrade" | "noise">> {
  readonly capacity: number;
}

/** The time that a limit has to find the capacity, in ms. */
export const WARM_UP_MS = 10_000;

/** The number of simulated callers, more than any limit. */
export const CALLERS = 1_000;

/** The calls that are enough for a 99th percentile, and for several experiments. */
const MEASURED_CALLS = 150_000;

/** A limit in a cell, beside the best fixed limits. Ratios: 1 is as good as the best. */
export interface CellResult {
  readonly cell: Cell;
  /** Throughput, to that of the fixed limit with the highest. */
  readonly throughput: number;
  /** The 99th percentile of calls, to the lowest of the fixed limits with at least 95 % of the highest throughput. */
  readonly callP99: number;
  /** The same with the wait for the limit. */
  readonly totalP99: number;
  /** The mean limit after the warm-up. */
  readonly meanLimit: number;
}

/** Every backend of the grid: 1 to 50 ms, capacity 10 to 200. */
export function gridCells(degrade: number, noise: number): Cell[] {
  return [1, 5, 20, 50].flatMap((latencyMs) =>
    [10, 20, 50, 100, 200].map((capacity) => ({ latencyMs, capacity, degrade, noise }))
  );
}

/** Returns the time to simulate, in ms: at most a minute, and less where calls are many. */
function durationOf({ latencyMs, capacity }: Cell): number {
  return WARM_UP_MS + Math.min(50_000, MEASURED_CALLS * latencyMs / capacity);
}

/** Runs one limit against one backend. Returns the summary after the warm-up, and the mean limit. */
function runCell(cell: Cell, limiter: Limiter, seed: number): Summary & { readonly meanLimit: number } {
  const backend = latencyBackend({ ...cell, capacity: () => cell.capacity });
  const end = durationOf(cell);
  const [seen = { ends: [], limits: [] }] = simulate([{ limiter, backend, callers: CALLERS }], end, seed);
  const limits = seen.limits.filter(({ at }) => at >= WARM_UP_MS);
  const meanLimit = limits.reduce((sum, { limit }) => sum + limit, 0) / limits.length;
  return { ...summarize(seen, WARM_UP_MS, end), meanLimit };
}

/** Returns the fixed limits that may be the best for a capacity. */
function fixedLimitsFor(capacity: number): number[] {
  const limits = [0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.25, 1.5, 2].map((factor) => Math.round(capacity * factor));
  return [...new Set(limits)].filter((limit) => limit <= 200);
}

/** The results of all fixed limits in a cell. They do not depend on the limit that is compared. */
export function fixedSummaries(cell: Cell): Summary[] {
  return fixedLimitsFor(cell.capacity).map((limit) => runCell(cell, fixedLimit(limit), 1));
}

/**
 * Compares a limit with the fixed limits in one cell.
 *
 * @param create Creates the limit. Default: an {@linkcode AdaptiveLimit}.
 */
export function measureCell(
  cell: Cell,
  seed: number,
  fixed: readonly Summary[] = fixedSummaries(cell),
  create: (random: () => number) => Limiter = (random) => new AdaptiveLimit({ random }),
): CellResult {
  const best = Math.max(...fixed.map(({ perSecond }) => perSecond));
  const good = fixed.filter(({ perSecond }) => perSecond >= best * 0.95);
  const result = runCell(cell, create(seeded(seed)), seed);
  return {
    cell,
    throughput: result.perSecond / best,
    callP99: result.callP99 / Math.min(...good.map(({ callP99 }) => callP99)),
    totalP99: result.totalP99 / Math.min(...good.map(({ totalP99 }) => totalP99)),
    meanLimit: result.meanLimit,
  };
}

/** Describes a result in one line. */
export function describeCell({ cell, throughput, callP99, totalP99, meanLimit }: CellResult): string {
  const { latencyMs, capacity, degrade, noise } = cell;
  return `${String(latencyMs).padStart(3)} ms, capacity ${
    String(capacity).padStart(3)
  }, degrade ${degrade}, noise ${noise}: ` +
    `throughput ${throughput.toFixed(3)}, p99 of calls ${callP99.toFixed(3)}, with wait ${totalP99.toFixed(3)}, ` +
    `mean limit ${meanLimit.toFixed(1)}`;
}
