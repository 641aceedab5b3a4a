import { assertEquals, assertInstanceOf } from "@std/assert";
import { FunctionsClient } from "@supabase/functions-js";
import { PostgrestClient } from "@supabase/postgrest-js";
import { StorageClient } from "@supabase/storage-js";
import { createClient } from "@supabase/supabase-js";
import { parseSupabasePoolConfig } from "../../shared/supabase/mod.ts";
import { clientSlots, createTemplate } from "../../shared/supabase/client_template.ts";
import { PUBLISHABLE } from "./support.ts";

Deno.test("createTemplate() sets no timer and sends nothing", async () => {
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
    assertEquals(
      createTemplate("http://127.0.0.1:9", parseSupabasePoolConfig({ fetch })).supabaseUrl,
      "http://127.0.0.1:9",
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
  } finally {
    Object.assign(globalThis, { setInterval, setTimeout });
    for (const id of ids) clearInterval(id);
  }
  assertEquals([set, asked], [[], []]);
});

Deno.test("createTemplate() sends the client info of the pinned supabase-js", () => {
  assertEquals(createTemplate("http://127.0.0.1:9", parseSupabasePoolConfig()).headers, {
    "X-Client-Info": `supabase-js/2.119.0; runtime=deno; runtime-version=${Deno.version.deno}`,
  });
});

Deno.test("clientSlots.create() creates empty slots", async () => {
  const slot = await clientSlots.create({ signal: new AbortController().signal, invalidate: () => {} });
  assertEquals(Reflect.ownKeys(slot), []);
});

Deno.test("createTemplate() creates views from the parts of a SupabaseClient of the same configuration", () => {
  const headers = { "x-app": "1" };
  const url = "http://127.0.0.1:9/base";
  const parts = createTemplate(url, parseSupabasePoolConfig({ headers, schema: "private" }));
  // deno-lint-ignore no-explicit-any -- its parts are protected
  const whole: any = createClient(url, PUBLISHABLE, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    db: { schema: "private", retry: false },
    global: { headers },
  });
  assertEquals(parts.headers, whole.headers);
  for (const part of ["authUrl", "functionsUrl", "storageUrl", "supabaseUrl"] as const) {
    assertEquals(parts[part], String(whole[part]));
  }
  assertEquals([...(parts.rest.headers ?? [])], [...(whole.rest.headers ?? [])]);
  for (const field of ["url", "schemaName", "urlLengthLimit", "timeout", "retry"]) {
    assertEquals(Reflect.get(parts.rest, field), whole.rest[field], field);
  }
  for (const field of ["wrapFetch", "baseFetch", "fetch", "headers"]) {
    assertEquals(Object.hasOwn(parts.rest, field), true, field);
  }
});

Deno.test("createTemplate() uses the packages of supabase-js", () => {
  // deno-lint-ignore no-explicit-any -- its parts are protected
  const whole: any = createClient("http://127.0.0.1:9", PUBLISHABLE, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
  });
  assertInstanceOf(whole.rest, PostgrestClient);
  assertInstanceOf(whole.functions, FunctionsClient);
  assertInstanceOf(whole.storage, StorageClient);
});

Deno.test("createTemplate() omits the version of a runtime that has none", () => {
  const { version } = Deno;
  try {
    Object.assign(Deno, { version: undefined });
    const parts = createTemplate("http://127.0.0.1:9", parseSupabasePoolConfig());
    assertEquals(parts.headers["X-Client-Info"], "supabase-js/2.119.0; runtime=deno");
  } finally {
    Object.assign(Deno, { version });
  }
});
