import { assertEquals } from "@std/assert";
import { CASE_IDS, openCases } from "../../bench/claims/cases.ts";
import { TARGETS } from "../../bench/claims/main.ts";
import { runOnce } from "./small_run.ts";

Deno.test("openCases() of bench:claims measures every candidate, and every target reads candidates that exist", async () => {
  await using resources = new AsyncDisposableStack();
  const cases = await openCases({ requests: 8, callers: 4, forMs: 20 }, resources);
  // The operating system shows sockets on Linux only.
  const isLinux = Deno.build.os === "linux";
  const measured = await runOnce({
    cases,
    caseIds: CASE_IDS,
    targets: TARGETS,
    unavailable: isLinux ? [] : ["sockets"],
  });
  if (isLinux) assertEquals(measured.summary("sockets", "fresh", "sockets").median, 1);
});
