/**
 * `deno task mutations:breaker`: puts each fault of the table alone into a copy of
 * circuit breaker, retry budget and guard of targets, runs their tests on it, and
 * reports whether one failed. With words as arguments, only the faults that have
 * one of them in their text.
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
      "tests/resilience/circuit_breaker_test.ts",
      "tests/resilience/circuit_breaker_control_test.ts",
      "tests/resilience/retry_budget_test.ts",
      "tests/resilience/properties/circuit_breaker_test.ts",
      "tests/resilience/attempts_test.ts",
      "tests/resilience/sliding_counts_test.ts",
      "tests/supabase/target_guard_test.ts",
      "tests/supabase/target_guard_bounds_test.ts",
      "tests/supabase/circuits_test.ts",
    ],
    copied: ["tests/resilience", "tests/supabase"],
  });
  Deno.exit(missed === 0 ? 0 : 1);
}
