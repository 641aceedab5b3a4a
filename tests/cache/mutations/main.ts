/**
 * `deno task mutations:cache`: puts each fault of the table alone into a copy of
 * the cache, runs its tests that need no server, and reports whether one failed.
 * With words as arguments, only the faults that have one of them in their text.
 *
 * @module
 */
import { runMutations } from "../../support/mutations.ts";
import { MUTATIONS } from "./table.ts";

if (import.meta.main) {
  const missed = await runMutations({
    mutations: MUTATIONS,
    folder: "shared/cache/",
    tests: ["value", "identity", "load", "nested_loads", "levels", "outages", "shared_loader", "model"].map((name) =>
      `tests/cache/${name}_test.ts`
    ),
    copied: ["tests/cache"],
  });
  Deno.exit(missed === 0 ? 0 : 1);
}
