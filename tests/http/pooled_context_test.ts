import { assertEquals, assertStrictEquals } from "@std/assert";
import { type LazyMembers, RequestContext } from "../../shared/http/request/pooled_context.ts";

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
  return { context: new RequestContext(AUTH, members as LazyMembers<unknown>, waitUntil), read, values, waitUntil };
}

Deno.test("RequestContext creates its lazy members when they are read", () => {
  const { context, read, values } = contextOf();
  assertEquals(read, []);
  for (const name of LAZY) assertStrictEquals<unknown>(context[name], values[name]);
  assertEquals(read, [...LAZY]);
});

Deno.test("RequestContext can be spread, and be the prototype of another object", () => {
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

Deno.test("RequestContext instances share their getters, so that they share one hidden class", () => {
  const [one, other] = [contextOf().context, contextOf().context];
  for (const name of LAZY) {
    const { get } = Object.getOwnPropertyDescriptor(one, name) ?? {};
    assertEquals(typeof get, "function", name);
    assertStrictEquals(get, Object.getOwnPropertyDescriptor(other, name)?.get, name);
  }
});

Deno.test("RequestContext.correlationId is computed when it is read, and is not copied", () => {
  let computed = 0;
  const members = {
    get correlationId() {
      return `${++computed}`;
    },
  };
  const context = new RequestContext(AUTH, members as unknown as LazyMembers<unknown>, () => {});
  assertEquals(["correlationId" in { ...context }, computed], [false, 0]);
  assertEquals(context.correlationId, "1");
});
