/** Tests the requests of an isolate that is about to end. */
import { assertEquals } from "@std/assert";
import { delay } from "@std/async";
import { type PooledHandler, withPooledSupabase } from "../support/http.ts";
import { type FakeProject, startFakeProject } from "../support/fake_project.ts";
import { watchTimers } from "../support/timers.ts";
import { environment } from "./real_rig.ts";
import { sharedSecretToken } from "./tokens.ts";
import { until } from "../support/until.ts";

/** Sets up a function with pools of its own, which only the end of the isolate shuts down. */
function setUp(project: FakeProject, handler: PooledHandler<unknown>, variables = {}) {
  const log: string[] = [];
  const handle = withPooledSupabase<unknown>({
    auth: ["user", "none"],
    variables: environment(project.url, variables),
    log: (line) => log.push(line),
  }, handler);
  const fetch = async (token?: string) => {
    const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    const response = await handle(new Request("https://x.test/f", { headers }));
    return [response.status, await response.json()] as const;
  };
  return { fetch, log };
}

const unload = (reason: string) => dispatchEvent(new CustomEvent("beforeunload", { detail: { reason } }));
const drain = () => dispatchEvent(new Event("drain"));

const codeOf = ([status, body]: readonly [number, { code?: string }]) => [status, body.code];

for (const [name, end] of Object.entries({ drain, wall_clock: () => unload("wall_clock"), cpu: () => unload("cpu") })) {
  Deno.test(`withPooledSupabase() lets a running request lease after ${name}, and rejects new requests`, async () => {
    await using project = startFakeProject();
    const go = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    const { fetch, log } = setUp(project, async (_request, { supabase }) => {
      entered.resolve();
      await go.promise;
      const { data, error } = await supabase.from("a").select();
      if (error) throw error;
      return Response.json(data);
    });
    const running = fetch();
    await entered.promise;
    end();
    assertEquals(codeOf(await fetch()), [503, "POOL_CLOSED"]);
    go.resolve();
    assertEquals(await running, [200, []]);
    assertEquals(codeOf(await fetch()), [503, "POOL_CLOSED"]);
    assertEquals(project.requests.length, 1);
    assertEquals(log.map((line) => JSON.parse(line).event), ["request_refused"]);
  });
}

Deno.test("withPooledSupabase() completes background work after drain, then shuts the pools down", async () => {
  await using project = startFakeProject();
  const go = Promise.withResolvers<void>();
  const results: unknown[] = [];
  let late: Promise<unknown> | undefined;
  const { fetch } = setUp(project, (_request, { supabase, waitUntil }) => {
    const work = async () => {
      await go.promise;
      results.push((await supabase.from("log").delete()).error);
    };
    waitUntil(work());
    late = go.promise.then(() => delay(20)).then(async () => await supabase.from("late").select()).catch((error) =>
      error
    );
    return Response.json("at once");
  });
  assertEquals(await fetch(), [200, "at once"]);
  drain();
  go.resolve();
  await late;
  assertEquals(results, [null]);
  assertEquals(project.requests.map(({ path }) => path), ["/rest/v1/log"]);
});

Deno.test("withPooledSupabase() revokes leases after POOL_SHUTDOWN_TIMEOUT_MS and responds LEASE_REVOKED", async () => {
  await using project = startFakeProject();
  project.answer = () => new Promise(() => {});
  const { fetch } = setUp(project, async (_request, { supabase }) => {
    const { data, error } = await supabase.from("a").select();
    if (error) throw error;
    return Response.json(data);
  }, { POOL_SHUTDOWN_TIMEOUT_MS: "30" });
  const running = fetch();
  await until("the request arrives", () => project.requests.length > 0);
  const startMs = performance.now();
  unload("termination");
  assertEquals(codeOf(await running), [503, "LEASE_REVOKED"]);
  const tookMs = performance.now() - startMs;
  assertEquals(tookMs >= 25 && tookMs < 4_500, true, `${tookMs}`);
});

Deno.test("withPooledSupabase() clears the token cache on memory and continues to respond", async () => {
  await using project = startFakeProject();
  let checks = 0;
  const real = crypto.subtle.verify;
  crypto.subtle.verify = (...args: Parameters<typeof real>) => {
    checks++;
    return real.apply(crypto.subtle, args);
  };
  try {
    const token = await sharedSecretToken();
    const { fetch } = setUp(project, async (_request, { supabase, userClaims }) => {
      await supabase.from("a").select();
      return Response.json(userClaims?.role);
    });
    for (let i = 0; i < 2; i++) assertEquals(await fetch(token), [200, "authenticated"]);
    assertEquals(checks, 1);
    unload("memory");
    for (let i = 0; i < 2; i++) assertEquals(await fetch(token), [200, "authenticated"]);
    assertEquals(checks, 2);
    unload("early_drop");
    assertEquals(codeOf(await fetch(token)), [503, "POOL_CLOSED"]);
  } finally {
    crypto.subtle.verify = real;
  }
});

Deno.test("withPooledSupabase() keeps a shared pool open until the last request of all its handlers", async () => {
  await using project = startFakeProject();
  const go = Promise.withResolvers<void>();
  const handler: PooledHandler<unknown> = async (_request, { supabase }) => {
    await go.promise;
    const { error } = await supabase.from("a").select();
    if (error) throw error;
    return Response.json("done");
  };
  const busy = setUp(project, handler);
  const idle = setUp(project, () => Response.json("idle"));
  const running = busy.fetch();
  await idle.fetch();
  drain();
  await delay(1);
  go.resolve();
  assertEquals(await running, [200, "done"]);
  assertEquals(codeOf(await idle.fetch()), [503, "POOL_CLOSED"]);
});

for (const [name, end] of Object.entries({ drain, early_drop: () => unload("early_drop") })) {
  Deno.test(`withPooledSupabase() leaves no timer and no call after ${name}`, async () => {
    await using project = startFakeProject();
    using timers = watchTimers();
    const { fetch } = setUp(project, async (_request, { supabase, supabaseAdmin, pool }) => {
      await using _lease = await pool.lease();
      await Promise.all([supabase.from("a").select(), supabaseAdmin.from("b").select()]);
      return Response.json("done");
    }, { POOL_MIN_CONNECTIONS: "0" });
    await Promise.all(Array.from({ length: 5 }, () => fetch()));
    assertEquals(timers.live > 0, true, "an idle pool has a timer for its expiry");
    end();
    const { set } = timers;
    const sent = project.requests.length;
    assertEquals(timers.live, 0);
    await delay(20);
    assertEquals([timers.live, timers.set, project.requests.length], [0, set, sent]);
  });
}

Deno.test("withPooledSupabase() does not count a rejected request as running", async () => {
  await using project = startFakeProject();
  using timers = watchTimers();
  const { fetch } = setUp(project, () => Response.json("hello"), { POOL_MIN_CONNECTIONS: "0" });
  assertEquals((await fetch(await sharedSecretToken({ exp: 1 })))[0], 401);
  drain();
  assertEquals(timers.live, 0);
});
