/**
 * Figures drawn from the rounds.
 *
 * @module
 */
import type { Case } from "./case.ts";
import type { Samples } from "./rounds.ts";
import { median, summarize, type Summary } from "./statistics.ts";

/** Reads what one round found; the metric is the usual one unless told. */
export type Reader<M extends string> = (caseId: string, entrantId: string, metric?: M) => number;

/** What was measured, with the questions that tables and bars ask of it. */
export class Figures<M extends string> {
  readonly cases: readonly Case<M>[];
  readonly #samples: Samples;
  readonly #usual: M;

  /** @param usual The metric that is meant where none is named. */
  constructor(cases: readonly Case<M>[], samples: Samples, usual: M) {
    this.cases = cases;
    this.#samples = samples;
    this.#usual = usual;
  }

  /** The figures of one entrant over all rounds. */
  summary(caseId: string, entrantId: string, metric: M): Summary {
    return summarize(this.#samples.of(caseId, entrantId, metric));
  }

  /**
   * The median over all rounds of an expression of one round's figures: figures
   * taken moments apart are put in relation before the median is taken. `NaN`
   * if one of them was not measured. The expression reads at least one figure.
   */
  perRound(expression: (at: Reader<M>) => number): number {
    const values: number[] = [];
    for (let more = true; more;) {
      const value = expression((caseId, entrantId, metric = this.#usual) => {
        const figure = this.#samples.of(caseId, entrantId, metric)[values.length];
        if (figure === undefined) more = false;
        return figure ?? NaN;
      });
      if (more) values.push(value);
    }
    return median(values);
  }

  /** How many times the figure of the entrant `ours` an entrant's is. */
  timesOurs(caseId: string, entrantId: string, metric: M): number {
    return this.perRound((at) => at(caseId, entrantId, metric) / at(caseId, "ours", metric));
  }
}
