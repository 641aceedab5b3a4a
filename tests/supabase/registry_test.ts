import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../shared/pool/mod.ts";
import { parseSupabasePoolConfig, type SupabasePoolConfig } from "../../shared/supabase/mod.ts";
import { Registry } from "../../shared/supabase/registry.ts";

const URL_A = "http://a.test";

/** Creates a registry, and a function that gets pools from it. */
function registry() {
  const pools = new Registry<{ config: Readonly<SupabasePoolConfig> }>();
  return {
    pools,
    get: (config?: Partial<SupabasePoolConfig>, url = URL_A, key = "key") =>
      pools.get(url, key, config, (parsed) => ({ config: parsed })),
  };
}

Deno.test("Registry.get() ignores the order of headers and the case of their names", () => {
  const { get } = registry();
  const pool = get({ headers: { "X-A": "1", "x-b": "2" } });
  assertStrictEquals(get({ headers: { "x-b": "2", "X-A": "1" } }), pool);
  assertStrictEquals(get({ headers: { "x-a": "1", "X-B": "2" } }), pool);
  assertEquals(get({ headers: { "x-a": "2", "x-b": "1" } }) === pool, false);
});

Deno.test("Registry.get() ignores the order of roles, and names other roles as a difference", () => {
  const { get } = registry();
  const pool = get({ userRoles: ["authenticated", "editor"] });
  assertStrictEquals(get({ userRoles: ["editor", "authenticated"] }), pool);
  for (const userRoles of [["authenticated"], ["authenticated", "author"], ["authenticated", "editor", "author"]]) {
    const error = assertThrows(() => get({ userRoles }), ConfigError);
    assertEquals(error.issues.map(({ path }) => path), ["userRoles"]);
  }
});

Deno.test("Registry.get() ignores the order of the settings of a circuit breaker, and names other settings as a difference", () => {
  const { get } = registry();
  const pool = get({ circuitBreaker: { consecutiveFailures: 3, openMs: 700 } });
  assertStrictEquals(get({ circuitBreaker: { openMs: 700, consecutiveFailures: 3 } }), pool);
  for (const circuitBreaker of [true, false, { consecutiveFailures: 4, openMs: 700 }, { consecutiveFailures: 3 }]) {
    const error = assertThrows(() => get({ circuitBreaker }), ConfigError);
    assertEquals(error.issues.map(({ path }) => path), ["circuitBreaker"]);
  }
  const off = get({ circuitBreaker: false }, "http://b.test");
  assertStrictEquals(get({ circuitBreaker: false }, "http://b.test"), off);
  assertThrows(() => get({ circuitBreaker: true }, "http://b.test"), ConfigError);
});

Deno.test("Registry.get() has one pool for each URL, key, schema and headers", () => {
  const { get, pools } = registry();
  const created = [
    get(),
    get(undefined, "http://b.test"),
    get(undefined, URL_A, "other"),
    get({ schema: "private" }),
    get({ headers: { a: "1" } }),
  ];
  assertEquals(new Set(created).size, created.length);
  const [first] = created;
  assertStrictEquals(get(), first);
  if (first) pools.delete(first);
  assertEquals(get() === first, false);
});

Deno.test("Registry.get() has one pool for each requestTimeoutMs and fetch, and returns the oldest pool without a config", () => {
  const { get, pools } = registry();
  const [one, other] = [() => fetch("data:,"), () => fetch("data:,")];
  const created = [
    get({ fetch: one, requestTimeoutMs: 5 }),
    get({ requestTimeoutMs: 5 }),
    get({ fetch: other }),
    get({}),
  ];
  assertEquals(new Set(created).size, created.length);
  const [oldest, second] = created;
  assertStrictEquals(get(), oldest);
  assertStrictEquals(get({ requestTimeoutMs: 5 }), second);
  assertEquals(
    assertThrows(() => get({ requestTimeoutMs: 5, maxUses: 7 }), ConfigError).issues.map(({ path }) => path),
    [
      "maxUses",
    ],
  );
  if (oldest) pools.delete(oldest);
  assertStrictEquals(get(), second);
  const [elsewhere] = [get({ schema: "private", requestTimeoutMs: 5 })];
  assertEquals(created.includes(elsewhere), false);
});

Deno.test("Registry.get() compares functions by identity", () => {
  const { get } = registry();
  const healthQuery = () => Promise.resolve({ error: null });
  const pool = get({ healthQuery });
  assertStrictEquals(get({ healthQuery }), pool);
  const error = assertThrows(() => get({ healthQuery: () => Promise.resolve({ error: null }) }), ConfigError);
  assertEquals(error.issues.map(({ path }) => path), ["healthQuery"]);
});

Deno.test("Registry.get() freezes a copy of the options", () => {
  const userRoles = ["authenticated"];
  const headers: Record<string, string> = { a: "1" };
  const config = parseSupabasePoolConfig({ userRoles, headers });
  userRoles.push("other");
  headers.b = "2";
  assertEquals([config.userRoles, config.headers], [["authenticated"], { a: "1" }]);
  for (const part of [config, config.userRoles, config.headers]) assertEquals(Object.isFrozen(part), true);
  const defaults = parseSupabasePoolConfig();
  for (const part of [defaults, defaults.userRoles, defaults.headers]) assertEquals(Object.isFrozen(part), true);
});

Deno.test("Registry.get() rejects a header that is named twice", () => {
  const error = assertThrows(() => parseSupabasePoolConfig({ headers: { "X-A": "1", "x-a": "2" } }), ConfigError);
  assertEquals(error.issues.map(({ path }) => path), ["headers"]);
  assertEquals(error.message.includes("twice"), true);
});

Deno.test("Registry.delete() removes one pool, and keeps the others of its project and of other projects", () => {
  const { get, pools } = registry();
  const first = get({ schema: "one" });
  const second = get({ schema: "two" });
  const elsewhere = get({ schema: "one" }, "http://b.test");
  pools.delete(first);
  assertStrictEquals(get({ schema: "two" }), second);
  assertStrictEquals(get({ schema: "one" }, "http://b.test"), elsewhere);
  assertEquals(get({ schema: "one" }) === first, false);
});
