/**
 * Metrics computed from the rounds.
 *
 * @module
 */
import type { Case } from "./case.ts";
import type { Samples } from "./rounds.ts";
import { median, summarize, type Summary } from "./statistics.ts";

/** Reads a value of one round. Default metric: the main one. */
export type Reader<M extends string> = (caseId: string, candidateId: string, metric?: M) => number;

/** The measured values, for tables and targets. */
export class MeasuredMetrics<M extends string> {
  readonly cases: readonly Case<M>[];
  readonly #samples: Samples;
  readonly #mainMetric: M;

  /** @param mainMetric The metric that a {@linkcode Reader} reads by default. */
  constructor(cases: readonly Case<M>[], samples: Samples, mainMetric: M) {
    this.cases = cases;
    this.#samples = samples;
    this.#mainMetric = mainMetric;
  }

  /** Summarizes a candidate's values over all rounds. */
  summary(caseId: string, candidateId: string, metric: M): Summary {
    return summarize(this.#samples.of(caseId, candidateId, metric));
  }

  /**
   * Computes `expression` in each round and returns the median, so that a ratio
   * is of values measured moments apart. `NaN` if one of them was not measured.
   * The expression must read at least one value.
   */
  perRound(expression: (at: Reader<M>) => number): number {
    const results: number[] = [];
    for (let more = true; more;) {
      const result = expression((caseId, candidateId, metric = this.#mainMetric) => {
        const value = this.#samples.of(caseId, candidateId, metric)[results.length];
        if (value === undefined) more = false;
        return value ?? NaN;
      });
      if (more) results.push(result);
    }
    return median(results);
  }

  /** Returns the ratio of a candidate's value to that of the candidate `ours`. */
  timesOurs(caseId: string, candidateId: string, metric: M): number {
    return this.perRound((at) => at(caseId, candidateId, metric) / at(caseId, "ours", metric));
  }
}
