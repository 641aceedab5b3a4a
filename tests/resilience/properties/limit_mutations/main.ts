/**
 * `deno task mutations:limit`: puts each fault of the table alone into a copy of the adaptive limit and its pools, runs
 * their tests on it, and reports whether one failed. With words as arguments, only the faults that have one of them in
 * their text.
 *
 * @module
 */
import { runMutations } from "../../../support/mutations.ts";
import { MUTATIONS } from "./table.ts";

if (import.meta.main) {
  const missed = await runMutations({
    mutations: MUTATIONS,
    folder: "shared/",
    tests: [
      "tests/resilience/adaptive_limit_test.ts",
      "tests/resilience/cohort_test.ts",
      "tests/resilience/limit_refusals_test.ts",
      "tests/resilience/limit_steps_test.ts",
      "tests/pool/capacity_test.ts",
      "tests/supabase/auto_limit_test.ts",
    ],
    copied: ["tests/resilience", "tests/pool", "tests/supabase"],
  });
  Deno.exit(missed === 0 ? 0 : 1);
}
