import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError, PRESETS } from "../../shared/pool/mod.ts";
import { readSupabaseEnvironment } from "../../shared/supabase/environment.ts";

const PROJECT = {
  SUPABASE_URL: "https://project.supabase.co/",
  SUPABASE_PUBLISHABLE_KEYS: '{"web":"sb_publishable_web","default":"sb_publishable_default"}',
  SUPABASE_SECRET_KEYS: '{"jobs":"sb_secret_jobs","reports":"sb_secret_reports"}',
};

/** Returns the issues of a project with other variables, by their path. */
function issuesOf(variables: Record<string, string | undefined>): Record<string, string> {
  const error = assertThrows(() => readSupabaseEnvironment({ ...PROJECT, ...variables }), ConfigError);
  return Object.fromEntries(error.issues.map(({ path, message }) => [path, message]));
}

Deno.test("readSupabaseEnvironment() returns the URL, the keys and the options that are set, frozen", () => {
  const environment = readSupabaseEnvironment({ ...PROJECT, POOL_MAX_CONNECTIONS: "7", POOL_RETRY_READS: "off" });
  assertEquals(environment, {
    url: "https://project.supabase.co",
    publishableKeys: { web: "sb_publishable_web", default: "sb_publishable_default" },
    secretKeys: { jobs: "sb_secret_jobs", reports: "sb_secret_reports" },
    publishableKey: "sb_publishable_default",
    secretKey: "sb_secret_jobs",
    pool: { maxConnections: 7, retryReads: false },
  });
  assert(Object.isFrozen(environment) && Object.isFrozen(environment.pool) && Object.isFrozen(environment.secretKeys));
  assertEquals(readSupabaseEnvironment(PROJECT).pool, {});
});

Deno.test("readSupabaseEnvironment() throws on one bad variable as on several", () => {
  assertEquals(issuesOf({ SUPABASE_URL: undefined }), {
    SUPABASE_URL: "must be set to the project URL, for example https://<ref>.supabase.co",
  });
  assertEquals(Object.keys(issuesOf({ POOL_MAX_CONNECTIONS: "0" })), ["POOL_MAX_CONNECTIONS"]);
  assertEquals(Object.keys(issuesOf({ SUPABASE_URL: "ftp://x", SUPABASE_SECRET_KEYS: "[]" })), [
    "SUPABASE_URL",
    "SUPABASE_SECRET_KEYS",
  ]);
});

for (const part of ["user@", ":word@"]) {
  Deno.test(`readSupabaseEnvironment() rejects a URL with ${part}`, () => {
    const message = "must not contain a user, password, query or fragment";
    assertEquals(issuesOf({ SUPABASE_URL: `https://${part}project.supabase.co` }), { SUPABASE_URL: message });
  });
}

for (const part of ["?query", "#fragment"]) {
  Deno.test(`readSupabaseEnvironment() rejects a URL with ${part}`, () => {
    const message = "must not contain a user, password, query or fragment";
    assertEquals(issuesOf({ SUPABASE_URL: `https://project.supabase.co/${part}` }), { SUPABASE_URL: message });
  });
}

for (
  const keys of ["null", "7", '"key"', '["sb_publishable_a"]', '{"":"sb_publishable_a"}', '{"a":""}', '{"a":7}', "{"]
) {
  Deno.test(`readSupabaseEnvironment() rejects ${keys} as publishable keys, once`, () => {
    assertEquals(issuesOf({ SUPABASE_PUBLISHABLE_KEYS: keys }), {
      SUPABASE_PUBLISHABLE_KEYS:
        'must be a JSON object mapping names to keys, for example {"default":"sb_publishable_\u2026"}',
    });
  });
}

Deno.test("readSupabaseEnvironment() rejects secret keys with an example of them", () => {
  assertEquals(issuesOf({ SUPABASE_SECRET_KEYS: "{" }), {
    SUPABASE_SECRET_KEYS: 'must be a JSON object mapping names to keys, for example {"default":"sb_secret_\u2026"}',
  });
});

Deno.test("readSupabaseEnvironment() reads single keys where none are named, and names their variables", () => {
  const single = { SUPABASE_PUBLISHABLE_KEYS: "{}", SUPABASE_SECRET_KEYS: undefined };
  const environment = readSupabaseEnvironment({
    ...PROJECT,
    ...single,
    SUPABASE_PUBLISHABLE_KEY: "sb_publishable_one",
    SUPABASE_SECRET_KEY: "sb_secret_one",
  });
  assertEquals([environment.publishableKey, environment.secretKey], ["sb_publishable_one", "sb_secret_one"]);
  assertEquals(environment.secretKeys, { default: "sb_secret_one" });
  assertEquals(
    Object.keys(issuesOf({ ...single, SUPABASE_PUBLISHABLE_KEY: "sb_secret_a", SUPABASE_SECRET_KEY: "opaque" })),
    ["SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY"],
  );
});

Deno.test("readSupabaseEnvironment() rejects keys of the other kind by their names and variables", () => {
  assertEquals(
    issuesOf({
      SUPABASE_PUBLISHABLE_KEYS: undefined,
      SUPABASE_ANON_KEY: "sb_secret_a",
      SUPABASE_SECRET_KEYS: '{"a":"sb_publishable_b"}',
    }),
    {
      SUPABASE_ANON_KEY: "(default) is a secret key: user requests would bypass row-level security",
      SUPABASE_SECRET_KEYS: "(a) is not a secret key: expected sb_secret_\u2026 or a legacy service_role key",
    },
  );
});

Deno.test("readSupabaseEnvironment() needs a publishable key, and no secret key", () => {
  assertEquals(issuesOf({ SUPABASE_PUBLISHABLE_KEYS: undefined }), {
    SUPABASE_PUBLISHABLE_KEYS:
      "Set this, SUPABASE_PUBLISHABLE_KEY or SUPABASE_ANON_KEY: user requests need a publishable key",
  });
  assertEquals(readSupabaseEnvironment({ ...PROJECT, SUPABASE_SECRET_KEYS: undefined }).secretKey, undefined);
});

Deno.test("readSupabaseEnvironment() lowers the minimum of a preset with its maximum, and no minimum that is set", () => {
  const preset = PRESETS["high-load"];
  assert((preset.minConnections ?? 0) > 2);
  const { pool } = readSupabaseEnvironment({ ...PROJECT, POOL_PRESET: "high-load", POOL_MAX_CONNECTIONS: "2" });
  assertEquals([pool.minConnections, pool.maxConnections], [2, 2]);
  assertEquals(readSupabaseEnvironment({ ...PROJECT, POOL_PRESET: "high-load" }).pool, preset);
  assertEquals(
    Object.keys(issuesOf({ POOL_PRESET: "high-load", POOL_MAX_CONNECTIONS: "2", POOL_MIN_CONNECTIONS: "3" })),
    ["POOL_MIN_CONNECTIONS"],
  );
});
