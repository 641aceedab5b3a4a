/**
 * The results of a run, as written to `bench/results/`.
 *
 * @module
 */
import type { TargetResult } from "./targets.ts";
import type { Environment } from "./environment.ts";
import type { MeasuredMetrics } from "./metrics.ts";
import type { Summary } from "./statistics.ts";

/** The values of a candidate in a case. */
export interface CandidateResult<M extends string> {
  readonly id: string;
  readonly title: string;
  readonly measured: { readonly [K in M]?: Summary & { readonly timesOurs: number | null } };
}

/** The results of a case. */
export interface CaseResult<M extends string> {
  readonly id: string;
  readonly title: string;
  readonly metrics: readonly M[];
  readonly candidates: readonly CandidateResult<M>[];
}

/** The circumstances of a run. */
export interface Run {
  readonly environment: Environment;
  /** The number of counted rounds. */
  readonly rounds: number;
  readonly quick: boolean;
}

/** The results of a run. */
export interface Results<M extends string> extends Run {
  readonly targets: readonly TargetResult[];
  readonly cases: readonly CaseResult<M>[];
}

/**
 * Gathers the results of a run. Ratios are medians of the rounds' ratios.
 *
 * @param unrelated Metrics without a meaningful ratio, because they are around zero.
 */
export function gather<M extends string>(
  measured: MeasuredMetrics<M>,
  targets: readonly TargetResult[],
  run: Run,
  unrelated: readonly M[] = [],
): Results<M> {
  const cases = measured.cases.map(({ id, title, metrics, candidates }) => ({
    id,
    title,
    metrics,
    candidates: candidates.map((candidate) => ({
      id: candidate.id,
      title: candidate.title,
      measured: Object.fromEntries(metrics.map((metric) => {
        const timesOurs = measured.timesOurs(id, candidate.id, metric);
        return [metric, {
          ...measured.summary(id, candidate.id, metric),
          timesOurs: Number.isFinite(timesOurs) && !unrelated.includes(metric) ? timesOurs : null,
        }];
      })) as CandidateResult<M>["measured"],
    })),
  }));
  return { ...run, targets, cases };
}
