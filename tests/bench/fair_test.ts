import { CASE_IDS, openCases } from "../../bench/fair/cases.ts";
import { TARGETS } from "../../bench/fair/main.ts";
import { runOnce } from "./small_run.ts";

Deno.test("openCases() of bench:fair measures every candidate, and every target reads candidates that exist", async () => {
  await using resources = new AsyncDisposableStack();
  const cases = await openCases({ flood: 20, forMs: 300 }, resources);
  await runOnce({ cases, caseIds: CASE_IDS, targets: TARGETS });
});
