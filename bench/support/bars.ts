/**
 * Bars: what is to be reached, as data.
 *
 * @module
 */
import type { Figures } from "./figures.ts";

/** Something that has to hold. */
export interface Bar<M extends string> {
  /** What is measured, in words. */
  readonly what: string;
  readonly relation: "at most" | "at least";
  readonly limit: number;
  readonly unit: "×" | "bytes" | "bytes each" | "µs" | "ms" | "round trips" | "connections";
  /** The figure to hold against the limit; `NaN` if its case was not measured. */
  readonly figure: (figures: Figures<M>) => number;
}

/** A bar and how it was met; `undefined` where it was not measured. */
export interface Verdict extends Omit<Bar<never>, "figure"> {
  readonly figure: number;
  readonly holds: boolean | undefined;
}

/** Holds the figures against the bars. */
export function judge<M extends string>(figures: Figures<M>, bars: readonly Bar<M>[]): Verdict[] {
  return bars.map(({ figure: measure, ...bar }) => {
    const figure = measure(figures);
    const holds = bar.relation === "at most" ? figure <= bar.limit : figure >= bar.limit;
    return { ...bar, figure, holds: Number.isNaN(figure) ? undefined : holds };
  });
}
