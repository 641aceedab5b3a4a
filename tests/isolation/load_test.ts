/**
 * Interleaved requests of 100 users: no user gets the rows of another, and no
 * call has the token of another.
 *
 * `ISOLATION_REQUESTS` is the number of requests, 20,000 by default;
 * `ISOLATION_SEED` decides what they do, a number or `random`.
 *
 * @module
 */
import { assert, assertEquals, assertGreater, assertGreaterOrEqual } from "@std/assert";
import { createClient, type SupabaseClientOptions } from "@supabase/supabase-js";
import type { PooledContext } from "../../shared/http/mod.ts";
import { SecretWatch } from "../support/secret_watch.ts";
import { createCallers, PROJECT, PUBLISHABLE, SECRET } from "./callers.ts";
import { Load, type Serve } from "./load.ts";
import type { Database } from "./handler_behaviors.ts";
import { runPooled, USERS } from "./pooled_load.ts";
import { seedOfRun } from "./random.ts";

const REQUESTS = Number(Deno.env.get("ISOLATION_REQUESTS") ?? 20_000);

/** Returns the message of a failure, with the command that reproduces it. */
function describe(violations: readonly string[], seed: number): string {
  return [
    `${violations.length} violations, the first of them:`,
    ...violations.slice(0, 10),
    `Reproduce: ISOLATION_SEED=${seed} ISOLATION_REQUESTS=${REQUESTS} ` +
    "npx -y deno test -A tests/isolation/load_test.ts",
  ].join("\n");
}

Deno.test(`withPooledSupabase() isolates ${USERS} users in ${REQUESTS} interleaved requests`, async () => {
  const seed = seedOfRun();
  const { violations, statuses, rows, kept, api, watch, left, healthResponses } = await runPooled(REQUESTS, seed);
  assert(violations.length === 0, describe(violations, seed));
  assertEquals(left, 0);
  // Each kind of event occurred often enough: a run with few of them proves little.
  const counts: Record<string, readonly [count: number | undefined, least: number]> = {
    "responses": [statuses[200], REQUESTS / 3],
    "rows": [rows, REQUESTS],
    "refused credentials": [statuses[401], REQUESTS / 50],
    "callers who disconnected": [statuses[499], REQUESTS / 50],
    "timeouts": [statuses[504], REQUESTS / 1_000],
    "calls of users": [api.arrived.user, REQUESTS / 2],
    "anonymous calls": [api.arrived.anonymous, REQUESTS / 50],
    "admin's calls": [api.arrived.admin, REQUESTS / 50],
    "kept things that were rejected": [kept.refused, REQUESTS / 50],
    "kept things that still acted for their maker": [kept.served, REQUESTS / 1_000],
    "retries": [api.retried(), REQUESTS / 500],
    "health responses": [healthResponses, REQUESTS / 500],
    "texts searched for secrets": [watch.texts, 2 * REQUESTS],
    ...Object.fromEntries(Object.entries(api.fates).map(([fate, count]) => [fate, [count, REQUESTS / 1_000]])),
  };
  for (const [what, [count = 0, least]] of Object.entries(counts)) assertGreaterOrEqual(count, least, what);
  assertEquals(Object.keys(api.fates).length, 9);
});

/** Shares one client in the isolate and stores the token of the request in a variable, as many functions do. */
const serveShared: Serve = (handler, api) => {
  let token: string | undefined;
  const options = {
    auth: { persistSession: false, autoRefreshToken: false },
    db: { retry: false },
    accessToken: () => Promise.resolve(token ?? null),
    // The only end of a call without a response.
    global: { fetch: (input, init) => api.fetch(input, { ...init, signal: AbortSignal.timeout(100) }) },
  } satisfies SupabaseClientOptions<"public">;
  const supabase = createClient<Database>(PROJECT, PUBLISHABLE, options);
  const supabaseAdmin = createClient<Database>(PROJECT, SECRET, { auth: options.auth, global: options.global });
  return async (request) => {
    token = request.headers.get("authorization")?.replace("Bearer ", "");
    const context = { supabase, supabaseAdmin, userClaims: null, waitUntil: () => {} };
    try {
      return await handler(request, context as unknown as PooledContext<Database>);
    } catch (error) {
      return new Response(String(error), { status: 500 });
    }
  };
};

Deno.test("Load.run() reports violations for one shared client: other users' rows, tokens and headers", async () => {
  const watch = new SecretWatch();
  const callers = await createCallers(USERS, watch);
  const loadOptions = { seed: seedOfRun(), requests: 300, atOnce: 50, callers, watch };
  const { violations } = await new Load(loadOptions, serveShared).run();
  for (
    const kind of [/with the credentials of user-/, /got a row of user-\d+ for user-/, /with a header that .* left/]
  ) {
    assertGreater(violations.filter((violation) => kind.test(violation)).length, 0, `${kind}`);
  }
});
