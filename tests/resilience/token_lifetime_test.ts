import { assertEquals } from "@std/assert";
import { isNumericDate, refusalResponse, servesUntilMs, TOKEN_LEEWAY_MS } from "../../shared/resilience/mod.ts";

Deno.test("isNumericDate() accepts points in time up to the year 9999", () => {
  for (const claim of [0, -1, 1.5, 1_900_000_000, 253_402_300_799]) assertEquals(isNumericDate(claim), true);
  const others = [
    1e308,
    -1e308,
    Infinity,
    NaN,
    253_402_300_800,
    Number.MAX_SAFE_INTEGER,
    Date.now(),
    "1900000000",
    null,
  ];
  for (const claim of [...others, undefined, {}, [1], true, 1n]) assertEquals(isNumericDate(claim), false);
});

Deno.test("servesUntilMs() adds 30 s for a token that was valid when its request began", () => {
  assertEquals(TOKEN_LEEWAY_MS, 30_000);
  assertEquals(servesUntilMs(1_000, false, 999_999), 1_030_000);
  assertEquals(servesUntilMs(1_000, false, 1_000_000), -Infinity);
  assertEquals(servesUntilMs(1_000, true, 1_000_000), 1_030_000);
  assertEquals(servesUntilMs(-1, true, 0), 29_000);
  assertEquals(servesUntilMs(1_000.5, false, 1_000_400), 1_030_500);
});

Deno.test("refusalResponse() blames the client for what the client sent", () => {
  const statuses = (["mistake", "claims", "expired", "role"] as const).map((reason) => refusalResponse(reason).status);
  assertEquals(statuses, [500, 400, 401, 403]);
});
