import { assert, assertEquals, assertFalse, assertStringIncludes, assertThrows } from "@std/assert";
import { resolveEnv } from "@supabase/server/core";
import { ConfigError } from "../../shared/pool/mod.ts";
import type { Variables } from "../../shared/environment/mod.ts";
import { readEnvironment } from "../support/http.ts";
import { poolVariables } from "../../shared/supabase/environment.ts";

const GOOD: Variables = {
  SUPABASE_URL: "https://project.supabase.co",
  SUPABASE_PUBLISHABLE_KEYS: '{"default":"sb_publishable_a","web":"sb_publishable_b"}',
  SUPABASE_SECRET_KEYS: '{"default":"sb_secret_a"}',
};

function legacyKey(role: string): string {
  return `eyJhbGciOiJIUzI1NiJ9.${btoa(JSON.stringify({ role })).replace(/=+$/, "")}.c2lnbmF0dXJl`;
}

/** Returns the issues of a bad environment, by variable. */
function issuesOf(variables: Variables): Record<string, string> {
  const error = assertThrows(() => readEnvironment(variables), ConfigError);
  return Object.fromEntries(error.issues.map(({ path, message }) => [path, message]));
}

/** Returns the result of `@supabase/server` for the same variables. */
function resolvedByLibrary(variables: Variables) {
  const real = Deno.env.get;
  Deno.env.get = (name) => variables[name];
  try {
    return resolveEnv().data;
  } finally {
    Deno.env.get = real;
  }
}

Deno.test("readEnvironment() reads the keys, the JWKS and the URL as @supabase/server does", async (t) => {
  const { SUPABASE_PUBLISHABLE_KEYS: _, ...withoutPlural } = GOOD;
  const rows: Record<string, Variables> = {
    "named keys": GOOD,
    "single keys": {
      ...withoutPlural,
      SUPABASE_PUBLISHABLE_KEY: "sb_publishable_one",
      SUPABASE_SECRET_KEY: "sb_secret_x",
    },
    "named keys win over a single one": { ...GOOD, SUPABASE_PUBLISHABLE_KEY: "sb_publishable_other" },
    "inline JWKS": { ...GOOD, SUPABASE_JWKS: '{"keys":[{"kty":"oct","kid":"a"}]}' },
    "inline JWKS as a bare array": { ...GOOD, SUPABASE_JWKS: '[{"kty":"oct","kid":"a"}]' },
    "inline JWKS wins over its URL": { ...GOOD, SUPABASE_JWKS: "[]", SUPABASE_JWKS_URL: "https://x.test/jwks" },
    "a JWKS URL": { ...GOOD, SUPABASE_JWKS_URL: " https://x.test/jwks " },
    "a JWKS URL on this machine": { ...GOOD, SUPABASE_JWKS_URL: "http://127.0.0.1:1/jwks" },
    "the public URL's JWKS": { ...GOOD, SUPABASE_PUBLIC_URL: "https://public.test/base/?q#h" },
    "a local project": { ...GOOD, SUPABASE_URL: "http://localhost:54321" },
    "plain HTTP on another machine": { ...GOOD, SUPABASE_URL: "http://kong:8000" },
  };
  for (const [name, variables] of Object.entries(rows)) {
    await t.step(name, () => {
      const library = resolvedByLibrary(variables);
      const { url, publishableKeys, secretKeys, jwks } = readEnvironment(variables);
      assertEquals({ url, publishableKeys, secretKeys, jwks: jwks instanceof URL ? jwks.href : jwks }, {
        url: library?.url,
        publishableKeys: library?.publishableKeys,
        secretKeys: library?.secretKeys,
        jwks: library?.jwks instanceof URL ? library.jwks.href : library?.jwks,
      });
    });
  }
});

Deno.test("readEnvironment() picks the key named default, then the first, then the legacy key", () => {
  assertEquals(readEnvironment(GOOD).publishableKey, "sb_publishable_a");
  assertEquals(
    readEnvironment({ ...GOOD, SUPABASE_PUBLISHABLE_KEYS: '{"web":"sb_publishable_b","app":"c"}' }).publishableKey,
    "sb_publishable_b",
  );
  const [anon, service] = [legacyKey("anon"), legacyKey("service_role")];
  const legacy = readEnvironment({
    SUPABASE_URL: GOOD["SUPABASE_URL"],
    SUPABASE_PUBLISHABLE_KEYS: "{}",
    SUPABASE_ANON_KEY: anon,
    SUPABASE_SERVICE_ROLE_KEY: service,
  });
  assertEquals([legacy.publishableKey, legacy.secretKey], [anon, service]);
  assertEquals(readEnvironment({ ...GOOD, SUPABASE_ANON_KEY: anon }).publishableKey, "sb_publishable_a");
});

Deno.test("readEnvironment() accepts an environment without a secret key", () => {
  const { SUPABASE_SECRET_KEYS: _, ...rest } = GOOD;
  const environment = readEnvironment(rest);
  assertEquals([environment.secretKey, environment.secretKeys], [undefined, {}]);
});

