import { assertNotStrictEquals, assertStrictEquals } from "@std/assert";
import { JwksSource } from "../../shared/http/auth/jwks_source.ts";

Deno.test("JwksSource.forgetStale() forgets a source without keys that may serve", () => {
  const address = new URL("http://127.0.0.1:1/jwks.json");
  const source = JwksSource.at(address);
  assertStrictEquals(JwksSource.at(address), source);
  JwksSource.forgetStale();
  assertNotStrictEquals(JwksSource.at(address), source);
});
