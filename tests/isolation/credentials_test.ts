/**
 * Fuzzes the credentials of requests: no combination acts as another user or
 * sends the secret key. Judged by the requests that reach the Data API.
 *
 * @module
 */
import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import fc from "fast-check";
import type { AuthModeWithKey } from "@supabase/server";
import { type PooledHandler, type PooledSupabaseOptions, withPooledSupabase } from "../../shared/http/mod.ts";
import { SupabaseService } from "../../shared/services/mod.ts";
import { readEnvironment } from "../../shared/http/mod.ts";
import type { Variables } from "../../shared/environment/mod.ts";
import { FakePools, JWT_SECRET } from "../http/fake_pools.ts";
import { createProjectKey, sharedSecretToken, unsignedToken, USER } from "../http/tokens.ts";
import { SecretWatch } from "../support/secret_watch.ts";
import { PROJECT } from "./callers.ts";
import type { Database } from "./handler_behaviors.ts";

const key = await createProjectKey();
const stranger = await createProjectKey();
const anonKey = await sharedSecretToken({ sub: undefined, role: "anon", exp: 4_000_000_000 });
const serviceRoleKey = await sharedSecretToken({ sub: undefined, role: "service_role", exp: 4_000_000_000 });

/** Tokens that prove a user. */
const good = [await key.sign(), await sharedSecretToken()];
/** Tokens that prove no user. */
const bad = [
  await sharedSecretToken({ exp: 1 }),
  await key.sign({ exp: 1 }),
  await sharedSecretToken({ role: "service_role" }),
  await key.sign({ role: "service_role" }),
  await key.sign({ sub: undefined }),
  await stranger.sign(),
  await sharedSecretToken({}, { secret: "x".repeat(40) }),
  unsignedToken({}, { alg: "HS256" }),
  unsignedToken({ role: "service_role" }),
  anonKey,
  serviceRoleKey,
];

const publishable = { default: "sb_publishable_default", web: "sb_publishable_web" };
const secret = { default: "sb_secret_default", jobs: "sb_secret_jobs" };
const common = { SUPABASE_URL: PROJECT, SUPABASE_JWKS: JSON.stringify(key.jwks), JWT_SECRET };

/** A project with today's keys, and one with the older ones, which are tokens themselves. */
const PROJECTS: Readonly<Record<string, Variables>> = {
  "named keys": {
    ...common,
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify(publishable),
    SUPABASE_SECRET_KEYS: JSON.stringify(secret),
  },
  "legacy keys": { ...common, SUPABASE_ANON_KEY: anonKey, SUPABASE_SERVICE_ROLE_KEY: serviceRoleKey },
};

type Auth = NonNullable<PooledSupabaseOptions<Database>["auth"]>;

const MODES: readonly AuthModeWithKey[] = [
  "user",
  "none",
  "publishable",
  "publishable:web",
  "publishable:*",
  "secret",
  "secret:jobs",
  "secret:*",
];

const keys = [...Object.values(publishable), ...Object.values(secret), anonKey, serviceRoleKey];

/** Header values: Latin-1 text without control characters. */
const latin1 = fc.string({ unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)) });
/** A token or key with a part replaced by other text. */
const broken = fc.tuple(fc.constantFrom(...good, ...bad, ...keys), fc.nat(400), latin1).map(([text, at, other]) =>
  text.slice(0, at) + other + text.slice(at + other.length)
);
/** The parts of two tokens, put together. */
const spliced = fc.tuple(fc.constantFrom(...good, ...bad), fc.constantFrom(...good, ...bad), fc.nat(2)).map(
  ([one, other, at]) => one.split(".").with(at, other.split(".")[at] ?? "").join("."),
);
const value = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(...good) },
  fc.constantFrom(...bad, ...keys, "", " ", "null", "undefined", "admin", "anonymous"),
  broken,
  spliced,
  latin1,
);
const scheme = fc.constantFrom("Bearer ", "Bearer ", "bearer ", "BEARER ", "Bearer  ", "Bearer\t", "Basic ", "");
const authorization = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(scheme, value).map((parts) => parts.join("")) },
  fc.tuple(scheme, value, value).map(([name, one, other]) => `${name}${one}, ${name}${other}`),
);
const apikey = fc.oneof(fc.constantFrom(...keys), value);
/** Auth modes with `none` last: a handler rejects options in which a mode follows it. */
const modes = fc.uniqueArray(fc.constantFrom(...MODES), { minLength: 1, maxLength: 4 }).map((
  some,
) => [...some.filter((mode) => mode !== "none"), ...some.filter((mode) => mode === "none")]);
const headersOf = (names: string, text: fc.Arbitrary<string>) =>
  fc.option(text, { nil: undefined }).map((given) => given === undefined ? [] : [[names, given.trim()] as const]);
const request = fc.tuple(headersOf("authorization", authorization), headersOf("apikey", apikey)).map((all) =>
  all.flat()
);

/** A call that arrived at the Data API. */
interface Arrived {
  readonly apikey: string | null;
  readonly authorization: string | null;
}