Deno.test("readEnvironment() drops a trailing slash of the URL", () => {
  assertEquals(readEnvironment({ ...GOOD, SUPABASE_URL: "http://localhost:54321/" }).url, "http://localhost:54321");
});

Deno.test("readEnvironment() names the required variables when none is set", () => {
  assertEquals(Object.keys(issuesOf({})), ["SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEYS"]);
});

Deno.test("readEnvironment() lists every bad variable in one error", () => {
  const issues = issuesOf({
    SUPABASE_URL: "ftp://x",
    SUPABASE_PUBLISHABLE_KEYS: "[]",
    SUPABASE_SECRET_KEYS: '{"default":7}',
    SUPABASE_JWKS: "{",
    JWT_SECRET: "short",
    POOL_PRESET: "huge",
    POOL_MAX_CONNECTIONS: "ten",
    POOL_ACQUIRE_TIMEOUT_MS: "-1",
    POOL_IDLE_TIMEOUT_MS: "1.5",
    POOL_CAPTURE_LEASE_STACKS: "maybe",
    POOL_HEADERS: "sometimes",
    POOL_MAX_CONECTIONS: "3",
  });
  assertEquals(
    Object.keys(issues).sort(),
    [
      "JWT_SECRET",
      "POOL_ACQUIRE_TIMEOUT_MS",
      "POOL_CAPTURE_LEASE_STACKS",
      "POOL_HEADERS",
      "POOL_IDLE_TIMEOUT_MS",
      "POOL_MAX_CONECTIONS",
      "POOL_MAX_CONNECTIONS",
      "POOL_PRESET",
      "SUPABASE_JWKS",
      "SUPABASE_PUBLISHABLE_KEYS",
      "SUPABASE_SECRET_KEYS",
      "SUPABASE_URL",
    ],
  );
  assertEquals(issues["POOL_MAX_CONNECTIONS"], 'is "ten", must be auto or a whole number from 1 to 10000');
  assertStringIncludes(issues["POOL_PRESET"] ?? "", "development, production, high-load");
  assertStringIncludes(issues["POOL_MAX_CONECTIONS"] ?? "", "Did you mean POOL_MAX_CONNECTIONS?");
});

Deno.test("readEnvironment() rejects each bad value by its variable", async (t) => {
  const rows: readonly (readonly [string, string])[] = [
    ["SUPABASE_URL", "project.supabase.co"],
    ["SUPABASE_URL", "https://user:hunter2@project.supabase.co"],
    ["SUPABASE_URL", "https://user@project.supabase.co"],
    ["SUPABASE_URL", "https://project.supabase.co/?apikey=x"],
    ["SUPABASE_PUBLISHABLE_KEYS", '{"default":""}'],
    ["SUPABASE_PUBLISHABLE_KEYS", '{"default":"sb_secret_oops"}'],
    ["SUPABASE_PUBLISHABLE_KEYS", '{"default":"sb_secret_a"}'],
    ["SUPABASE_SECRET_KEYS", '{"default":"sb_publishable_oops"}'],
    ["SUPABASE_SECRET_KEYS", '{"default":"opaque"}'],
    ["SUPABASE_JWKS", '{"keys":{}}'],
    ["SUPABASE_JWKS", "null"],
    ["SUPABASE_SECRET_KEYS", "{not JSON"],
    ["SUPABASE_SECRET_KEYS", '["sb_secret_a"]'],
    ["SUPABASE_JWKS", '{"jwks":[]}'],
    ["SUPABASE_JWKS_URL", "http://elsewhere.test/jwks"],
    ["SUPABASE_PUBLIC_URL", "nowhere"],
    ["POOL_MAX_CONNECTIONS", "0"],
    ["POOL_MAX_CONNECTIONS", "0x10"],
    ["POOL_MAX_CONNECTIONS", "1e9"],
    ["POOL_MIN_CONNECTIONS", "11"],
    ["POOL_MAX_USES", "0"],
    ["POOL_LIFETIME_JITTER", "0.9"],
    ["POOL_PRESET", "__proto__"],
    ["POOL_", "x"],
    ["JWT_SECRET", "0123456789012345678901234567890"],
  ];
  for (const [name, value] of rows) {
    await t.step(`${name}=${value}`, () => {
      assertEquals(Object.keys(issuesOf({ ...GOOD, [name]: value })), [name]);
    });
  }
});

Deno.test("readEnvironment() rejects a secret key as a publishable key and the reverse, legacy keys included", () => {
  const issues = issuesOf({
    SUPABASE_URL: GOOD["SUPABASE_URL"],
    SUPABASE_ANON_KEY: legacyKey("service_role"),
    SUPABASE_SERVICE_ROLE_KEY: legacyKey("anon"),
  });
  assertStringIncludes(issues["SUPABASE_ANON_KEY"] ?? "", "bypass row-level security");
  assertStringIncludes(issues["SUPABASE_SERVICE_ROLE_KEY"] ?? "", "is not a secret key");
});

