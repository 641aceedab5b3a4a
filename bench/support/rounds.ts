/**
 * Interleaved rounds. Each measures every candidate of every case once, in
 * random order, so that other work of the machine affects all alike and a ratio
 * within a round is of values measured moments apart.
 *
 * @module
 */
import type { Case } from "./case.ts";
import { shuffled } from "./statistics.ts";

/** The values of all rounds, by case, candidate and metric. */
export class Samples {
  readonly #series = new Map<string, number[]>();

  /** Adds the value of the next round. */
  add(caseId: string, candidateId: string, metric: string, value: number): void {
    const key = `${caseId}/${candidateId}/${metric}`;
    const series = this.#series.get(key);
    if (series) series.push(value);
    else this.#series.set(key, [value]);
  }

  /** Returns the values of a candidate, first round first; empty if it was not measured. */
  of(caseId: string, candidateId: string, metric: string): readonly number[] {
    return this.#series.get(`${caseId}/${candidateId}/${metric}`) ?? [];
  }
}

/** Options of {@linkcode runRounds}. */
export interface RoundsOptions {
  /** The number of counted rounds. */
  readonly rounds: number;
  /** The number of rounds before them. */
  readonly warmUps: number;
  /** Called before each round. */
  readonly onRound?: () => void;
  /** Returns numbers in `[0, 1)`. Default: `Math.random`. */
  readonly random?: () => number;
}

/** Measures all cases in rounds and adds the values to `samples`. */
export async function runRounds<M extends string>(
  cases: readonly Case<M>[],
  samples: Samples,
  options: RoundsOptions,
): Promise<void> {
  const { rounds, warmUps, onRound, random } = options;
  for (let round = -warmUps; round < rounds; round++) {
    onRound?.();
    for (const { id, metrics, candidates } of cases) {
      for (const candidate of shuffled(candidates, random)) {
        const measured = await candidate.measure();
        if (round < 0) continue;
        for (const metric of metrics) samples.add(id, candidate.id, metric, measured[metric] ?? NaN);
      }
    }
  }
}
