/**
 * `deno task mutations:dashboard`: puts each fault of the table alone into a copy of the dashboard and of load, runs
 * their tests that need no browser and no stack, and reports whether one failed. With words as arguments, only the
 * faults that have one of them in their text.
 *
 * @module
 */
import { runMutations } from "../../../support/mutations.ts";
import { MUTATIONS } from "./table.ts";

if (import.meta.main) {
  const missed = await runMutations({
    mutations: MUTATIONS,
    folder: "local/",
    tests: [
      ...["arguments", "history", "page", "prometheus", "secret_key", "server", "upstream"].map((name) =>
        `tests/local/dashboard/${name}_test.ts`
      ),
      ...["arguments", "histogram", "run", "target"].map((name) => `tests/local/load/${name}_test.ts`),
    ],
    copied: ["local", "tests/local"],
  });
  Deno.exit(missed === 0 ? 0 : 1);
}
