import { assert, assertEquals } from "@std/assert";
import { CASE_IDS, openCases } from "../../bench/cache/cases.ts";
import { TARGETS } from "../../bench/cache/main.ts";
import { MeasuredMetrics } from "../../bench/support/metrics.ts";
import { runRounds, Samples } from "../../bench/support/rounds.ts";
import { checkTargets } from "../../bench/support/targets.ts";
import { redisServer } from "../support/redis.ts";

Deno.test({
  name: `openCases() of bench:cache measures every candidate, with one load for all who miss${redisServer.note}`,
  ignore: redisServer.ignore,
  async fn() {
    await using resources = new AsyncDisposableStack();
    const cases = await openCases({ hits: 1_000, reads: 100 }, resources);
    assertEquals(cases.map(({ id }) => id), CASE_IDS);
    const samples = new Samples();
    await runRounds(cases, samples, { rounds: 1, warmUps: 0 });
    const measured = new MeasuredMetrics(cases, samples, "perSecond");
    for (const { id, metrics, candidates } of cases) {
      for (const candidate of candidates) {
        for (const metric of metrics) assert(measured.summary(id, candidate.id, metric).median > 0, candidate.id);
      }
    }
    for (const candidate of ["memory", "redis"]) {
      assertEquals(measured.summary("misses", candidate, "loads").median, 1);
    }
    assertEquals(checkTargets(measured, TARGETS).filter(({ met }) => met === undefined), []);
  },
});
