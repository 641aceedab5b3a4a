import { assert, assertEquals } from "@std/assert";
import { CASE_IDS, openCases } from "../../bench/data/cases.ts";
import { TARGETS } from "../../bench/data/main.ts";
import { BenchDatabase } from "../../bench/postgres/database.ts";
import { MeasuredMetrics } from "../../bench/support/metrics.ts";
import { runRounds, Samples } from "../../bench/support/rounds.ts";
import { checkTargets } from "../../bench/support/targets.ts";

Deno.test("openCases() of bench:data measures every candidate, and every target reads candidates that exist", async () => {
  await using resources = new AsyncDisposableStack();
  const database = resources.use(await BenchDatabase.start());
  const cases = openCases(database, { budgetMs: 1, compilations: 10 }, resources);
  assertEquals(cases.map(({ id }) => id), CASE_IDS);
  const samples = new Samples();
  await runRounds(cases, samples, { rounds: 1, warmUps: 0 });
  const measured = new MeasuredMetrics(cases, samples, "perSecond");
  for (const { id, metrics, candidates } of cases) {
    for (const candidate of candidates) {
      for (const metric of metrics) assert(measured.summary(id, candidate.id, metric).median > 0, candidate.id);
    }
  }
  assertEquals(checkTargets(measured, TARGETS).filter(({ met }) => met === undefined), []);
});
