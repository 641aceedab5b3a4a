import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { importCheckout } from "../../bench/regression/checkout.ts";
import { open as openHandler } from "../../bench/regression/handler_case.ts";
import {
  CASE_IDS,
  compare,
  HELP,
  isSlower,
  parseRegressionOptions,
  reportComparisons,
} from "../../bench/regression/main.ts";
import { measure } from "../../bench/regression/measure.ts";
import { open as openPool } from "../../bench/regression/pool_case.ts";
import { open as openPostgres } from "../../bench/regression/postgres_case.ts";
import type { OpenCase, Sample, Series, Work } from "../../bench/regression/work.ts";
import { BenchDatabase } from "../../bench/postgres/database.ts";
import { canCollect } from "../../bench/support/heap.ts";
import { UsageError } from "../../bench/support/options.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const checkout = await importCheckout(ROOT);

function sampled(pairs: readonly (readonly [before: number, after: number])[]): Series {
  const samples = pairs.map(([before, after]): Sample => ({ before, after, wallBefore: before, wallAfter: after * 2 }));
  return { id: "work", title: "some work", unit: "ns", samples };
}

async function runOnce({ work }: OpenCase): Promise<void> {
  for (const one of work) {
    if (one.unit === "ns") await one.run(30);
    // Reading the heap needs --v8-flags=--expose-gc.
    else if (canCollect()) assert(await one.bytes() > 0, one.title);
  }
}

Deno.test("importCheckout() imports a checkout through its entry points", () => {
  assertEquals(typeof checkout.shared.ResourcePool, "function");
  assertEquals(typeof checkout.postgres.PostgresConnectionManager, "function");
});

Deno.test("open() of the pool case runs its work on a checkout", async () => {
  await using open = openPool(checkout);
  await runOnce(open);
});

Deno.test({
  name: "open() of the handler case runs its work on a checkout",
  // The pools of a handler live as long as their isolate.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await using open = await openHandler(checkout);
    await runOnce(open);
  },
});

Deno.test("open() of the Postgres case runs its work on a checkout", async () => {
  await using database = await BenchDatabase.start();
  await using open = openPostgres(checkout, JSON.stringify([database.owner, database.authenticator]));
  await runOnce(open);
});

Deno.test("measure() runs both sides equally often, in alternating order", async () => {
  let order = "";
  const work = (side: string): Work => ({ id: "x", title: "x", unit: "bytes", bytes: () => (order += side).length });
  const [series] = await measure([work("b")], [work("a")], { warmUps: 0, rounds: 2 });
  assertEquals(order, "baabbaababbaabba");
  assertEquals(series?.samples.length, 2);
});

Deno.test("measure() rejects sides that differ in their work", async () => {
  const work = (id: string): Work => ({ id, title: id, unit: "bytes", bytes: () => 1 });
  let message = "";
  await measure([work("one")], [work("two")], { warmUps: 0, rounds: 1 }).catch((error) => message = error.message);
  assertMatch(message, /one, two/);
});

Deno.test("compare() takes the median of the rounds' ratios, not the ratio of the medians", () => {
  // The machine was ten times slower in the last two rounds.
  const { ratio, before, after, low, high, wallRatio } = compare(
    "pool",
    sampled([[10, 11], [10, 12], [10, 11], [100, 110], [200, 220]]),
  );
  assertEquals({ ratio, before, after, low, high, wallRatio }, {
    ratio: 1.1,
    before: 10,
    after: 12,
    low: 1.1,
    high: 1.2,
    wallRatio: 2.2,
  });
});

Deno.test("isSlower() needs a ratio above the target and an interval above 1", () => {
  const comparison = compare("pool", sampled([[100, 110]]));
  assertEquals(isSlower(comparison), true);
  assertEquals(isSlower({ ...comparison, low: 0.99 }), false);
  assertEquals(isSlower({ ...comparison, ratio: 1.03 }), false);
});

Deno.test("reportComparisons() prints costs, ratio, interval and verdict", () => {
  const text = reportComparisons([compare("pool", sampled([[100, 110]])), compare("pool", sampled([[100, 90]]))]);
  assertMatch(text, /^pool: some work +100 ns +110 ns +1\.100 +1\.100–1\.100 +2\.200 +SLOWER$/m);
  assertMatch(text, /90\.0 ns +0\.900 +0\.900–0\.900 +1\.800 +faster$/m);
});

Deno.test("parseRegressionOptions() reads every option that --help lists", () => {
  const options = parseRegressionOptions(["--before", "/a", "--case=pool,handler", "--rounds", "7", "--out", "x"]);
  assertEquals([options.before, options.cases, options.rounds, options.out], ["/a", ["pool", "handler"], 7, "x"]);
  assertEquals(options.after, ROOT);
  assertEquals(parseRegressionOptions(["--before=b"]).before, `${Deno.cwd()}/b`);
  assertEquals(parseRegressionOptions(["--before=b"]).rounds, 15);
  assertEquals(parseRegressionOptions(["--before=b", "--quick"]).rounds, 3);
  assertEquals(parseRegressionOptions(["--help"]).help, true);
  for (const id of CASE_IDS) assertStringIncludes(HELP, id);
});

Deno.test("parseRegressionOptions() throws UsageError naming the invalid argument", () => {
  for (
    const [args, message] of [
      [[], "--before is required"],
      [["--before=b", "--case", "pool,nothing"], 'Unknown case "nothing". Valid cases: pool,'],
      [["--before=b", "--rounds", "0"], '--rounds must be an integer from 1 to 1000, not "0"'],
      [["--before=b", "--fast"], "'--fast'"],
    ] as const
  ) assertThrows(() => parseRegressionOptions(args), UsageError, message);
});
