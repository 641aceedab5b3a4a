import { verifyAuth } from "@supabase/server/core";
import { assert, assertEquals } from "@std/assert";
import { verifyUserToken } from "../../shared/http/auth/user_token.ts";
import { createProjectKey, sharedSecretToken, unsignedToken, USER } from "./tokens.ts";

const key = await createProjectKey();
const stranger = await createProjectKey();
const second = await createProjectKey("key-2");
const good = await key.sign();
const [header, payload, signature] = good.split(".");
const keys = { keys: [...key.jwks.keys, ...second.jwks.keys] };
const duplicates = { keys: [...key.jwks.keys, ...stranger.jwks.keys] };
const hour = 3_600;
const nowSeconds = Math.floor(Date.now() / 1_000);

/** Tokens that differ from a good one in one way. */
const tokens: Record<string, string> = {
  good,
  "of the second key": await second.sign(),
  "of a stranger's key": await stranger.sign(),
  expired: await key.sign({ exp: nowSeconds - 1 }),
  "not valid yet": await key.sign({ nbf: nowSeconds + hour }),
  "without exp": await key.sign({ exp: undefined }),
  "exp is text": await key.sign({ exp: "tomorrow" }),
  "without sub": await key.sign({ sub: undefined }),
  "sub is a number": await key.sign({ sub: 7 }),
  "sub is empty": await key.sign({ sub: "" }),
  "another audience": await key.sign({ aud: "elsewhere" }),
  "several audiences": await key.sign({ aud: ["elsewhere", USER.aud] }),
  "another issuer": await key.sign({ iss: "https://elsewhere.test" }),
  "without kid": await key.sign({}, { kid: undefined }),
  "an unknown kid": await key.sign({}, { kid: "key-3" }),
  "kid of the other key": await key.sign({}, { kid: "key-2" }),
  unsigned: unsignedToken({}, { kid: "key-1" }),
  "HS256 with a kid": await sharedSecretToken({}, { kid: "key-1" }),
  "critical header": await key.sign({}, { crit: ["b64"], b64: true }),
  "signature of another token": `${header}.${payload}.${(await second.sign()).split(".")[2]}`,
  "no signature": `${header}.${payload}.`,
  "payload changed": `${header}.${btoa(JSON.stringify({ ...USER, sub: "mallory" })).replaceAll("=", "")}.${signature}`,
  "two parts": `${header}.${payload}`,
  text: "not a token",
  "an API key": "sb_publishable_x",
};

const expectations = [
  {},
  { audience: USER.aud },
  { audience: [USER.aud, "other"], issuer: USER.iss },
  { issuer: [] },
  { audience: "" },
  { audience: ["", USER.aud] },
];

const keySets = [["one key", key.jwks], ["two keys", keys], ["two keys of one kid", duplicates]] as const;

for (const [name, keySet] of keySets) {
  Deno.test(`verifyUserToken() accepts what @supabase/server accepts, and nothing else: ${name}`, async () => {
    let accepted = 0;
    for (const expected of expectations) {
      for (const [title, token] of Object.entries(tokens)) {
        const own = await verifyUserToken(token, keySet, expected);
        const { data } = await verifyAuth(
          new Request("http://function.test", { headers: { authorization: `Bearer ${token}` } }),
          {
            auth: "user",
            env: { url: "http://project.test", publishableKeys: {}, secretKeys: {}, jwks: keySet },
            ...expected,
          },
        );
        assertEquals(own ?? null, data, `${title}, ${JSON.stringify(expected)}`);
        if (own) accepted++;
      }
    }
    // Of two keys of one kid, neither package says which it is.
    assert(name === "two keys of one kid" ? accepted === 0 : accepted > 10, `${accepted} accepted`);
  });
}

Deno.test("verifyUserToken() leaves HS256 tokens to @supabase/server, even where the key set has their key", async () => {
  const jwk = { kty: "oct", k: btoa("a secret of at least 32 characters!"), alg: "HS256", kid: "secret" };
  const token = await sharedSecretToken({}, { secret: "a secret of at least 32 characters!", kid: "secret" });
  assertEquals(await verifyUserToken(token, { keys: [jwk] }, {}), undefined);
});

Deno.test("verifyUserToken() does not throw for an invalid key set: @supabase/server rejects it", async () => {
  assertEquals(await verifyUserToken(good, { keys: "none" } as never, {}), undefined);
});
