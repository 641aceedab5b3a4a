/**
 * Measures what each request leaves on the heap where it passes something that lives as long as the isolate. Prints the
 * bytes per request of each path as JSON. Needs `--v8-flags=--expose-gc`.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { withPooledSupabase } from "../../shared/http/mod.ts";
import { IsolateLifecycle } from "../../shared/http/handler/isolate_lifecycle.ts";
import { ResourcePool } from "../../shared/pool/mod.ts";
import { anySignal, CachedProbe, retry, systemClock } from "../../shared/resilience/mod.ts";
import { SupabaseService } from "../../shared/services/mod.ts";
import { readEnvironment } from "../../shared/http/handler/environment.ts";
import { SupabaseConnectionPool } from "../../shared/supabase/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { createProjectKey } from "../http/tokens.ts";

declare const gc: () => void;

const URL_OF_PROJECT = "http://project.test";
const answer = () => Promise.resolve(Response.json([{ id: 1, text: "x".repeat(500) }]));
const pool = SupabaseConnectionPool.getInstance<unknown>(URL_OF_PROJECT, "sb_publishable_test", { fetch: answer });
const resources = new ResourcePool(
  { create: () => Promise.resolve({ rows: new Array(50).fill(0) }), destroy: () => {} },
  { maxConnections: 1, minConnections: 0 },
);
/** A signal that lives as long as the isolate, as an application may pass to every call. */
const forever = new AbortController().signal;
/** Memory that a request holds. */
const bulk = () => ({ rows: new Array(100).fill(Math.random()) });

const key = await createProjectKey();
const jwks = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => Response.json(key.jwks));
const variables = {
  SUPABASE_URL: URL_OF_PROJECT,
  SUPABASE_PUBLISHABLE_KEY: "sb_publishable_test",
  SUPABASE_SECRET_KEY: "sb_secret_test",
  SUPABASE_JWKS_URL: `http://127.0.0.1:${jwks.addr.port}/jwks.json`,
};
const handle = withPooledSupabase<unknown>({
  auth: ["user", "none"],
  variables,
  rememberTokensMs: 1,
  service: new SupabaseService<unknown>({ ...readEnvironment(variables), pool: { fetch: answer } }),
  log: () => {},
}, async (request, { supabase, waitUntil }) => {
  if (request.url.endsWith("/fails")) throw new Error("failed");
  waitUntil(Promise.resolve(bulk()));
  return Response.json((await supabase.from("t").select()).data);
});
const tokens = await Promise.all(Array.from({ length: 4 }, (_, index) => key.sign({ jti: `${index}` })));
let requests = 0;
const respond = async (path: string) => {
  const headers = { Authorization: `Bearer ${tokens[requests++ % tokens.length]}` };
  const response = await handle(new Request(`http://x.test${path}`, { headers }));
  await response.text();
};

const clock = new FakeClock();
const probe = new CachedProbe({
  run: async (signal) => await abortable(Promise.resolve(bulk()), signal),
  report: (result) => ({ ...result, ...bulk() }),
  timeoutMs: 5_000,
  clock,
});
const life = new IsolateLifecycle(systemClock, new EventTarget());

const PATHS: Readonly<Record<string, () => unknown>> = {
  "a handled request": () => respond("/f"),
  "a failed request": () => respond("/fails"),
  "a health request": () => respond("/f/health/pool"),
  "a scope with a long-lived signal": async () => {
    await using scope = pool.scope({ signal: forever });
    await scope.client().from("t").select();
  },
  "a lease with a long-lived signal": async () => {
    await using lease = await pool.lease({ signal: forever });
    await lease.client.from("t").select();
  },
  "a call with a long-lived signal": async () => {
    await using lease = await pool.lease();
    await lease.client.from("t").select().abortSignal(forever);
  },
  "a waiter with a long-lived signal": async () => {
    const held = await resources.lease({ signal: forever });
    const waiting = resources.lease({ signal: forever, timeoutMs: 5 }).then((lease) => lease.release(), () => {});
    held.release();
    await waiting;
  },
  "a retry with a long-lived signal": () => retry(() => bulk(), { signal: forever, retries: 1 }),
  "a retried operation with a long-lived signal": () => {
    let calls = 0;
    const once = () => calls++ === 0 ? Promise.reject(Object.assign(new Error(), { code: "ECONNREFUSED" })) : bulk();
    return retry(once, { signal: forever, retries: 1, delayMs: 0 });
  },
  "abortable() with a long-lived signal": () => abortable(Promise.resolve(bulk()), forever),
  "anySignal() of a long-lived signal": () => anySignal(forever, new AbortController().signal),
  "a probe": async () => {
    clock.advance(1_001);
    await probe.check();
  },
  "a request of the isolate": () => life.beginRequest()(),
};

/** The path that the measurement must find. */
const CONTROL = "Promise.race() against a promise that never settles";
const never = new Promise<never>(() => {});

const BATCH = Number(Deno.args[0] ?? 400);

async function measure(run: () => unknown): Promise<number> {
  const batch = async () => {
    for (let i = 0; i < BATCH; i++) await run();
    // Timers and finalizers of the batch.
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setTimeout(resolve, 5));
    gc();
    await new Promise((resolve) => setTimeout(resolve, 5));
    gc();
    return Deno.memoryUsage().heapUsed;
  };
  await batch();
  let before = await batch();
  let least = Infinity;
  // The least of several: other work allocates, too.
  for (let i = 0; i < 4; i++) {
    const after = await batch();
    least = Math.min(least, (after - before) / BATCH);
    before = after;
  }
  return Math.round(least);
}

const growth: Record<string, number> = {};
const control = () => Promise.race([Promise.resolve(bulk()), never]);
for (const [name, run] of Object.entries({ ...PATHS, [CONTROL]: control })) growth[name] = await measure(run);
console.log(JSON.stringify(growth));
Deno.exit(0);
