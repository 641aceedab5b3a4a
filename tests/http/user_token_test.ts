/** The rules for a user's token. */
import { assert, assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { importSPKI } from "jose";
import { type PooledContext, type PooledSupabaseOptions, withPooledSupabase } from "../support/http.ts";
import { userTokenFailure } from "../../shared/http/auth/user_token.ts";
import { CallerError } from "../../shared/postgres/mod.ts";
import { IdentityError } from "../../shared/supabase/mod.ts";
import { FakePools, JWT_SECRET, VARIABLES } from "./fake_pools.ts";
import { createProjectKey, sharedSecretToken, unsignedToken, USER } from "./tokens.ts";

type Options = PooledSupabaseOptions<unknown>;

/** Sends a bearer token; returns the response, and the context if the handler ran. */
async function send(token: string, options: Options = {}, variables = {}, headers: Record<string, string> = {}) {
  const service = new FakePools();
  let context: PooledContext<unknown> | undefined;
  const handler = withPooledSupabase(
    { variables: { ...VARIABLES, JWT_SECRET, ...variables }, service, log: () => {}, ...options },
    (_request, given) => {
      context = given;
      return Response.json({ supabase: given.supabase !== undefined });
    },
  );
  const response = await handler(
    new Request("https://x.test/f", { headers: { Authorization: `Bearer ${token}`, ...headers } }),
  );
  return { response, body: await response.json(), context, service };
}

Deno.test("withPooledSupabase() accepts a user's token signed with the shared secret, and binds the view to it", async () => {
  const token = await sharedSecretToken();
  const { response, context, service } = await send(token);
  assertEquals(response.status, 200);
  assertEquals(context?.authMode, "user");
  assertEquals(context?.userClaims, {
    id: USER.sub,
    role: "authenticated",
    email: USER.email,
    appMetadata: USER.app_metadata,
    userMetadata: USER.user_metadata,
  });
  assertEquals(context?.jwtClaims?.sub, USER.sub);
  assertEquals(context?.authKeyName, undefined);
  assertEquals(service.user.scopes.map(({ options }) => options.identity), [{ token }]);
  assertEquals(service.adminAsked, 0);
});

Deno.test("withPooledSupabase() rejects tokens that are not a user's", async (t) => {
  const rows: Record<string, readonly [token: string, reason: string]> = {
    "another secret": [await sharedSecretToken({}, { secret: "x".repeat(40) }), "signature did not verify"],
    "a legacy anon key": [
      await sharedSecretToken({ sub: undefined, role: "anon", aud: undefined, iss: "supabase" }),
      'no "sub" claim',
    ],
    "a legacy service_role key": [
      await sharedSecretToken({ sub: undefined, role: "service_role", aud: undefined, iss: "supabase" }),
      'no "sub" claim',
    ],
    "an empty sub": [await sharedSecretToken({ sub: "" }), 'no "sub" claim'],
    "service_role with a sub": [await sharedSecretToken({ role: "service_role" }), '"role" claim'],
    "anon with a sub": [await sharedSecretToken({ role: "anon" }), '"role" claim'],
    "no role": [await sharedSecretToken({ role: undefined }), '"role" claim'],
    "roles that are a list": [await sharedSecretToken({ role: ["authenticated"] }), '"role" claim'],
    "no exp": [await sharedSecretToken({ exp: undefined }), 'no "exp" claim'],
    "expired": [await sharedSecretToken({ exp: Math.floor(Date.now() / 1000) - 1 }), "expired"],
    "expiring this instant": [await sharedSecretToken({ exp: Math.floor(Date.now() / 1000) }), "expired"],
    "not yet valid": [await sharedSecretToken({ nbf: 4_000_000_000 }), '"nbf" claim'],
    "an exp that is text": [await sharedSecretToken({ exp: "4000000000" }), '"exp" claim'],
    "HS384": [await sharedSecretToken({}, { secret: "x".repeat(64), alg: "HS384" }), 'missing "kid"'],
    "HS512 with the right secret and a kid": [
      await sharedSecretToken({}, { secret: JWT_SECRET.repeat(2), alg: "HS512", kid: "key-1" }),
      "",
    ],
    "unsigned": [unsignedToken(), 'missing "kid"'],
    "unsigned, with a kid": [unsignedToken({}, { kid: "key-1" }), ""],
    "unsigned, saying HS256": [unsignedToken({}, { alg: "HS256" }), "malformed|signature"],
    "no token at all": ["x.y.z", "could not be decoded"],
  };
  for (const [name, [token, reason]] of Object.entries(rows)) {
    await t.step(name, async () => {
      const { response, body, context, service } = await send(token, { auth: ["user", "none"] });
      assertEquals(response.status, 401);
      assertEquals(response.headers.get("x-supabase-server-error"), "INVALID_JWT");
      assertEquals([body.source, body.code], ["@supabase/server", "INVALID_JWT"]);
      assert(new RegExp(reason).test(body.message), body.message);
      assertEquals(body.details.acceptedAuthModes, ["user", "none"]);
      assertFalse(JSON.stringify(body).includes(token));
      assertEquals(context, undefined);
      assertEquals([service.user.scopes.length, service.adminAsked], [0, 0]);
    });
  }
});

Deno.test("withPooledSupabase() rejects a token in the form of @supabase/server", async () => {
  const token = await sharedSecretToken({ exp: 1 });
  const ours = await send(token, {}, {}, { apikey: "sb_publishable_default" });
  const theirs = await send(token, {}, { JWT_SECRET: "" }, { apikey: "sb_publishable_default" });
  assertEquals(Object.keys(ours.body), Object.keys(theirs.body));
  assertEquals(ours.body.details, theirs.body.details);
  assertEquals(ours.body.details.jwt, { alg: "HS256", kid: null });
  assertEquals(ours.body.docs, theirs.body.docs);
});

Deno.test("withPooledSupabase() leaves HS256 tokens to @supabase/server without a secret", async () => {
  const { response, body } = await send(await sharedSecretToken(), {}, { JWT_SECRET: "" });
  assertEquals(response.status, 401);
  assertStringIncludes(body.message, 'missing "kid"');
});

Deno.test("withPooledSupabase() never uses a public key as a secret", async () => {
  // The classic confusion: the public key's text, which is public, used as an HMAC secret.
  const { publicKey } = await crypto.subtle.generateKey(
    { name: "RSASSA-PKCS1-v1_5", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" },
    true,
    ["sign", "verify"],
  ) as CryptoKeyPair;
  const der = new Uint8Array(await crypto.subtle.exportKey("spki", publicKey));
  const pem = `-----BEGIN PUBLIC KEY-----\n${btoa(String.fromCharCode(...der))}\n-----END PUBLIC KEY-----`;
  await importSPKI(pem, "RS256");
  const jwks = JSON.stringify({
    keys: [{ ...await crypto.subtle.exportKey("jwk", publicKey), kid: "rsa", alg: "RS256", key_ops: undefined }],
  });
  for (const kid of [undefined, "rsa"]) {
    const token = await sharedSecretToken({}, { secret: pem, ...(kid === undefined ? {} : { kid }) });
    for (const secret of ["", JWT_SECRET]) {
      const { response } = await send(token, {}, { SUPABASE_JWKS: jwks, JWT_SECRET: secret });
      assertEquals(response.status, 401);
    }
  }
});

Deno.test("withPooledSupabase() verifies an HS256 token against the JWKS key of its kid, else against the secret", async () => {
  const other = "another-secret-of-more-than-32-bytes!!";
  const k = btoa(other).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const SUPABASE_JWKS = JSON.stringify({ keys: [{ kty: "oct", kid: "shared", alg: "HS256", k }] });
  const statusOf = async (secret: string, kid: string) =>
    (await send(await sharedSecretToken({}, { secret, kid }), {}, { SUPABASE_JWKS })).response.status;
  assertEquals(await statusOf(other, "shared"), 200);
  assertEquals(await statusOf(JWT_SECRET, "shared"), 401);
  assertEquals(await statusOf(JWT_SECRET, "old"), 200);
  assertEquals(await statusOf(other, "old"), 401);
});

Deno.test("withPooledSupabase() applies its rules to tokens that @supabase/server accepted", async (t) => {
  const project = await createProjectKey();
  const variables = { SUPABASE_JWKS: JSON.stringify(project.jwks) };
  const rows: Record<string, readonly [changes: Record<string, unknown>, status: number]> = {
    "a user": [{}, 200],
    "no exp": [{ exp: undefined }, 401],
    "an empty sub": [{ sub: "" }, 401],
    "service_role": [{ role: "service_role" }, 401],
    "no role": [{ role: undefined }, 401],
  };
  for (const [name, [changes, status]] of Object.entries(rows)) {
    await t.step(name, async () => {
      const { response, body } = await send(await project.sign(changes), {}, variables);
      assertEquals(response.status, status);
      if (status === 401) assertEquals(body.details.jwt, { alg: "ES256", kid: "key-1" });
    });
  }
});

Deno.test("userTokenFailure() expires a token by the wall clock, to the instant", () => {
  const failure = (exp: unknown, nowMs: number) =>
    userTokenFailure({ sub: "a", role: "authenticated", exp }, ["authenticated"], nowMs);
  assertEquals(failure(1_000, 999_999), undefined);
  assertStringIncludes(failure(1_000, 1_000_000)?.reason ?? "", "expired");
  for (const exp of [NaN, Infinity, 1e308, 1e12, "2000", null]) {
    assertStringIncludes(failure(exp, 0)?.reason ?? "", '"exp"');
  }
});

Deno.test("withPooledSupabase() responds 401 when the token expires while its request runs, whichever pool notices", async () => {
  using time = new FakeTime();
  for (const thrown of [new IdentityError("x", "expired"), new CallerError("x", "expired")]) {
    for (const [passMs, expected] of [[61_000, [401, "INVALID_JWT"]], [0, [401, thrown.code]]] as const) {
      const token = await sharedSecretToken({ exp: Math.floor(Date.now() / 1_000) + 60 });
      const options = { variables: { ...VARIABLES, JWT_SECRET }, service: new FakePools(), log: () => {} };
      const handler = withPooledSupabase(options, () => {
        time.tick(passMs);
        throw thrown;
      });
      const response = await handler(
        new Request("https://x.test/f", { headers: { Authorization: `Bearer ${token}` } }),
      );
      assertEquals([response.status, (await response.json()).code], [...expected]);
    }
  }
});

Deno.test("withPooledSupabase() accepts the user roles of its pool", async () => {
  const service = new FakePools();
  service.user.config = { ...service.user.config, userRoles: ["member"] };
  assertEquals((await send(await sharedSecretToken({ role: "member" }), { service })).response.status, 200);
  assertEquals((await send(await sharedSecretToken(), { service })).response.status, 401);
});

Deno.test("withPooledSupabase() checks issuer and audience if they are configured", async (t) => {
  const rows: readonly (readonly [Options, Record<string, unknown>, number])[] = [
    [{ audience: "authenticated", issuer: USER.iss }, {}, 200],
    [{ audience: ["x", "authenticated"] }, {}, 200],
    [{ audience: "elsewhere" }, {}, 401],
    [{ issuer: "https://elsewhere.test" }, {}, 401],
    [{ audience: "authenticated" }, { aud: undefined }, 401],
    [{ issuer: USER.iss }, { iss: undefined }, 401],
    [{ audience: "" }, {}, 401],
    [{ audience: [] }, {}, 401],
    [{ issuer: "" }, {}, 401],
    [{ issuer: [] }, {}, 401],
    [{ issuer: [USER.iss, ""] }, {}, 401],
  ];
  for (const [options, changes, status] of rows) {
    await t.step(`${JSON.stringify(options)} ${JSON.stringify(Object.keys(changes))}`, async () => {
      assertEquals((await send(await sharedSecretToken(changes), options)).response.status, status);
    });
  }
});

Deno.test("withPooledSupabase() prefers the option jwtSecret to the variable", async () => {
  const jwtSecret = "an-option-of-more-than-32-bytes-of-text";
  assertEquals((await send(await sharedSecretToken({}, { secret: jwtSecret }), { jwtSecret })).response.status, 200);
  assertEquals((await send(await sharedSecretToken(), { jwtSecret })).response.status, 401);
});

Deno.test("withPooledSupabase() tries the modes before user first, for tokens of any verifier", async () => {
  const apikey = "sb_publishable_default";
  const auth = ["publishable", "user"] as const;
  const bad = await sharedSecretToken({ exp: 1 });
  const withKey = await send(bad, { auth }, {}, { apikey });
  assertEquals([withKey.response.status, withKey.context?.authMode], [200, "publishable"]);
  assertEquals(withKey.service.user.scopes.map(({ options }) => options.identity), ["anonymous"]);
  assertEquals((await send(bad, { auth })).response.status, 401);
  assertEquals((await send(await sharedSecretToken(), { auth }, {}, { apikey: "no" })).context?.authMode, "user");
});

Deno.test("withPooledSupabase() ignores a token if no mode accepts users", async () => {
  for (const auth of ["publishable", "secret"] as const) {
    const { response, service } = await send(await sharedSecretToken(), { auth });
    assertEquals([response.status, service.user.scopes.length], [401, 0]);
  }
  const { context, service } = await send(await sharedSecretToken(), { auth: "none" });
  assertEquals([context?.authMode, context?.userClaims], ["none", null]);
  assertEquals(service.user.scopes.map(({ options }) => options.identity), ["anonymous"]);
});
