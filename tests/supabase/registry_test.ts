import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../shared/pool/mod.ts";
import { parseSupabasePoolConfig, type SupabasePoolConfig } from "../../shared/supabase/mod.ts";
import { Registry } from "../../shared/supabase/registry.ts";

const URL_A = "http://a.test";

/** A registry, and how to ask it. */
function registry() {
  const pools = new Registry<{ config: Readonly<SupabasePoolConfig> }>();
  return {
    pools,
    get: (config?: Partial<SupabasePoolConfig>, url = URL_A, key = "key") =>
      pools.get(url, key, config, (parsed) => ({ config: parsed })),
  };
}

Deno.test("the same headers in another order, or their names in another case, are the same", () => {
  const { get } = registry();
  const pool = get({ headers: { "X-A": "1", "x-b": "2" } });
  assertStrictEquals(get({ headers: { "x-b": "2", "X-A": "1" } }), pool);
  assertStrictEquals(get({ headers: { "x-a": "1", "X-B": "2" } }), pool);
  assertEquals(get({ headers: { "x-a": "2", "x-b": "1" } }) === pool, false);
});

Deno.test("the same roles in another order are the same, others are named as different", () => {
  const { get } = registry();
  const pool = get({ userRoles: ["authenticated", "editor"] });
  assertStrictEquals(get({ userRoles: ["editor", "authenticated"] }), pool);
  for (const userRoles of [["authenticated"], ["authenticated", "author"], ["authenticated", "editor", "author"]]) {
    const error = assertThrows(() => get({ userRoles }), ConfigError);
    assertEquals(error.issues.map(({ path }) => path), ["userRoles"]);
  }
});

Deno.test("address, key, schema and headers each make a pool of their own", () => {
  const { get, pools } = registry();
  const made = [
    get(),
    get(undefined, "http://b.test"),
    get(undefined, URL_A, "other"),
    get({ schema: "private" }),
    get({ headers: { a: "1" } }),
  ];
  assertEquals(new Set(made).size, made.length);
  const [first] = made;
  assertStrictEquals(get(), first);
  if (first) pools.delete(first);
  assertEquals(get() === first, false);
});

Deno.test("so do a client's time and its fetch; without a config the eldest pool is there", () => {
  const { get, pools } = registry();
  const [one, other] = [() => fetch("data:,"), () => fetch("data:,")];
  const made = [get({ fetch: one, requestTimeoutMs: 5 }), get({ requestTimeoutMs: 5 }), get({ fetch: other }), get({})];
  assertEquals(new Set(made).size, made.length);
  const [eldest, second] = made;
  assertStrictEquals(get(), eldest);
  assertStrictEquals(get({ requestTimeoutMs: 5 }), second);
  assertEquals(
    assertThrows(() => get({ requestTimeoutMs: 5, maxUses: 7 }), ConfigError).issues.map(({ path }) => path),
    [
      "maxUses",
    ],
  );
  if (eldest) pools.delete(eldest);
  assertStrictEquals(get(), second);
  const [elsewhere] = [get({ schema: "private", requestTimeoutMs: 5 })];
  assertEquals(made.includes(elsewhere), false);
});

Deno.test("functions are compared by identity", () => {
  const { get } = registry();
  const healthQuery = () => Promise.resolve({ error: null });
  const pool = get({ healthQuery });
  assertStrictEquals(get({ healthQuery }), pool);
  const error = assertThrows(() => get({ healthQuery: () => Promise.resolve({ error: null }) }), ConfigError);
  assertEquals(error.issues.map(({ path }) => path), ["healthQuery"]);
});

Deno.test("the options in force are a copy that cannot be changed", () => {
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

Deno.test("a header named twice is refused", () => {
  const error = assertThrows(() => parseSupabasePoolConfig({ headers: { "X-A": "1", "x-a": "2" } }), ConfigError);
  assertEquals(error.issues.map(({ path }) => path), ["headers"]);
  assertEquals(error.message.includes("twice"), true);
});