Deno.test("readEnvironment() shows no key, secret or password in its error", () => {
  const secrets = [
    "sb_secret_hush",
    "sb_publishable_hush",
    "hunter2",
    "jwt-secret-hush",
    "sb_secret_in_the_wrong_place",
    legacyKey("service_role"),
  ];
  const error = assertThrows(() =>
    readEnvironment({
      SUPABASE_URL: "https://user:hunter2@project.supabase.co",
      SUPABASE_PUBLISHABLE_KEYS: '{"default":"sb_secret_hush"}',
      SUPABASE_SECRET_KEYS: '{"default":"sb_publishable_hush"}',
      SUPABASE_JWKS_URL: "http://user:hunter2@elsewhere.test",
      JWT_SECRET: "jwt-secret-hush",
      POOL_MAX_CONNECTIONS: "sb_secret_in_the_wrong_place",
      POOL_PRESET: legacyKey("service_role"),
      POOL_HEADERS: "postgres://user:hunter2@db",
    }), ConfigError);
  for (const secret of secrets) assertFalse(error.message.includes(secret), secret);
  assertStringIncludes(error.message, "POOL_PRESET");
});

Deno.test("poolVariables() has a variable for every option that fits in one", () => {
  for (
    const name of ["MAX_CONNECTIONS", "MIN_CONNECTIONS", "IDLE_TIMEOUT_MS", "ACQUIRE_TIMEOUT_MS", "MAX_RETRIES"]
      .concat([
        "RETRY_DELAY_MS",
        "MAX_WAITERS",
        "MAX_LIFETIME_MS",
        "MAX_USES",
        "SCHEMA",
      ])
      .concat(["LEAK_THRESHOLD_MS", "REQUEST_TIMEOUT_MS", "SHUTDOWN_TIMEOUT_MS"])
      .concat(["CALLS_PER_LEASE", "PRESET", "HEADERS", "DEADLINE_MS", "REMEMBER_TOKENS_MS"])
  ) assert(poolVariables().includes(`POOL_${name}`), name);
  for (const name of ["VALIDATE_AFTER_IDLE_MS", "CREATE_TIMEOUT_MS", "CREATE_RETRY_DELAY_MS", "DESTROY_TIMEOUT_MS"]) {
    assertFalse(poolVariables().includes(`POOL_${name}`), `${name} has no effect on a client pool`);
  }
});

Deno.test("readEnvironment() converts variables to the types of their options", () => {
  const { pool, poolHeaders } = readEnvironment({
    ...GOOD,
    POOL_MAX_CONNECTIONS: " 30 ",
    POOL_MAX_USES: "Infinity",
    POOL_LIFETIME_JITTER: ".25",
    POOL_CAPTURE_LEASE_STACKS: "On",
    POOL_SCHEMA: "app",
    POOL_MAX_RETRIES: "",
    POOL_HEADERS: "off",
  });
  assertEquals({ ...pool }, {
    maxConnections: 30,
    maxUses: Infinity,
    lifetimeJitter: 0.25,
    captureLeaseStacks: true,
    schema: "app",
  });
  assertEquals(poolHeaders, false);
  assertEquals(readEnvironment(GOOD).poolHeaders, true);
  assertEquals({ ...readEnvironment(GOOD).pool }, {});
});

Deno.test("readEnvironment() applies POOL_PRESET, and single variables win over it", () => {
  assertEquals({ ...readEnvironment({ ...GOOD, POOL_PRESET: "high-load" }).pool }, {
    maxConnections: 50,
    minConnections: 10,
    idleTimeoutMs: 120_000,
    acquireTimeoutMs: 15_000,
  });
  assertEquals({ ...readEnvironment({ ...GOOD, POOL_PRESET: "Development" }).pool }, {
    maxConnections: 5,
    minConnections: 1,
    idleTimeoutMs: 15_000,
  });
  const { pool } = readEnvironment({ ...GOOD, POOL_PRESET: "production", POOL_IDLE_TIMEOUT_MS: "1000" });
  assertEquals([pool.maxConnections, pool.idleTimeoutMs], [20, 1_000]);
});

Deno.test("readEnvironment() lowers the minimum of a preset with its maximum", () => {
  const { pool } = readEnvironment({ ...GOOD, POOL_PRESET: "production", POOL_MAX_CONNECTIONS: "3" });
  assertEquals([pool.maxConnections, pool.minConnections], [3, 3]);
  const issues = issuesOf({ ...GOOD, POOL_MAX_CONNECTIONS: "3", POOL_MIN_CONNECTIONS: "4" });
  assertEquals(issues, { POOL_MIN_CONNECTIONS: "is 4, must be at most maxConnections (3)" });
});

Deno.test("readEnvironment() returns a frozen environment", () => {
  const environment = readEnvironment(GOOD);
  for (const part of [environment, environment.pool, environment.publishableKeys, environment.secretKeys]) {
    assert(Object.isFrozen(part));
  }
});
