/**
 * Figures drawn from the rounds.
 *
 * @module
 */
import type { Case, Metric } from "./cases/mod.ts";
import type { Samples } from "./rounds.ts";
import { median, summarize, type Summary } from "./statistics.ts";

/** Reads what one round found; the metric is `ns` unless told. */
export type Reader = (caseId: string, entrantId: string, metric?: Metric) => number;

/** What was measured, with the questions that tables and bars ask of it. */
export class Figures {
  readonly cases: readonly Case[];
  readonly #samples: Samples;

  constructor(cases: readonly Case[], samples: Samples) {
    this.cases = cases;
    this.#samples = samples;
  }

  /** The figures of one entrant over all rounds. */
  summary(caseId: string, entrantId: string, metric: Metric): Summary {
    return summarize(this.#samples.of(caseId, entrantId, metric));
  }

  /**
   * The median over all rounds of an expression of one round's figures: figures
   * taken moments apart are put in relation before the median is taken. `NaN`
   * if one of them was not measured. The expression reads at least one figure.
   */
  perRound(expression: (at: Reader) => number): number {
    const values: number[] = [];
    for (let more = true; more;) {
      const value = expression((caseId, entrantId, metric = "ns") => {
        const figure = this.#samples.of(caseId, entrantId, metric)[values.length];
        if (figure === undefined) more = false;
        return figure ?? NaN;
      });
      if (more) values.push(value);
    }
    return median(values);
  }

  /** How many times ours an entrant takes. */
  timesOurs(caseId: string, entrantId: string, metric: Metric): number {
    return this.perRound((at) => at(caseId, entrantId, metric) / at(caseId, "ours", metric));
  }
}