/** Uses the caller's client in every way, and also sends the received headers with it. */
const handler: PooledHandler<Database> = async (incoming, { supabase, pool, authMode, authKeyName, userClaims }) => {
  const query = supabase.from("items").select();
  for (const name of ["authorization", "apikey"]) query.setHeader(name, incoming.headers.get(name) ?? "");
  await query;
  await supabase.from("items").select();
  await supabase.functions.invoke("report");
  await using lease = await pool.lease();
  await lease.client.from("items").select();
  return Response.json({ authMode, authKeyName, user: userClaims?.id ?? null });
};

Deno.test("withPooledSupabase() hides a token that stands where the scheme should be, or before it", async () => {
  const [token = ""] = good;
  for (
    const authorization of [
      `Bearer\t${token} x`,
      `${token} x`,
      `${token}, Bearer ${token}`,
      `${serviceRoleKey} ${token}`,
    ]
  ) {
    for (const detailed of [true, false]) {
      const handle = withPooledSupabase<Database>(
        { auth: "user", variables: PROJECTS["legacy keys"] ?? {}, errors: { detailed }, service: new FakePools() },
        handler,
      );
      const response = await handle(new Request("http://functions.test/f", { headers: { authorization } }));
      const { code, message } = await response.json();
      assertEquals([response.status, code], [401, "UNUSABLE_CREDENTIAL"]);
      assertMatch(message, /\[credential\]/);
      assert(![token, serviceRoleKey].some((secret) => message.includes(secret)));
    }
  }
});

for (const [name, variables] of Object.entries(PROJECTS)) {
  Deno.test(`withPooledSupabase() sends no more rights to the Data API than the credentials prove, with ${name}`, async () => {
    const arrived: Arrived[] = [];
    const environment = readEnvironment(variables);
    const answer: typeof fetch = (_input, init) => {
      const headers = new Headers(init?.headers);
      arrived.push({ apikey: headers.get("apikey"), authorization: headers.get("authorization") });
      return Promise.resolve(Response.json([]));
    };
    const service = new SupabaseService<Database>({ ...environment, pool: { fetch: answer } });
    const secretKeys: readonly string[] = Object.values(environment.secretKeys);
    const publishableKeys: readonly string[] = Object.values(environment.publishableKeys);
    const own = (apikey: string) => apikey.startsWith("sb_") ? null : `Bearer ${apikey}`;
    const accepted: Record<string, number> = { user: 0, publishable: 0, secret: 0, none: 0 };

    const property = fc.asyncProperty(modes, request, async (auth, given) => {
      arrived.length = 0;
      const watch = new SecretWatch();
      for (const text of [...keys, ...good, ...bad, JWT_SECRET]) watch.know("a key or token", text);
      for (const [header, text] of given) watch.know(`the received ${header}`, text.replace(/^bearer\s+/i, ""));
      const log = (line: string) => watch.inspect("the log", line);
      const handle = withPooledSupabase<Database>({ auth: auth as unknown as Auth, variables, service, log }, handler);
      const headers = new Headers(given.map(([header, text]) => [header, text]));
      const response = await handle(new Request("http://functions.test/f", { headers }));
      const text = await response.text();
      watch.inspectHeaders("the response", response);
      watch.inspect("the response", text);

      const token = /^bearer\s+(.*)$/i.exec(headers.get("authorization") ?? "")?.[1];
      // The last character of a signature has spare bits: another spelling of it is the same proof.
      const proves = (one: string) => token?.slice(0, -1) === one.slice(0, -1) && token.length === one.length;
      const user = good.some(proves);
      for (const { apikey, authorization } of arrived) {
        assert(apikey !== null && publishableKeys.includes(apikey), "a call with a key that is not publishable");
        assert(!secretKeys.some((key) => authorization?.includes(key)), "a call with the secret key as a token");
        if (authorization !== own(apikey)) {
          assert(user && auth.includes("user"), "a call as a user that the credentials do not prove");
          assertEquals(authorization, `Bearer ${token}`);
        }
      }
      if (response.status !== 200) {
        // A key that is not configured is the function's fault; all else is the caller's.
        const missing = name === "legacy keys" && auth.some((mode) => /:(web|jobs)$/.test(mode));
        assertEquals([arrived.length, response.status === 500 && missing ? 401 : response.status], [0, 401], text);
        return;
      }
      assertEquals(arrived.length, 4);
      const { authMode, user: claimed } = JSON.parse(text);
      const ofUser = arrived.filter(({ apikey, authorization }) => authorization !== own(apikey ?? "")).length;
      assertEquals([ofUser, claimed], authMode === "user" ? [4, USER.sub] : [0, null]);
      if (authMode === "secret") {
        // The legacy service_role key also counts as one in a bearer token: cron jobs and webhooks send it so.
        const legacy = headers.get("authorization") === `Bearer ${serviceRoleKey}` && name === "legacy keys";
        assert(legacy || secretKeys.includes(headers.get("apikey") ?? ""), "accepted without the secret key");
      }
      accepted[authMode] = (accepted[authMode] ?? 0) + 1;
    });
    try {
      await fc.assert(property, { numRuns: 2_500, seed: 20_260_105 });
    } finally {
      await service.shutdown(0);
    }
    for (const [mode, count] of Object.entries(accepted)) {
      assertGreater(count, 25, `too few requests were accepted by ${mode}`);
    }
  });
}
