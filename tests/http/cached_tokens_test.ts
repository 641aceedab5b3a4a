/** Tests requests with a cached token. */
import { assertEquals, assertFalse, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { SupabaseEnv } from "@supabase/server";
import fc from "fast-check";
import { type AuthenticateOptions, deepFreeze } from "../../shared/http/auth/authenticate.ts";
import { JWKS_MAX_AGE_MS } from "../../shared/http/auth/jwks_source.ts";
import { createLazyAuthenticate } from "../../shared/http/auth/lazy_authenticate.ts";
import { ConfigError } from "../../shared/pool/mod.ts";
import { type PooledContext, type PooledSupabaseOptions, withPooledSupabase } from "../support/http.ts";
import { cancelUnreadBodies } from "../support/unread_bodies.ts";
import { FakePools, JWT_SECRET, URL_OF_PROJECT, VARIABLES } from "./fake_pools.ts";
import { createProjectKey, type ProjectKey, sharedSecretToken } from "./tokens.ts";

const project = await createProjectKey();
const ENV: SupabaseEnv = {
  url: URL_OF_PROJECT,
  publishableKeys: { default: "sb_publishable_default" },
  secretKeys: {},
  jwks: project.jwks,
};

/** Counts the signatures that are verified. */
function countChecks() {
  const real = crypto.subtle.verify;
  const counted = { checks: 0, [Symbol.dispose]: () => void (crypto.subtle.verify = real) };
  crypto.subtle.verify = (...args: Parameters<typeof real>) => {
    counted.checks++;
    return real.apply(crypto.subtle, args);
  };
  return counted;
}

/** Creates a check that caches tokens, and returns a function that sends it one. */
function setUp(options: Partial<AuthenticateOptions> = {}) {
  const authenticate = createLazyAuthenticate({ auth: "user", env: ENV, rememberTokensMs: 60_000, ...options });
  return async (token: string, headers: Record<string, string> = {}) => {
    const request = new Request("https://x.test/", { headers: { Authorization: `Bearer ${token}`, ...headers } });
    const { auth, error } = await authenticate(request);
    return error === null ? auth.userClaims?.id ?? auth.authMode : `${error.status} ${error.code}`;
  };
}

/** A server of key sets. */
function startJwks(keys: ProjectKey) {
  const state = { keys: keys.jwks, status: 200, fetched: 0 };
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => {
    state.fetched++;
    return Response.json(state.keys, { status: state.status });
  });
  return {
    state,
    env: { ...ENV, jwks: new URL(`http://127.0.0.1:${server.addr.port}/${crypto.randomUUID()}/jwks.json`) },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test("createAuthenticate() verifies a token once, by any verifier, unless caching is switched off", async (t) => {
  await using jwks = startJwks(project);
  const es256 = await project.sign();
  const rows: Record<string, readonly [token: string, options: Partial<AuthenticateOptions>]> = {
    "an inline key set": [es256, {}],
    "a key set at an address": [es256, { env: jwks.env }],
    "a shared secret": [await sharedSecretToken(), { jwtSecret: JWT_SECRET }],
    "after another mode": [es256, { auth: ["secret:*", "user"] }],
  };
  for (const [name, [token, options]] of Object.entries(rows)) {
    for (const [rememberTokensMs, checks] of [[60_000, 1], [0, 4]] as const) {
      await t.step(`${name}, ${rememberTokensMs} ms`, async () => {
        using counted = countChecks();
        const ask = setUp({ ...options, rememberTokensMs });
        const answers = new Set<string>();
        for (let i = 0; i < 4; i++) answers.add(await ask(token));
        assertEquals([...answers], ["11111111-1111-4111-8111-111111111111"]);
        assertEquals(counted.checks, checks);
      });
    }
  }
});

Deno.test("createAuthenticate() verifies a cached token again after a minute, and rejects it after its exp", async () => {
  using time = new FakeTime(1_800_000_000_000);
  using counted = countChecks();
  const ask = setUp();
  const token = await project.sign({ exp: 1_800_000_090 });
  const askAt = async (ms: number) => {
    time.tick(1_800_000_000_000 + ms - Date.now());
    const answer = await ask(token);
    return [answer.slice(0, 3), counted.checks];
  };
  assertEquals(await askAt(0), ["111", 1]);
  assertEquals(await askAt(59_999), ["111", 1]);
  assertEquals(await askAt(60_000), ["111", 2]);
  assertEquals(await askAt(89_999), ["111", 2]);
  assertEquals((await askAt(90_000))[0], "401");
});

Deno.test("createAuthenticate() does not cache a rejection", async () => {
  using time = new FakeTime(1_800_000_000_000);
  const ask = setUp({ jwtSecret: JWT_SECRET });
  const early = await project.sign({ nbf: 1_800_000_010, exp: 1_800_000_100 });
  const refused = [
    await project.sign({ role: "service_role" }),
    await project.sign({ sub: "" }),
    await project.sign({ exp: undefined }),
    await sharedSecretToken({ sub: undefined, role: "anon" }),
    await sharedSecretToken({}, { secret: "x".repeat(40) }),
  ];
  for (let i = 0; i < 3; i++) {
    for (const token of [early, ...refused]) assertEquals(await ask(token), "401 INVALID_JWT");
  }
  time.tick(10_000);
  assertStringIncludes(await ask(early), "1111");
  for (const token of refused) assertEquals(await ask(token), "401 INVALID_JWT");
});

Deno.test("createAuthenticate() verifies a token that differs from a cached one in a character", async () => {
  const ask = setUp({ jwtSecret: JWT_SECRET });
  const good = [await project.sign(), await sharedSecretToken()];
  for (const token of good) assertStringIncludes(await ask(token), "1111");
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...good),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.constantFrom(..."AQgwZz09-_."),
      async (token, where, letter) => {
        // The last character of a signature has spare bits: another spelling of it is the same proof.
        const at = Math.floor(where * (token.length - 1));
        const changed = token.slice(0, at) + letter + token.slice(at + 1);
        if (changed !== token) assertEquals(await ask(changed), "401 INVALID_JWT");
      },
    ),
    { numRuns: 300, seed: 1 },
  );
});

