import { assertEquals } from "@std/assert";
import { areTooDeep } from "../../shared/http/auth/user_token.ts";

Deno.test("areTooDeep() accepts 64 levels of objects and lists, the claims themselves included, and rejects 65", () => {
  for (const wrap of [(inner: unknown) => [inner], (inner: unknown) => ({ other: null, inner })]) {
    let claims: object = { sub: "a", none: null };
    for (let levels = 1; levels <= 70; levels++) {
      assertEquals(areTooDeep(claims), levels > 64, `${levels} levels`);
      claims = wrap(claims);
    }
  }
});
