import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../shared/pool/mod.ts";
import {
  DEFAULT_SUPABASE_POOL_CONFIG,
  parseSupabasePoolConfig,
  type SupabasePoolConfig,
} from "../../shared/supabase/config.ts";

/** Returns the paths of the issues of a value. */
function issuesOf(input: Record<string, unknown>): string[] {
  const error = assertThrows(() => parseSupabasePoolConfig(input as Partial<SupabasePoolConfig>), ConfigError);
  return error.issues.map(({ path }) => path);
}

Deno.test("parseSupabasePoolConfig() has the documented defaults", () => {
  const { healthQuery, fetch, ...plain } = parseSupabasePoolConfig();
  const { maxRetries, retryDelayMs, requestTimeoutMs, retryReads, callsPerLease, schema, headers, userRoles } = plain;
  assertEquals({ maxRetries, retryDelayMs, requestTimeoutMs, retryReads, callsPerLease, schema, headers, userRoles }, {
    maxRetries: 3,
    retryDelayMs: 100,
    requestTimeoutMs: 30_000,
    retryReads: true,
    callsPerLease: 6,
    schema: "public",
    headers: {},
    userRoles: ["authenticated"],
  });
  assertEquals([typeof healthQuery, typeof fetch], ["function", "function"]);
  assert(["validateAfterIdleMs", "destroyTimeoutMs"].every((option) => !(option in plain)));
  assert(Object.isFrozen(DEFAULT_SUPABASE_POOL_CONFIG));
  assert(
    Object.isFrozen(DEFAULT_SUPABASE_POOL_CONFIG.headers) && Object.isFrozen(DEFAULT_SUPABASE_POOL_CONFIG.userRoles),
  );
});

const BOUNDS: readonly (readonly [keyof SupabasePoolConfig, min: number, max: number])[] = [
  ["maxRetries", 0, 100],
  ["retryDelayMs", 1, 2_147_483_647],
  ["requestTimeoutMs", 1, 2_147_483_647],
  ["callsPerLease", 1, 10_000],
];

for (const [option, min, max] of BOUNDS) {
  Deno.test(`parseSupabasePoolConfig() accepts ${option} from ${min} to ${max}`, () => {
    assertEquals(parseSupabasePoolConfig({ [option]: min })[option], min);
    assertEquals(parseSupabasePoolConfig({ [option]: max })[option], max);
    for (const value of [min - 1, max + 1, min + 0.5, String(min)]) {
      assertEquals(issuesOf({ [option]: value }), [option]);
    }
  });
}

Deno.test("parseSupabasePoolConfig() rejects wrong kinds of values by their options", () => {
  const rows: readonly (readonly [option: string, value: unknown])[] = [
    ["retryReads", "true"],
    ["schema", ""],
    ["schema", 7],
    ["userRoles", []],
    ["userRoles", [""]],
    ["userRoles", "authenticated"],
    ...["anon", "service_role", "supabase_admin", "postgres"].map((role) => ["userRoles", ["member", role]] as const),
    ["healthQuery", "select 1"],
    ["fetch", {}],
    ["headers", { apikey: "x" }],
    ["headers", { Authorization: "x" }],
    ["headers", { "x y": "x" }],
    ["headers", { x: "line\nbreak" }],
    ["headers", { "x-a": "1", "X-A": "2" }],
  ];
  for (const [option, value] of rows) {
    assertEquals(issuesOf({ [option]: value }).map((path) => path.split(".")[0]), [option], String(value));
  }
});

Deno.test("parseSupabasePoolConfig() accepts printable headers and roles of the project's own", () => {
  const headers = { "x-client": "a\tb \xe9", "x-authorization": "y" };
  assertEquals(parseSupabasePoolConfig({ headers }).headers, headers);
  assertEquals(parseSupabasePoolConfig({ userRoles: ["member"] }).userRoles, ["member"]);
  assertEquals(parseSupabasePoolConfig({ schema: "x" }).schema, "x");
});

Deno.test("parseSupabasePoolConfig() reports options without effect alone and together with others", () => {
  assertEquals(issuesOf({ validateAfterIdleMs: 5 }), ["validateAfterIdleMs"]);
  assertEquals(issuesOf({ validateAfterIdleMs: 5, maxRetries: -1 }), ["validateAfterIdleMs", "maxRetries"]);
});
