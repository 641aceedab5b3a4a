/** Tests the legacy keys of a project that has newer ones, too. */
import { assert, assertEquals } from "@std/assert";
import { createClient } from "@supabase/supabase-js";
import { withLegacyKeys } from "../../shared/http/auth/legacy_keys.ts";
import type { AuthOption } from "../support/http.ts";
import { VARIABLES } from "./fake_pools.ts";
import { setUp } from "./fake_handler.ts";
import { JWT_SECRET } from "./fake_pools.ts";
import { sharedSecretToken } from "./tokens.ts";

const encode = (value: unknown) => btoa(JSON.stringify(value)).replaceAll("=", "");
const key = (role: string, signature = "c2lnbmF0dXJl") =>
  `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ role, iss: "supabase", exp: 2_000_000_000 })}.${signature}`;

const ANON = key("anon");
const SERVICE = key("service_role");
const variables = { ...VARIABLES, SUPABASE_ANON_KEY: ANON, SUPABASE_SERVICE_ROLE_KEY: SERVICE, JWT_SECRET };
const user = await sharedSecretToken();

const signedOut = { apikey: ANON, Authorization: `Bearer ${ANON}` };
const cron = { Authorization: `Bearer ${SERVICE}` };

type Row = readonly [auth: AuthOption, headers: Record<string, string>, expected: string | number];

const ROWS: Record<string, Row> = {
  "a signed-out client": ["publishable", signedOut, "publishable default"],
  "a signed-out client where users come first": [["user", "publishable"], signedOut, "publishable default"],
  "a signed-out client and any key": ["publishable:*", signedOut, "publishable default"],
  "a signed-out client and a key of another name": ["publishable:web", signedOut, 401],
  "a signed-out client where only users may call": ["user", signedOut, 401],
  "a signed-out client where secrets may call": [["user", "secret"], signedOut, 401],
  "a signed-out client where a secret or anyone may call": [["secret", "none"], signedOut, "none undefined"],
  "a cron job": ["secret", cron, "secret default"],
  "a cron job where users come first": [["user", "secret"], cron, "secret default"],
  "a webhook with apikey": ["secret", { apikey: SERVICE }, "secret default"],
  "a cron job with the anon key as apikey": ["secret", { ...cron, apikey: ANON }, "secret default"],
  "a cron job with the anon key, where only publishable keys may call": [
    "publishable",
    { ...cron, apikey: ANON },
    "publishable default",
  ],
  "a cron job where only users may call": ["user", cron, 401],
  "a cron job with a newer apikey": ["secret", { ...cron, apikey: "sb_publishable_default" }, "secret default"],
  "a newer secret key beside the anon key": [
    ["publishable", "secret"],
    { apikey: "sb_secret_default", Authorization: `Bearer ${ANON}` },
    "secret default",
  ],
  "a newer publishable key beside the service_role key": [
    ["publishable", "secret"],
    { ...cron, apikey: "sb_publishable_default" },
    "publishable default",
  ],
  "a cron job with an apikey that is wrong": [["publishable", "secret"], { ...cron, apikey: "x" }, "secret default"],
  "a signed-in client with a legacy key": [
    ["user", "publishable"],
    { apikey: ANON, Authorization: `Bearer ${user}` },
    "user undefined",
  ],
  "a signed-in client where keys come first": [
    ["publishable", "user"],
    { apikey: ANON, Authorization: `Bearer ${user}` },
    "publishable default",
  ],
  "an invalid token with a legacy key": [
    ["user", "publishable"],
    { apikey: ANON, Authorization: `Bearer ${user}x` },
    401,
  ],
  "an invalid token between modes": [
    ["secret", "user", "publishable"],
    { apikey: ANON, Authorization: `Bearer ${user}x` },
    401,
  ],
  "a key of another project": ["publishable", { apikey: key("anon", "b3RoZXI") }, 401],
  "a key of another project, of the same length": [
    "secret",
    { Authorization: `Bearer ${key("service_role", "c2lnbmF0dXJm")}` },
    401,
  ],
  "a prefix of a key": ["publishable", { apikey: ANON.slice(0, -1) }, 401],
  "a newer key": ["publishable", { apikey: "sb_publishable_default" }, "publishable default"],
};

