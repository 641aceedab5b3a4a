/**
 * `deno task mutations:tracing`: puts each fault of the tables alone into a copy of monitors, tracing and log, runs their
 * tests on it, and reports whether one failed. With words as arguments, only the faults that have one of them in their
 * text.
 *
 * @module
 */
import { runMutations } from "../../support/mutations.ts";
import { LOG_MUTATIONS, TRACING_MUTATIONS } from "./table.ts";

const COPIED = ["tests/observability", "tests/http"];

if (import.meta.main) {
  const missed = await runMutations({
    mutations: TRACING_MUTATIONS,
    folder: "shared/",
    tests: [
      "tests/observability/monitors/",
      "tests/observability/tracing/",
      "tests/observability/correlation_test.ts",
      "tests/http/tracing_test.ts",
      "tests/http/pool_events_test.ts",
      "tests/http/server_timing_test.ts",
    ],
    copied: COPIED,
  });
  const missedOfLog = await runMutations({
    mutations: LOG_MUTATIONS,
    folder: "shared/",
    tests: ["structured_log", "log_budget", "plain_data", "bounds", "describe_error", "redact"]
      .map((name) => `tests/observability/${name}_test.ts`),
    copied: COPIED,
  });
  Deno.exit(missed + missedOfLog === 0 ? 0 : 1);
}
