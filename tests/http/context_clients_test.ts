/** Tests the pools of the clients of a context, and the end of their scopes. */
import { assert, assertEquals, assertFalse, assertStringIncludes, assertThrows } from "@std/assert";
import { delay } from "@std/async";
import type { PooledContext, PooledSupabaseOptions } from "../support/http.ts";
import { ok, setUp } from "./fake_handler.ts";
import { VARIABLES } from "./fake_pools.ts";
import { sharedSecretToken } from "./tokens.ts";

type Options = PooledSupabaseOptions<unknown>;

Deno.test("ctx.supabase is anonymous in every mode but user, for any key; the admin pool is separate", async (t) => {
  const token = await sharedSecretToken();
  const rows: readonly (readonly [Options["auth"], Record<string, string>])[] = [
    ["none", {}],
    ["none", { Authorization: `Bearer ${token}`, apikey: "sb_secret_default" }],
    ["publishable", { apikey: "sb_publishable_default" }],
    ["secret", { apikey: "sb_secret_default" }],
    ["secret:jobs", { apikey: "sb_secret_jobs" }],
  ];
  for (const [auth, headers] of rows) {
    await t.step(`${auth} ${Object.keys(headers)}`, async () => {
      const { send, service } = setUp((_request, { supabase, pool }) => Response.json([!!supabase, !!pool]), {
        auth: auth ?? "none",
      });
      assertEquals((await send({ headers })).status, 200);
      assertEquals(service.user.scopes.map(({ options }) => options.identity), ["anonymous"]);
      assertEquals(service.adminAsked, 0);
    });
  }
});

Deno.test("withPooledSupabase() opens no scope for a handler that uses no client", async () => {
  const { send, service } = setUp(ok);
  await send();
  assertEquals([service.user.scopes.length, service.admin.scopes.length, service.adminAsked], [0, 0, 0]);
});

Deno.test("ctx.supabaseAdmin opens a scope of the admin pool when it is read", async () => {
  const { send, service } = setUp((_request, { supabaseAdmin, adminPool }) =>
    Response.json([!!supabaseAdmin, !!adminPool])
  );
  await send();
  assertEquals(service.admin.scopes.map(({ options }) => options.identity), ["admin"]);
  assertEquals(service.user.scopes.length, 0);
});

Deno.test("ctx.supabaseAdmin may be read without a secret key, and throws when it is used", async () => {
  const { SUPABASE_SECRET_KEYS: _, ...variables } = VARIABLES;
  const named = setUp((_request, { supabaseAdmin }) => Response.json(typeof supabaseAdmin), { variables });
  assertEquals((await named.send()).status, 200);
  const used = setUp((_request, context) => {
    assertThrows(() => context.adminPool.getStats(), Error, "secret key");
    assertEquals({ ...context }.authMode, context.authMode);
    return Response.json(context.supabaseAdmin.from("x"));
  }, { variables });
  const response = await used.send();
  assertEquals([response.status, (await response.json()).code], [500, "MISSING_DEFAULT_SECRET_KEY"]);
  assertStringIncludes(used.log[0] ?? "", "SUPABASE_SECRET_KEY");
  assertEquals([named.service.adminAsked, used.service.adminAsked], [0, 0]);
});

Deno.test("ctx.supabase is one client per request, whose scope closes with the response", async () => {
  const { send, service } = setUp((_request, context) => {
    assert(context.supabase === context.supabase);
    assertEquals(service.user.scopes.map(({ closed }) => closed), [0]);
    return new Response();
  });
  await send();
  assertEquals(service.user.scopes.map(({ closed }) => closed), [1]);
  const failing = setUp((_request, { supabase }) => Promise.reject(new Error(typeof supabase)));
  await failing.send();
  assertEquals(failing.service.user.scopes.map(({ closed }) => closed), [1]);
});

Deno.test("ctx.supabase of a context kept after the response has a closed scope", async () => {
  let kept: PooledContext<unknown> | undefined;
  const { send, service } = setUp((_request, context) => {
    kept = context;
    return new Response();
  });
  await send();
  assert(kept?.supabase);
  assertEquals(service.user.scopes.map(({ closed }) => closed), [1]);
});

Deno.test("ctx.waitUntil() keeps the scope open until all its promises have settled", async () => {
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  const { send, service, log } = setUp((_request, { supabase, waitUntil }) => {
    waitUntil(first.promise.then(() => waitUntil(second.promise)));
    return Response.json(typeof supabase);
  });
  await send();
  const ended = () => service.user.scopes.map((scope) => scope.closed);
  assertEquals(ended(), [0]);
  first.resolve();
  await delay(0);
  assertEquals(ended(), [0]);
  second.reject(new Error("Bearer abc.def.ghi failed"));
  await delay(0);
  assertEquals(ended(), [1]);
  assertEquals(log.length, 1);
  assertStringIncludes(log[0] ?? "", "background_work_failed");
  assertFalse((log[0] ?? "").includes("abc.def"));
});

Deno.test("ctx.waitUntil() passes a promise to EdgeRuntime.waitUntil() that never rejects", async () => {
  const given: Promise<unknown>[] = [];
  Reflect.set(globalThis, "EdgeRuntime", { waitUntil: (promise: Promise<unknown>) => given.push(promise) });
  try {
    const { send } = setUp((_request, { waitUntil }) => {
      waitUntil(Promise.reject(new Error("no")));
      return new Response();
    });
    await send();
    assertEquals(given.length, 1);
    await given[0];
  } finally {
    Reflect.deleteProperty(globalThis, "EdgeRuntime");
  }
});

Deno.test("withPooledSupabase() aborts the scopes and their signal when the caller disconnects", async () => {
  const left = new AbortController();
  const running = Promise.withResolvers<void>();
  const { fetch, service, log } = setUp(async (_request, { supabase, pool }) => {
    assert(supabase && pool);
    running.resolve();
    await new Promise((_, reject) => {
      const signal = service.user.scopes[0]?.signal;
      signal?.addEventListener("abort", () => reject(signal.reason));
    });
    return new Response();
  });
  const answer = fetch(new Request("https://x.test/f", { signal: left.signal }));
  await running.promise;
  left.abort(new Error("gone"));
  const response = await answer;
  assertEquals([response.status, log.length], [499, 0]);
  assertEquals(service.user.scopes.map(({ aborted }) => aborted), [1]);
});

Deno.test("ctx.waitUntil() work continues after the caller has disconnected", async () => {
  const left = new AbortController();
  const work = Promise.withResolvers<void>();
  const { fetch, service } = setUp((_request, { supabase, waitUntil }) => {
    waitUntil(work.promise);
    left.abort();
    return Response.json(typeof supabase);
  });
  await fetch(new Request("https://x.test/f", { signal: left.signal }));
  const [scope] = service.user.scopes;
  assertEquals([scope?.signal.aborted, scope?.closed], [false, 0]);
  work.resolve();
  await delay(0);
  assertEquals(scope?.closed, 1);
});

Deno.test("withPooledSupabase() ignores a request signal that aborts after the response", async () => {
  const late = new AbortController();
  const { fetch, service } = setUp((_request, { supabase }) => Response.json(typeof supabase));
  await fetch(new Request("https://x.test/f", { signal: late.signal }));
  late.abort();
  assertEquals(service.user.scopes[0]?.signal.aborted, false);
});