for (const [name, [auth, headers, expected]] of Object.entries(ROWS)) {
  Deno.test(`withPooledSupabase() and legacy keys: ${name}`, async () => {
    const { send } = setUp((_request, { authMode, authKeyName, jwtClaims }) => {
      assertEquals(jwtClaims === null, authMode !== "user");
      return new Response(`${authMode} ${authKeyName}`);
    }, { auth, variables });
    const response = await send({ headers });
    const text = await response.text();
    assertEquals(response.ok ? text : response.status, expected);
  });
}

Deno.test("legacyKeys: false rejects legacy keys, as does an env option with keys of its own", async () => {
  for (
    const options of [
      { legacyKeys: false },
      { env: { publishableKeys: { default: "sb_publishable_a" }, secretKeys: { default: "sb_secret_a" } } },
    ]
  ) {
    const { send } = setUp(() => new Response(), { auth: ["publishable", "secret"], variables, ...options });
    for (const headers of [signedOut, cron, { apikey: SERVICE }]) assertEquals((await send({ headers })).status, 401);
  }
});

Deno.test("/<name>/health/pool shows details to the legacy service_role key, unless legacyKeys is false", async () => {
  const showsDetails = async (headers: Record<string, string>, legacyKeys?: boolean) => {
    const options = legacyKeys === undefined ? {} : { legacyKeys };
    const { fetch: handle } = setUp(() => new Response(), { auth: "user", variables, ...options });
    const response = await handle(new Request("https://x.test/f/health/pool", { headers }));
    return "durationMs" in (await response.json()).details.testQuery;
  };
  for (const headers of [{ apikey: SERVICE }, cron, { ...cron, apikey: SERVICE }, { apikey: "sb_secret_default" }]) {
    assertEquals(await showsDetails(headers), true, JSON.stringify(headers));
  }
  const others: Record<string, string>[] = [
    signedOut,
    { apikey: key("service_role", "b3RoZXI") },
    { Authorization: `Bearer ${user}` },
    { Authorization: `Basic ${SERVICE}` },
    {},
  ];
  for (const headers of others) assertEquals(await showsDetails(headers), false, JSON.stringify(headers));
  for (const headers of [{ apikey: SERVICE }, cron]) assertEquals(await showsDetails(headers, false), false);
});

Deno.test("legacy keys count only under the variable of their role", async () => {
  const swapped = { ...variables, SUPABASE_ANON_KEY: SERVICE, SUPABASE_SERVICE_ROLE_KEY: ANON };
  for (const auth of ["publishable", "secret"] as const) {
    const { send } = setUp(() => new Response(), { auth, variables: swapped });
    for (const headers of [signedOut, cron]) assertEquals((await send({ headers })).status, 401);
  }
});

Deno.test("a signed-out supabase-js client with the legacy anon key calls a function with auth publishable", async () => {
  const { fetch: handle } = setUp(() => Response.json("hello"), { auth: ["user", "publishable"], variables });
  const client = createClient("https://x.test", ANON, {
    global: { fetch: (input, init) => handle(new Request(input, init)) },
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const { data, error } = await client.functions.invoke("f");
  assert(error === null, String(error));
  assertEquals(data, "hello");
});

Deno.test("withLegacyKeys() drops the remembered tokens of what it extends when memory is low", () => {
  let cleared = 0;
  const inner = Object.assign(() => Promise.reject(new Error("not called")), { clearCache: () => void cleared++ });
  const keys = { publishableKey: "sb_publishable_a", secretKey: "sb_secret_a" };
  const extended = withLegacyKeys(inner, "secret", { anon: ANON, serviceRole: SERVICE }, keys);
  extended.clearCache();
  assertEquals(cleared, 1);
});

Deno.test("withLegacyKeys() accepts one legacy key where the project has no other", async () => {
  for (
    const [name, legacyKey, auth] of [
      ["SUPABASE_ANON_KEY", ANON, "publishable"],
      ["SUPABASE_SERVICE_ROLE_KEY", SERVICE, "secret"],
    ] as const
  ) {
    const { send } = setUp(() => new Response(), { auth, variables: { ...VARIABLES, [name]: legacyKey } });
    const response = await send({ headers: { apikey: legacyKey } });
    assertEquals(response.status, 200, name);
  }
});
