import { assert, assertEquals } from "@std/assert";
import { CASE_IDS, openCases } from "../../bench/claims/cases.ts";
import { BARS } from "../../bench/claims/main.ts";
import { judge } from "../../bench/support/bars.ts";
import { Figures } from "../../bench/support/figures.ts";
import { runRounds, Samples } from "../../bench/support/rounds.ts";

Deno.test("openCases() measures every candidate, and every bar reads cases and candidates that exist", async () => {
  await using resources = new AsyncDisposableStack();
  const cases = await openCases({ requests: 8, callers: 4, forMs: 20 }, resources);
  assertEquals(cases.map(({ id }) => id), CASE_IDS);
  const samples = new Samples();
  await runRounds(cases, samples, { rounds: 1, warmUps: 0 });
  const figures = new Figures(cases, samples, "requestsPerSecond");
  for (const { id, metrics, entrants } of cases) {
    for (const entrant of entrants) {
      for (const metric of metrics) {
        // The operating system shows sockets on Linux only.
        if (metric === "sockets" && Deno.build.os !== "linux") continue;
        assert(figures.summary(id, entrant.id, metric).median >= 0, `${id}, ${entrant.id}, ${metric}`);
      }
    }
  }
  if (Deno.build.os === "linux") assertEquals(figures.summary("sockets", "fresh", "sockets").median, 1);
  const open = judge(figures, BARS).filter(({ holds }) => holds === undefined).map(({ what }) => what);
  assertEquals(Deno.build.os === "linux" ? open : open.filter((what) => !what.includes("sockets")), []);
});
