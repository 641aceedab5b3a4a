import { assert, assertEquals } from "@std/assert";
import { DENO_2_1 } from "../../local/deno_2_1/deno.ts";
import { certificateEnvironment } from "../../local/deno_2_1/deno.ts";
import { npmProgram } from "../support/components.ts";
import { NODE, runPortable, RUNS } from "./portable_runs.ts";
import { PortableTests } from "./portable_tests.ts";
import { ROOT } from "./support.ts";

const node = await npmProgram(NODE);
const deno21 = await npmProgram(DENO_2_1, { env: certificateEnvironment() });
const AVAILABLE = { "node": node, "deno 2.1": deno21, "deno": { ignore: false, note: "" } };

for (const run of RUNS) {
  const { ignore, note } = AVAILABLE[run.on];
  Deno.test({
    // `deno task release` runs the other folders as well.
    name: `The tests of services and resilience pass against the package of ${run.from} on ${run.on}${note}`,
    ignore,
    fn: async () => {
      const { code, output, passed } = await runPortable(run, ["services", "resilience"]);
      assertEquals(code, 0, output);
      assert(passed >= 9, output);
    },
  });
}

Deno.test("PortableTests.list() returns the tests of public names only", async () => {
  const tests = await PortableTests.read(ROOT);
  const pool = await tests.list("tests/pool");
  assert(pool.includes("tests/pool/lease_test.ts") && pool.length >= 14, pool.join());
  // It imports WaiterQueue, which no entry point exports.
  assert(!pool.includes("tests/pool/waiter_queue_test.ts"));
  // Through tests/support/http.ts, which exports all of shared/http.
  const http = await tests.list("tests/http");
  assert(http.includes("tests/http/cors_test.ts") && http.length >= 12, http.join());
  // It imports VerifiedTokenCache, which no entry point exports.
  assert(!http.includes("tests/http/verified_token_cache_test.ts"));
});
