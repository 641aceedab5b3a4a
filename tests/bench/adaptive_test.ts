import { CASE_IDS, openCases } from "../../bench/adaptive/cases.ts";
import { TARGETS } from "../../bench/adaptive/main.ts";
import { runOnce } from "./small_run.ts";

Deno.test("openCases() of bench:adaptive measures every candidate, and every target reads candidates that exist", async () => {
  await using resources = new AsyncDisposableStack();
  const cases = await openCases({ callers: 30, forMs: 150, warmUpMs: 150 }, resources);
  await runOnce({ cases, caseIds: CASE_IDS, targets: TARGETS });
});
