/**
 * The results as they are written down.
 *
 * @module
 */
import type { Verdict } from "./bars.ts";
import type { Metric } from "./cases/mod.ts";
import type { Environment } from "./environment.ts";
import type { Figures } from "./figures.ts";
import type { Summary } from "./statistics.ts";

/** The figures of one entrant in one case. */
export interface EntrantResult {
  readonly id: string;
  readonly title: string;
  readonly figures: { readonly [M in Metric]?: Summary & { readonly timesOurs: number | null } };
}

/** One case. */
export interface CaseResult {
  readonly id: string;
  readonly title: string;
  readonly metrics: readonly Metric[];
  readonly entrants: readonly EntrantResult[];
}

/** A whole run. */
export interface Results {
  readonly environment: Environment;
  readonly rounds: number;
  readonly quick: boolean;
  readonly bars: readonly Verdict[];
  readonly cases: readonly CaseResult[];
}

/** Gathers a run's results. Ratios are medians of the rounds' ratios. */
export function gather(
  figures: Figures,
  verdicts: readonly Verdict[],
  run: { readonly environment: Environment; readonly rounds: number; readonly quick: boolean },
): Results {
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
          // What is kept in the heap is around zero: a ratio of it says nothing.
          timesOurs: Number.isFinite(timesOurs) && metric !== "retainedBytes" ? timesOurs : null,
        }];
      })),
    })),
  }));
  return { ...run, bars: verdicts, cases };
}
