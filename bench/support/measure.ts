/**
 * The measurement of a benchmark: its cases in interleaved rounds, and its targets.
 *
 * @module
 */
import type { Case } from "./case.ts";
import type { Environment } from "./environment.ts";
import { MeasuredMetrics } from "./metrics.ts";
import type { Options } from "./options.ts";
import { gather, type Results } from "./results.ts";
import { runRounds, Samples } from "./rounds.ts";
import { checkTargets, type Target } from "./targets.ts";

/** Cases that are measured together. */
export interface Phase<M extends string> {
  readonly cases: readonly Case<M>[];
  /** The number of rounds before the counted ones. */
  readonly warmUps: number;
  /** The counted rounds, as a share of `--rounds`. Default: 1. */
  readonly share?: number;
}

/** The benchmark, as {@linkcode measurePhases} needs it. */
export interface Measured<M extends string> {
  readonly options: Pick<Options, "quick" | "rounds" | "only">;
  /** Takes the number of rounds and returns a function to call before each; see `Bench.measure`. */
  readonly onRounds: (total: number) => () => void;
  readonly environment: Environment;
  /** The metric that candidates are compared by, unless another one is named. */
  readonly metric: M;
  readonly targets: readonly Target<M>[];
  /** Metrics without a meaningful ratio, because they are around zero. Default: none. */
  readonly unrelated?: readonly M[];
}

/** Measures the cases that `--only` names, phase by phase, and checks the targets. */
export async function measurePhases<M extends string>(
  all: readonly Phase<M>[],
  { options: { quick, rounds, only }, onRounds, environment, metric, targets, unrelated }: Measured<M>,
): Promise<Results<M>> {
  const phases = all.map(({ cases, warmUps, share = 1 }) => ({
    cases: cases.filter(({ id }) => only.length === 0 || only.includes(id)),
    warmUps,
    rounds: Math.ceil(rounds * share),
  })).filter(({ cases }) => cases.length > 0);
  const onRound = onRounds(phases.reduce((sum, phase) => sum + phase.warmUps + phase.rounds, 0));
  const samples = new Samples();
  for (const phase of phases) await runRounds(phase.cases, samples, { ...phase, onRound });
  const measured = new MeasuredMetrics<M>(phases.flatMap(({ cases }) => cases), samples, metric);
  return gather(measured, checkTargets(measured, targets), { environment, rounds, quick }, unrelated);
}
