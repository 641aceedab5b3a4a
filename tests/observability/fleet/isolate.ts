/**
 * One isolate of a fleet, as a process: a handler that holds a lease for some time, loaded by itself.
 *
 * Arguments: the URL of Redis, the cap or 0, the number of callers. Each line of its output is the number of leases.
 *
 * @module
 */
// It has the driver of Redis.
import "../../../shared/cache/mod.ts";
import { withPooledSupabase } from "../../../shared/mod.ts";

const [redisUrl = "", cap = "0", callers = "1"] = Deno.args;

const handle = withPooledSupabase({
  auth: "none",
  variables: {
    SUPABASE_URL: "https://ref.supabase.co",
    SUPABASE_PUBLISHABLE_KEY: "sb_publishable_test",
    SUPABASE_SECRET_KEY: "sb_secret_test",
    SUPABASE_JWKS: '{"keys":[]}',
    POOL_ACQUIRE_TIMEOUT_MS: "60000",
    POOL_FLEET: "on",
    REDIS_URL: redisUrl,
    ...(cap === "0" ? {} : { POOL_FLEET_CAP: cap }),
  },
  fleet: { intervalMs: 200, idleIntervalMs: 200, leaseMs: 2_000 },
}, async (_request, { pool }) => {
  await using _lease = await pool.lease();
  await new Promise((resolve) => setTimeout(resolve, 50));
  return new Response("ok");
});

let served = 0;
async function call(): Promise<never> {
  while (true) {
    const response = await handle(new Request("https://ref.supabase.co/budgets"));
    await response.body?.cancel();
    if (response.status === 200) served++;
    if (served === 1) console.log("ready");
  }
}

await Promise.all(Array.from({ length: Number(callers) }, call));