Deno.test("createAuthenticate() never confuses users", async () => {
  const ask = setUp();
  const users = await Promise.all(Array.from({ length: 40 }, (_, i) => project.sign({ sub: `user-${i}` })));
  await Promise.all(Array.from({ length: 800 }, async (_, i) => {
    const who = (i * 7) % 40;
    assertEquals(await ask(users[who] ?? ""), `user-${who}`);
  }));
});

Deno.test("createAuthenticate() caches for its own audience, issuer and roles", async () => {
  const token = await project.sign();
  const audience = ["authenticated"];
  const ask = setUp({ audience });
  assertStringIncludes(await ask(token), "1111");
  for (const other of [{ audience: "elsewhere" }, { issuer: "https://elsewhere.test" }, { roles: ["member"] }]) {
    assertEquals(await setUp(other)(token), "401 INVALID_JWT");
  }
  audience[0] = "elsewhere";
  assertStringIncludes(await ask(await project.sign({ iat: 1 })), "1111");
});

Deno.test("createAuthenticate() tries the modes before `user` first for a cached token, too", async () => {
  const ask = setUp({ auth: ["publishable", "user"] });
  const token = await project.sign();
  for (let i = 0; i < 2; i++) {
    assertStringIncludes(await ask(token), "1111");
    assertEquals(await ask(token, { apikey: "sb_publishable_default" }), "publishable");
  }
});

