/** Tests inline key sets. */
import { assertEquals } from "@std/assert";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { createAuthenticate } from "../../shared/http/auth/authenticate.ts";

Deno.test("createAuthenticate() fetches nothing for an inline key set, whose secrets would be part of an address", async () => {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const keys = [{ ...await exportJWK(publicKey), kid: "a", alg: "ES256" }];
  const env = { url: "http://project.test", publishableKeys: {}, secretKeys: {}, jwks: { keys } };
  const token = await new SignJWT({ role: "authenticated" }).setProtectedHeader({ alg: "ES256", kid: "a" })
    .setSubject("alice").setExpirationTime("1h").sign(privateKey);
  const own = globalThis.fetch;
  const fetched: string[] = [];
  globalThis.fetch = (input) => {
    fetched.push(String(input));
    return Promise.reject(new TypeError("no network"));
  };
  try {
    for (const rememberTokensMs of [0, 60_000]) {
      const authenticate = createAuthenticate({ auth: "user", env, rememberTokensMs });
      const request = new Request("http://x.test/f", { headers: { authorization: `Bearer ${token}` } });
      assertEquals((await authenticate(request)).auth?.userClaims?.id, "alice");
    }
  } finally {
    globalThis.fetch = own;
  }
  assertEquals(fetched, []);
});
