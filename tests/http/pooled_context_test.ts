import { assertEquals, assertStrictEquals, assertStringIncludes } from "@std/assert";
import { createContext, type LazyMembers } from "../../shared/http/request/pooled_context.ts";

const AUTH = { authMode: "publishable", token: null, userClaims: null, jwtClaims: null, keyName: "web" } as const;
const LAZY = ["supabase", "supabaseAdmin", "pool", "adminPool"] as const;

function contextOf() {
  const read: string[] = [];
  const values: Record<string, object> = {
    supabase: {},
    supabaseAdmin: {},
    pool: {},
    adminPool: {},
  };
  const members = {};
  for (const name of LAZY) {
    Object.defineProperty(members, name, {
      get() {
        read.push(name);
        return values[name];
      },
    });
  }
  const waitUntil = () => {};
  return { context: createContext(AUTH, members as LazyMembers<unknown>, waitUntil), read, values, waitUntil };
}

Deno.test("createContext: a context creates its lazy members when they are read", () => {
  const { context, read, values } = contextOf();
  assertEquals(read, []);
  for (const name of LAZY) assertStrictEquals<unknown>(context[name], values[name]);
  assertEquals(read, [...LAZY]);
});

Deno.test("createContext: a context can be spread, and be the prototype of another object", () => {
  const { context, values, waitUntil } = contextOf();
  const expected = {
    supabase: values.supabase,
    supabaseAdmin: values.supabaseAdmin,
    userClaims: null,
    jwtClaims: null,
    authMode: "publishable",
    authKeyName: "web",
    pool: values.pool,
    adminPool: values.adminPool,
    waitUntil,
  };
  const spread: Record<PropertyKey, unknown> = { ...context };
  assertEquals(Object.keys(spread), Object.keys(expected));
  for (const [name, value] of Object.entries(expected)) assertStrictEquals(spread[name], value, name);
  const derived: typeof context = Object.create(context);
  assertStrictEquals<unknown>(derived.pool, values.pool);
});

Deno.test("createContext: a printed context creates nothing, and a copy has no hidden members", () => {
  const { context, read } = contextOf();
  assertStringIncludes(Deno.inspect(context), 'supabase: "(created when it is read)"');
  assertEquals(read, []);
  assertEquals(Object.getOwnPropertySymbols({ ...context }), []);
});

Deno.test("createContext: members can be added to a context, as withPooledPostgres does", () => {
  const { context, values } = contextOf();
  Object.defineProperty(context, "postgres", { enumerable: true, get: () => values.pool });
  assertStrictEquals(Reflect.get(context, "postgres"), values.pool);
  assertStrictEquals(Reflect.get({ ...context }, "postgres"), values.pool);
});

Deno.test("createContext: correlationId is computed when it is read, and is not copied", () => {
  let computed = 0;
  const members = {
    get correlationId() {
      return `${++computed}`;
    },
  };
  const context = createContext(AUTH, members as unknown as LazyMembers<unknown>, () => {});
  assertEquals(["correlationId" in { ...context }, computed], [false, 0]);
  assertEquals(context.correlationId, "1");
});
