/**
 * `deno task mutations:metrics`: puts each fault of the table alone into a copy of the metrics, runs their tests that need
 * no server on it, and reports whether one failed. With words as arguments, only the faults that have one of them in their
 * text.
 *
 * @module
 */
import { runMutations } from "../../../support/mutations.ts";
import { MUTATIONS } from "./table.ts";

if (import.meta.main) {
  const missed = await runMutations({
    mutations: MUTATIONS,
    folder: "shared/",
    tests: ["tests/observability/metrics/", "tests/http/metrics_test.ts", "tests/http/metrics_link_test.ts"],
    // grafana_test compares the instruments with the dashboard.
    copied: [
      "tests/observability",
      "tests/http",
      "tests/supabase/support.ts",
      "tests/cache",
      "local/dashboard",
      "docs",
    ],
  });
  Deno.exit(missed === 0 ? 0 : 1);
}