Deno.test("createAuthenticate() rejects tokens of a withdrawn key from the next fetch on, cached or not", async () => {
  await using jwks = startJwks(project);
  using time = new FakeTime();
  const ask = setUp({ env: jwks.env });
  const token = await project.sign({ exp: Math.floor(Date.now() / 1_000) + 3_600 });
  assertStringIncludes(await ask(token), "1111");
  jwks.state.keys = { keys: [] };
  time.tick(JWKS_MAX_AGE_MS - 1);
  for (let i = 0; i < 2; i++) assertStringIncludes(await ask(token), "1111");
  assertEquals(jwks.state.fetched, 1);
  time.tick(1);
  assertEquals(await ask(token), "401 INVALID_JWT");
  assertEquals(jwks.state.fetched, 2);
});

Deno.test("createAuthenticate() fetches the keys for a token of a new key, and drops those of the old set", async () => {
  const next = await createProjectKey("key-2");
  await using jwks = startJwks(project);
  using time = new FakeTime();
  const ask = setUp({ env: jwks.env });
  const [old, young] = [await project.sign({ exp: 4_000_000_000 }), await next.sign({ exp: 4_000_000_000 })];
  assertStringIncludes(await ask(old), "1111");
  jwks.state.keys = next.jwks;
  assertEquals(await ask(young), "401 INVALID_JWT");
  assertEquals(jwks.state.fetched, 1, "unknown keys cause no flood of fetches");
  time.tick(30_001);
  assertStringIncludes(await ask(old), "1111");
  assertStringIncludes(await ask(young), "1111");
  assertEquals([await ask(old), jwks.state.fetched], ["401 INVALID_JWT", 2]);
});

Deno.test("createAuthenticate() shares one fetch of keys among the handlers of an isolate", async () => {
  await using jwks = startJwks(project);
  const token = await project.sign();
  const asks = [setUp({ env: jwks.env }), setUp({ env: jwks.env, auth: ["secret", "user"] }), setUp({ env: jwks.env })];
  for (const id of await Promise.all(asks.map((ask) => ask(token)))) assertStringIncludes(id, "1111");
  assertEquals(jwks.state.fetched, 1);
});

Deno.test("createAuthenticate() keeps the cache when a fetch brings the same keys", async () => {
  await using jwks = startJwks(project);
  using time = new FakeTime();
  using counted = countChecks();
  const ask = setUp({ env: jwks.env });
  const [alice, bob] = [await project.sign({ exp: 4_000_000_000 }), await project.sign({ exp: 4_000_000_001 })];
  await ask(bob);
  time.tick(JWKS_MAX_AGE_MS - 1);
  await ask(alice);
  time.tick(1);
  await ask(bob);
  await ask(alice);
  assertEquals([jwks.state.fetched, counted.checks], [2, 3]);
});

Deno.test("createAuthenticate() keeps the cache while keys stay the same, and not when they cannot be fetched", async () => {
  await using _bodies = cancelUnreadBodies();
  await using jwks = startJwks(project);
  using time = new FakeTime();
  using counted = countChecks();
  const ask = setUp({ env: jwks.env });
  const token = await project.sign({ exp: 4_000_000_000 });
  await ask(token);
  time.tick(JWKS_MAX_AGE_MS - 1_000);
  await ask(token);
  time.tick(1_000);
  await ask(token);
  await ask(token);
  assertEquals([counted.checks, jwks.state.fetched], [3, 2]);
  jwks.state.status = 500;
  time.tick(JWKS_MAX_AGE_MS - 1);
  assertStringIncludes(await ask(token), "1111");
  time.tick(1);
  assertEquals(await ask(token), "500 JWKS_FETCH_FAILED");
  assertEquals(await setUp({ env: jwks.env, rememberTokensMs: 0 })(token), "500 JWKS_FETCH_FAILED");
});

