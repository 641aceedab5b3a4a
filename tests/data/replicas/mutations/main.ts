/**
 * `deno task mutations:replicas`: puts each fault of the table alone into a copy of the group of targets, runs its tests
 * on it, and reports whether one failed. With words as arguments, only the faults that have one of them in their text.
 *
 * @module
 */
import { runMutations } from "../../../support/mutations.ts";
import { MUTATIONS } from "./table.ts";

if (import.meta.main) {
  const missed = await runMutations({
    mutations: MUTATIONS,
    folder: "shared/",
    tests: ["tests/data/replicas/router_test.ts", "tests/data/replicas/topology_test.ts"],
    copied: ["tests/data/replicas"],
  });
  Deno.exit(missed === 0 ? 0 : 1);
}
