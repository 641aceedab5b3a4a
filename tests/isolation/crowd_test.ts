/**
 * A hundred users, their requests interleaved: nobody gets another's rows, and
 * nothing is sent with another's token.
 *
 * `ISOLATION_REQUESTS` says how many requests there are, 20,000 by default;
 * `ISOLATION_SEED` what they do, a number or `random`.
 *
 * @module
 */
import { assert, assertEquals, assertGreater, assertGreaterOrEqual } from "@std/assert";
import { createClient, type SupabaseClientOptions } from "@supabase/supabase-js";
import type { PooledContext } from "../../shared/http/mod.ts";
import { SecretWatch } from "../support/secret_watch.ts";
import { createCallers, PROJECT, PUBLISHABLE, SECRET } from "./callers.ts";
import { Crowd, type Serve } from "./crowd.ts";
import type { Database } from "./habits.ts";
import { runPooled, USERS } from "./pooled_crowd.ts";
import { seedOfRun } from "./random.ts";

const REQUESTS = Number(Deno.env.get("ISOLATION_REQUESTS") ?? 20_000);

/** What a failure says first: how to have it again. */
function describe(violations: readonly string[], seed: number): string {
  return [
    `${violations.length} violations, the first of them:`,
    ...violations.slice(0, 10),
    `To run it again: ISOLATION_SEED=${seed} ISOLATION_REQUESTS=${REQUESTS} ` +
    "npx -y deno test -A tests/isolation/crowd_test.ts",
  ].join("\n");
}

Deno.test(`${USERS} users never meet, in ${REQUESTS} interleaved requests`, async () => {
  const seed = seedOfRun();
  const { violations, statuses, rows, kept, api, watch, left, healthAnswers } = await runPooled(REQUESTS, seed);
  assert(violations.length === 0, describe(violations, seed));
  assertEquals(left, 0);
  // All of it has happened, and often: a run in which little went on proves little.
  const counts: Record<string, readonly [count: number | undefined, least: number]> = {
    "answers": [statuses[200], REQUESTS / 3],
    "rows": [rows, REQUESTS],
    "refused credentials": [statuses[401], REQUESTS / 50],
    "callers who left": [statuses[499], REQUESTS / 50],
    "timeouts": [statuses[504], REQUESTS / 1_000],
    "calls of users": [api.arrived.user, REQUESTS / 2],
    "anonymous calls": [api.arrived.anonymous, REQUESTS / 50],
    "admin's calls": [api.arrived.admin, REQUESTS / 50],
    "kept things that were refused": [kept.refused, REQUESTS / 50],
    "kept things that still acted for their maker": [kept.served, REQUESTS / 1_000],
    "retries": [api.retried(), REQUESTS / 500],
    "health answers": [healthAnswers, REQUESTS / 500],
    "texts that were searched for secrets": [watch.texts, 2 * REQUESTS],
    ...Object.fromEntries(Object.entries(api.fates).map(([fate, count]) => [fate, [count, REQUESTS / 1_000]])),
  };
  for (const [what, [count = 0, least]] of Object.entries(counts)) assertGreaterOrEqual(count, least, what);
  assertEquals(Object.keys(api.fates).length, 9);
});

/** What many write: one client for the isolate, and whose request it is in a variable. */
const serveShared: Serve = (handler, api) => {
  let token: string | undefined;
  const options = {
    auth: { persistSession: false, autoRefreshToken: false },
    db: { retry: false },
    accessToken: () => Promise.resolve(token ?? null),
    // Nothing else ends what is never answered.
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

Deno.test("the same crowd on one shared client gets other users' rows, and is seen to", async () => {
  const watch = new SecretWatch();
  const callers = await createCallers(USERS, watch);
  const options = { seed: seedOfRun(), requests: 300, atOnce: 50, callers, watch };
  const { violations } = await new Crowd(options, serveShared).run();
  for (
    const kind of [/with the credentials of user-/, /got a row of user-\d+ for user-/, /with a header that .* left/]
  ) {
    assertGreater(violations.filter((violation) => kind.test(violation)).length, 0, `${kind}`);
  }
});