/** Returns the contexts that a handler gets for requests with the same token. */
async function contextsOf(token: string, options: PooledSupabaseOptions<unknown>, times = 2) {
  const contexts: PooledContext<unknown>[] = [];
  const handle = withPooledSupabase<unknown>(
    { variables: { ...VARIABLES, JWT_SECRET }, service: new FakePools(), log: () => {}, ...options },
    (_request, context) => {
      contexts.push(context);
      return new Response();
    },
  );
  let status = 0;
  for (let i = 0; i < times; i++) {
    ({ status } = await handle(new Request("https://x.test/f", { headers: { Authorization: `Bearer ${token}` } })));
  }
  return { contexts, status };
}

Deno.test("withPooledSupabase() freezes claims deeply, cached or not", async () => {
  const token = await sharedSecretToken({ user_metadata: { name: "Ada", roles: ["reader"] } });
  for (const rememberTokensMs of [60_000, 0]) {
    const { contexts: [first, second] } = await contextsOf(token, { rememberTokensMs });
    const claims = first?.jwtClaims as Record<string, unknown>;
    const metadata = first?.userClaims?.userMetadata as Record<string, unknown>;
    assertThrows(() => claims["sub"] = "someone-else", TypeError);
    assertThrows(() => claims["admin"] = true, TypeError);
    assertThrows(() => metadata["name"] = "Eve", TypeError);
    assertThrows(() => (metadata["roles"] as string[]).push("admin"), TypeError);
    assertEquals(second?.userClaims?.userMetadata, { name: "Ada", roles: ["reader"] });
  }
});

Deno.test("deepFreeze() freezes claims at any depth", () => {
  let value: unknown[] = [];
  for (let i = 0; i < 200_000; i++) value = [value, null, "text"];
  let depth = 0;
  for (let inner: unknown = deepFreeze(value); Array.isArray(inner); inner = inner[0], depth++) {
    if (!Object.isFrozen(inner)) throw new Error(`not frozen at depth ${depth}`);
  }
  assertEquals(depth, 200_001);
});

Deno.test("withPooledSupabase() takes rememberTokensMs from the variable, then from the option, and rejects a bad value", async () => {
  const token = await sharedSecretToken();
  const checksWith = async (options: PooledSupabaseOptions<unknown>, variables = {}) => {
    using counted = countChecks();
    const { status } = await contextsOf(
      token,
      { variables: { ...VARIABLES, JWT_SECRET, ...variables }, ...options },
      3,
    );
    return [status, counted.checks];
  };
  assertEquals(await checksWith({}), [200, 1]);
  assertEquals(await checksWith({}, { POOL_REMEMBER_TOKENS_MS: "0" }), [200, 3]);
  assertEquals(await checksWith({ rememberTokensMs: 1_000 }, { POOL_REMEMBER_TOKENS_MS: "0" }), [200, 1]);
  assertEquals(await checksWith({ rememberTokensMs: 0 }), [200, 3]);
  for (const rememberTokensMs of [60_001, -1, 0.5, NaN]) {
    await assertRejects(() => checksWith({ rememberTokensMs }), ConfigError, "rememberTokensMs");
  }
  assertEquals((await checksWith({}, { POOL_REMEMBER_TOKENS_MS: "90000" }))[0], 500);
  assertFalse((await checksWith({}, { POOL_REMEMBER_TOKENS_MS: "60000" }))[0] === 500);
});

Deno.test("createAuthenticate() fetches published keys again after the wall clock was set back", async () => {
  await using jwks = startJwks(project);
  const next = await createProjectKey();
  const ask = setUp({ env: jwks.env });
  const { now } = Date;
  using _restored = { [Symbol.dispose]: () => void (Date.now = now) };
  Date.now = () => now() + 86_400_000;
  const first = await ask(await project.sign());
  assertFalse(first.startsWith("401"), first);
  assertEquals(jwks.state.fetched, 1);
  Date.now = now;
  jwks.state.keys = next.jwks;
  const rotated = await ask(await next.sign());
  assertFalse(rotated.startsWith("401"), rotated);
  assertEquals(jwks.state.fetched, 2);
});
