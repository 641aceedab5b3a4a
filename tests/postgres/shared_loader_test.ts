/** A transaction that acts for a user, in a loader of the shared cache. */
import { assertEquals, assertRejects } from "@std/assert";
import { LayeredCache, SharedLoaderError } from "../../shared/cache/mod.ts";
import { claimsOf, TestDatabase } from "./support.ts";

const ALICE = "7a1d6f3e-0c4b-4e52-9f0a-1b6b1c2d3e04";
const WHO = "select auth.uid()::text as uid";

Deno.test("Transaction.query() of a user throws in a loader of the shared cache, and goes on outside of it", async () => {
  await using database = await TestDatabase.start();
  const manager = database.manager({}, "authenticator");
  using cache = new LayeredCache();
  const own = cache.forUser({ jwtClaims: { sub: ALICE }, authMode: "user" });
  const result = await manager.as(claimsOf(ALICE)).transaction(async (tx) => {
    const rows = async () => (await tx.query(WHO)).rows;
    const nested = () => tx.transaction(async (inner) => (await inner.query(WHO)).rows);
    // Before the first statement, which begins the transaction, and behind it.
    for (const _turn of [1, 2]) {
      for (const loader of [rows, nested]) {
        await assertRejects(() => cache.getOrLoad("shared", loader), SharedLoaderError);
        assertEquals(await cache.exists("shared"), false);
      }
      assertEquals(await rows(), [{ uid: ALICE }]);
    }
    return await own.getOrLoad("own", rows);
  });
  assertEquals(result, [{ uid: ALICE }]);
  for (const queries of [manager, manager.as("anonymous")]) {
    const load = () => queries.transaction(async (tx) => (await tx.query("select 1 as n")).rows);
    assertEquals(await cache.getOrLoad(`all ${queries === manager}`, load), [{ n: 1 }]);
  }
});
