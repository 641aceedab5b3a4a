/**
 * Targets of a benchmark, as data.
 *
 * @module
 */
import type { MeasuredMetrics } from "./metrics.ts";

/** A limit that a benchmark must keep. */
export interface Target<M extends string> {
  /** The description of the value. */
  readonly what: string;
  readonly relation: "at most" | "at least";
  readonly limit: number;
  readonly unit: "×" | "bytes" | "bytes each" | "µs" | "ms" | "round trips" | "connections" | "%";
  /** Computes the value to compare with the limit; `NaN` if its case was not measured. */
  readonly value: (measured: MeasuredMetrics<M>) => number;
}

/** A target with its measured value. */
export interface TargetResult extends Omit<Target<never>, "value"> {
  readonly value: number;
  /** True if the target was met; `undefined` if it was not measured. */
  readonly met: boolean | undefined;
}

/** Compares what was measured with the targets. */
export function checkTargets<M extends string>(
  measured: MeasuredMetrics<M>,
  targets: readonly Target<M>[],
): TargetResult[] {
  return targets.map(({ value: compute, ...target }) => {
    const value = compute(measured);
    const met = target.relation === "at most" ? value <= target.limit : value >= target.limit;
    return { ...target, value, met: Number.isNaN(value) ? undefined : met };
  });
}
