import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { createClient } from "@supabase/supabase-js";
import { parseSupabasePoolConfig } from "../../shared/supabase/mod.ts";
import { LeanClient, PooledClient } from "../../shared/supabase/pooled_client.ts";
import { PUBLISHABLE } from "./support.ts";

Deno.test("a pooled client leaves no timer, listens to nothing and keeps nothing", async () => {
  const { setInterval, setTimeout, clearInterval } = globalThis;
  const set: string[] = [];
  const ids: number[] = [];
  const asked: string[] = [];
  globalThis.setInterval = ((...args: Parameters<typeof setInterval>) => {
    set.push("interval");
    const id = setInterval(...args);
    ids.push(Number(id));
    return id;
  }) as typeof setInterval;
  globalThis.setTimeout = ((...args: Parameters<typeof setTimeout>) => {
    set.push("timeout");
    return setTimeout(...args);
  }) as typeof setTimeout;
  try {
    const fetch: typeof globalThis.fetch = (input) => (asked.push(String(input)), Promise.reject(new Error("no")));
    const client = new PooledClient("http://127.0.0.1:9", PUBLISHABLE, parseSupabasePoolConfig({ fetch }));
    assertEquals(PooledClient.partsOf(client).supabaseUrl, "http://127.0.0.1:9");
    await new Promise((resolve) => setTimeout(resolve, 20));
  } finally {
    Object.assign(globalThis, { setInterval, setTimeout });
    for (const id of ids) clearInterval(id);
  }
  assertEquals([set, asked], [[], []]);
});

Deno.test("what a pooled client holds is made when a view is first derived from it, once", () => {
  // What supabase-js does not take; a pool has checked its address before.
  const never = new PooledClient("no address", PUBLISHABLE, parseSupabasePoolConfig());
  assertThrows(() => PooledClient.partsOf(never), Error, "supabaseUrl");
  const client = new PooledClient("http://127.0.0.1:9", PUBLISHABLE, parseSupabasePoolConfig());
  assertStrictEquals(PooledClient.partsOf(client), PooledClient.partsOf(client));
});

Deno.test("the client behind the views has neither an auth nor a realtime client, and every other part", () => {
  const url = "http://127.0.0.1:9";
  const lean = new LeanClient(url, PUBLISHABLE);
  assertEquals([lean.auth, lean.realtime], [undefined, undefined]);
  const auth = { persistSession: false, autoRefreshToken: false };
  assertEquals(Object.keys(lean).toSorted(), Object.keys(createClient(url, PUBLISHABLE, { auth })).toSorted());
});

Deno.test("what views are derived from is still inside the client of this version", () => {
  const headers = { "x-app": "1" };
  const parts = PooledClient.partsOf(
    new PooledClient("http://127.0.0.1:9/base", PUBLISHABLE, parseSupabasePoolConfig({ headers })),
  );
  assertEquals([parts.authUrl, parts.functionsUrl, parts.storageUrl], [
    "http://127.0.0.1:9/base/auth/v1",
    "http://127.0.0.1:9/base/functions/v1",
    "http://127.0.0.1:9/base/storage/v1",
  ]);
  assertEquals(parts.headers["x-app"], "1");
  assertEquals([typeof parts.rest.from, typeof parts.functions.invoke, typeof parts.storage.from], [
    "function",
    "function",
    "function",
  ]);
  for (const field of ["wrapFetch", "baseFetch", "fetch", "headers"]) {
    assertEquals(Object.hasOwn(parts.rest, field), true, field);
  }
});
