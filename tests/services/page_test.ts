import { assertEquals, assertRejects } from "@std/assert";
import { type CountedResult, readPage } from "../../shared/services/page.ts";
import { ServiceError } from "../../shared/services/mod.ts";

const PAST_THE_END: CountedResult<string> = { data: null, error: { code: "PGRST103" }, count: null };

/** Returns a reader of these results, one after the other, and the ranges that it was asked for. */
function reading(...results: CountedResult<string>[]) {
  const ranges: (readonly [number, number])[] = [];
  const read = (from: number, to: number) => {
    ranges.push([from, to]);
    return Promise.resolve(results[ranges.length - 1] ?? PAST_THE_END);
  };
  return { ranges, read };
}

Deno.test("readPage() returns the rows of its range with the count of the list", async () => {
  const { ranges, read } = reading({ data: ["c", "d"], error: null, count: 7 });
  assertEquals(await readPage({ limit: 2, offset: 2 }, read), { items: ["c", "d"], total: 7, limit: 2, offset: 2 });
  assertEquals(ranges, [[2, 3]]);
});

Deno.test("readPage() past the end returns no rows, and reads the count with the first row", async () => {
  const { ranges, read } = reading(PAST_THE_END, { data: ["a"], error: null, count: 7 });
  assertEquals(await readPage({ limit: 5, offset: 100 }, read), { items: [], total: 7, limit: 5, offset: 100 });
  assertEquals(ranges, [[100, 104], [0, 0]]);
});

Deno.test("readPage() past the end of a list that has become empty returns a total of 0", async () => {
  const { read } = reading(PAST_THE_END, PAST_THE_END);
  assertEquals((await readPage({ limit: 5, offset: 100 }, read)).total, 0);
});

Deno.test("readPage() rejects with the error of the query, also of the second one", async () => {
  const denied: CountedResult<string> = { data: null, error: { code: "42501" }, count: null };
  for (const results of [[denied], [PAST_THE_END, denied]]) {
    const error = await assertRejects(() => readPage({ limit: 5, offset: 9 }, reading(...results).read), ServiceError);
    assertEquals([error.code, error.status], ["42501", 403]);
  }
});

Deno.test("readPage() returns no rows and a total of 0 for a result without rows or a count", async () => {
  const { ranges, read } = reading({ data: null, error: null, count: null });
  assertEquals(await readPage({ limit: 1, offset: 0 }, read), { items: [], total: 0, limit: 1, offset: 0 });
  assertEquals(ranges, [[0, 0]]);
});
