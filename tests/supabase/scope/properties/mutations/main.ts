/**
 * `deno task mutations:scope`: puts each fault of the table alone into a copy of
 * the scope, runs the property test on it, and reports whether it failed. With
 * words as arguments, only the faults that have one of them in their text.
 *
 * @module
 */
import { runMutations } from "../../../../support/mutations.ts";
import { MUTATIONS } from "./table.ts";

if (import.meta.main) {
  const missed = await runMutations({
    mutations: MUTATIONS,
    folder: "shared/supabase/",
    tests: "tests/supabase/scope/properties/",
    copied: ["tests/supabase"],
  });
  Deno.exit(missed === 0 ? 0 : 1);
}
