import { assert } from "@std/assert";
import { MUTATIONS as CACHE } from "../cache/mutations/table.ts";
import { MUTATIONS as BREAKER } from "../resilience/properties/mutations/table.ts";
import { MUTATIONS as SCOPE } from "../supabase/scope/properties/mutations/table.ts";
import { MUTATIONS as TRANSACTION } from "../postgres/properties/mutations/table.ts";
import { MUTATIONS as REPLICAS } from "../data/replicas/mutations/table.ts";
import { MUTATIONS as OUTAGE } from "../postgres/outages/mutations.ts";
import { MUTATIONS as FLEET } from "../observability/fleet/mutations/table.ts";
import { MUTATIONS as METRICS } from "../observability/metrics/mutations/table.ts";
import { MUTATIONS as TRACING } from "../observability/mutations/table.ts";
import { MUTATIONS as DASHBOARD } from "../local/dashboard/mutations/table.ts";
import { mutate, type Mutation } from "../support/mutations.ts";

const TABLES: readonly (readonly [folder: string, mutations: readonly Mutation[]])[] = [
  ["shared/supabase/", SCOPE],
  ["shared/", BREAKER],
  ["shared/cache/", CACHE],
  ["shared/postgres/", TRANSACTION],
  ["shared/postgres/", OUTAGE],
  ["shared/", REPLICAS],
  ["shared/", FLEET],
  ["shared/", METRICS],
  ["shared/", TRACING],
  ["local/", DASHBOARD],
];

for (const [folder, mutations] of TABLES) {
  Deno.test(`${mutations.length} MUTATIONS of ${folder} apply to the sources as they are, each at exactly one position`, async () => {
    for (const mutation of mutations) {
      const source = await Deno.readTextFile(new URL(`../../${folder}${mutation.file}`, import.meta.url));
      assert(mutate(source, mutation) !== source, `"${mutation.what}" changes nothing`);
    }
  });
}
