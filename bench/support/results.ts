/**
 * The results as they are written down.
 *
 * @module
 */
import type { Verdict } from "./bars.ts";
import type { Environment } from "./environment.ts";
import type { Figures } from "./figures.ts";
import type { Summary } from "./statistics.ts";

/** The figures of one entrant in one case. */
export interface EntrantResult<M extends string> {
  readonly id: string;
  readonly title: string;
  readonly figures: { readonly [K in M]?: Summary & { readonly timesOurs: number | null } };
}

/** One case. */
export interface CaseResult<M extends string> {
  readonly id: string;
  readonly title: string;
  readonly metrics: readonly M[];
  readonly entrants: readonly EntrantResult<M>[];
}

/** What is known of a run beside its figures. */
export interface Run {
  readonly environment: Environment;
  /** How many rounds counted. */
  readonly rounds: number;
  readonly quick: boolean;
}

/** A whole run. */
export interface Results<M extends string> extends Run {
  readonly bars: readonly Verdict[];
  readonly cases: readonly CaseResult<M>[];
}

/**
 * Gathers a run's results. Ratios are medians of the rounds' ratios.
 *
 * @param unrelated Metrics whose ratios say nothing: what lies around zero.
 */
export function gather<M extends string>(
  figures: Figures<M>,
  verdicts: readonly Verdict[],
  run: Run,
  unrelated: readonly M[] = [],
): Results<M> {
  const cases = figures.cases.map(({ id, title, metrics, entrants }) => ({
    id,
    title,
    metrics,
    entrants: entrants.map((entrant) => ({
      id: entrant.id,
      title: entrant.title,
      figures: Object.fromEntries(metrics.map((metric) => {
        const timesOurs = figures.timesOurs(id, entrant.id, metric);
        return [metric, {
          ...figures.summary(id, entrant.id, metric),
          timesOurs: Number.isFinite(timesOurs) && !unrelated.includes(metric) ? timesOurs : null,
        }];
      })) as EntrantResult<M>["figures"],
    })),
  }));
  return { ...run, bars: verdicts, cases };
}
