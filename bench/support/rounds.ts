/**
 * Interleaved rounds: in each, every entrant of every case is measured once, in
 * an order drawn anew. What the machine does meanwhile then falls on all alike,
 * and a ratio within a round is of two figures taken moments apart.
 *
 * @module
 */
import type { Case } from "./case.ts";
import { shuffled } from "./statistics.ts";

/** All figures, by case, entrant and metric; one to a round. */
export class Samples {
  readonly #series = new Map<string, number[]>();

  /** Adds the figure of the next round. */
  add(caseId: string, entrantId: string, metric: string, value: number): void {
    const key = `${caseId}/${entrantId}/${metric}`;
    const series = this.#series.get(key);
    if (series) series.push(value);
    else this.#series.set(key, [value]);
  }

  /** The figures of one entrant, first round first; empty if it was not measured. */
  of(caseId: string, entrantId: string, metric: string): readonly number[] {
    return this.#series.get(`${caseId}/${entrantId}/${metric}`) ?? [];
  }
}

/** Options of {@linkcode runRounds}. */
export interface RoundsOptions {
  /** How many rounds count. */
  readonly rounds: number;
  /** How many go before them. */
  readonly warmUps: number;
  /** Told before each round. */
  readonly onRound?: () => void;
  /** Yields numbers in `[0, 1)`. Default: `Math.random`. */
  readonly random?: () => number;
}

/** Measures all of `cases` in so many rounds, and adds what was found to `samples`. */
export async function runRounds<M extends string>(
  cases: readonly Case<M>[],
  samples: Samples,
  options: RoundsOptions,
): Promise<void> {
  const { rounds, warmUps, onRound, random } = options;
  for (let round = -warmUps; round < rounds; round++) {
    onRound?.();
    for (const { id, metrics, entrants } of cases) {
      for (const entrant of shuffled(entrants, random)) {
        const measured = await entrant.measure();
        if (round < 0) continue;
        for (const metric of metrics) samples.add(id, entrant.id, metric, measured[metric] ?? NaN);
      }
    }
  }
}
