/**
 * A small run of a benchmark.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { Case } from "../../bench/support/case.ts";
import { MeasuredMetrics } from "../../bench/support/metrics.ts";
import { runRounds, Samples } from "../../bench/support/rounds.ts";
import { checkTargets, type Target } from "../../bench/support/targets.ts";

/** The parts of a benchmark. */
export interface SmallRun<M extends string> {
  readonly cases: readonly Case<M>[];
  readonly caseIds: readonly string[];
  readonly targets: readonly Target<M>[];
  /** The metrics that this system does not show. Default: none. */
  readonly unavailable?: readonly M[];
}

/**
 * Runs one round, and asserts that every candidate has a value of every metric, and that every target reads cases and
 * candidates that exist.
 */
export async function runOnce<M extends string>(run: SmallRun<M>): Promise<MeasuredMetrics<M>> {
  const { cases, caseIds, targets, unavailable = [] } = run;
  assertEquals(cases.map(({ id }) => id), caseIds);
  const samples = new Samples();
  await runRounds(cases, samples, { rounds: 1, warmUps: 0 });
  const measured = new MeasuredMetrics<M>(cases, samples, "requestsPerSecond" as M);
  for (const { id, metrics, candidates } of cases) {
    for (const candidate of candidates) {
      for (const metric of metrics) {
        if (unavailable.includes(metric)) continue;
        const { median } = measured.summary(id, candidate.id, metric);
        assert(median > 0, `${id}, ${candidate.id}, ${metric}: ${median}`);
      }
    }
  }
  const open = checkTargets(measured, targets).filter(({ met }) => met === undefined).map(({ what }) => what);
  assertEquals(open.filter((what) => !unavailable.some((metric) => what.includes(metric))), []);
  return measured;
}
