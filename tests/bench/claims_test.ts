import { assert, assertEquals } from "@std/assert";
import { CASE_IDS, openCases } from "../../bench/claims/cases.ts";
import { TARGETS } from "../../bench/claims/main.ts";
import { checkTargets } from "../../bench/support/targets.ts";
import { MeasuredMetrics } from "../../bench/support/metrics.ts";
import { runRounds, Samples } from "../../bench/support/rounds.ts";

Deno.test("openCases() measures every candidate, and every target reads cases and candidates that exist", async () => {
  await using resources = new AsyncDisposableStack();
  const cases = await openCases({ requests: 8, callers: 4, forMs: 20 }, resources);
  assertEquals(cases.map(({ id }) => id), CASE_IDS);
  const samples = new Samples();
  await runRounds(cases, samples, { rounds: 1, warmUps: 0 });
  const measured = new MeasuredMetrics(cases, samples, "requestsPerSecond");
  for (const { id, metrics, candidates } of cases) {
    for (const candidate of candidates) {
      for (const metric of metrics) {
        // The operating system shows sockets on Linux only.
        if (metric === "sockets" && Deno.build.os !== "linux") continue;
        assert(measured.summary(id, candidate.id, metric).median >= 0, `${id}, ${candidate.id}, ${metric}`);
      }
    }
  }
  if (Deno.build.os === "linux") assertEquals(measured.summary("sockets", "fresh", "sockets").median, 1);
  const open = checkTargets(measured, TARGETS).filter(({ met }) => met === undefined).map(({ what }) => what);
  assertEquals(Deno.build.os === "linux" ? open : open.filter((what) => !what.includes("sockets")), []);
});
