/**
 * `deno task mutations:fleet`: puts each fault of the table alone into a copy of
 * the fleet and its alerts, runs their tests, of which some need `redis-server`,
 * and reports whether one failed. With words as arguments, only the faults that have one of
 * them in their text.
 *
 * @module
 */
import { runMutations } from "../../../support/mutations.ts";
import { MUTATIONS } from "./table.ts";

const FLEET = ["reporter", "summary", "times", "data_api_store", "redis_store", "cap"];
const HTTP = ["tests/http/fleet_test.ts", "tests/http/fleet_link_test.ts"];

if (import.meta.main) {
  const missed = await runMutations({
    mutations: MUTATIONS,
    folder: "shared/",
    tests: [
      ...FLEET.map((name) => `tests/observability/fleet/${name}_test.ts`),
      ...["evaluate", "notices", "notifier"].map((name) => `tests/observability/alerts/${name}_test.ts`),
      ...HTTP,
    ],
    copied: ["tests/observability", "tests/http/fake_pools.ts", ...HTTP],
  });
  Deno.exit(missed === 0 ? 0 : 1);
}
