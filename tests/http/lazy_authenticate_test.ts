/** Tests that the lazily loaded authentication decides as the eager one does. */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { type AuthenticateOptions, createAuthenticate } from "../../shared/http/auth/authenticate.ts";
import { createLazyAuthenticate } from "../../shared/http/auth/lazy_authenticate.ts";
import { URL_OF_PROJECT } from "./fake_pools.ts";
import { sharedSecretToken } from "./tokens.ts";

const ENV = {
  url: URL_OF_PROJECT,
  publishableKeys: { default: "sb_publishable_a" },
  secretKeys: { default: "sb_secret_a" },
  jwks: null,
};

function request(headers: HeadersInit = {}): Request {
  return new Request("http://127.0.0.1/notes", { headers });
}

Deno.test("createLazyAuthenticate() decides as createAuthenticate() does, in all modes", async () => {
  const carried: HeadersInit[] = [
    {},
    { apikey: "sb_publishable_a" },
    { apikey: "sb_publishable_b" },
    { Authorization: `Bearer ${await sharedSecretToken()}` },
    { Authorization: "Bearer nonsense", apikey: "sb_secret_a" },
  ];
  const modes: AuthenticateOptions["auth"][] = ["none", "publishable", ["none", "user"], ["user", "none"], "secret:*"];
  const verdicts = { taken: 0, refused: 0 };
  for (const auth of modes) {
    const lazy = createLazyAuthenticate({ auth, env: ENV });
    for (const headers of carried) {
      const [ours, theirs] = await Promise.all([
        lazy(request(headers)),
        createAuthenticate({ auth, env: ENV })(request(headers)),
      ]);
      assertEquals(ours.auth, theirs.auth);
      assertEquals([ours.error?.code, ours.error?.status], [theirs.error?.code, theirs.error?.status]);
      verdicts[ours.auth ? "taken" : "refused"]++;
    }
  }
  assert(verdicts.taken > 5 && verdicts.refused > 5, JSON.stringify(verdicts));
});

Deno.test("createLazyAuthenticate() serves requests during loading, caches tokens, and copies its lists", async () => {
  const audience = ["notes"];
  const jwtSecret = "a-secret-of-32-bytes-and-some-more";
  const authenticate = createLazyAuthenticate({
    auth: "user",
    env: ENV,
    jwtSecret,
    audience,
    rememberTokensMs: 60_000,
  });
  audience[0] = "others";
  const token = await sharedSecretToken({ aud: "notes" }, { secret: jwtSecret });
  const bearer = () => authenticate(request({ Authorization: `Bearer ${token}` }));
  const [one, other] = await Promise.all([bearer(), bearer()]);
  assertEquals([one.error, other.error], [null, null]);
  const [first, second] = [await bearer(), await bearer()];
  assertStrictEquals(first.auth, second.auth);
  authenticate.clearCache();
  const third = await bearer();
  assert(third.auth !== null && third.auth !== first.auth);
});
