/**
 * A crowd on pools of its own, and monitors that look in on them.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { withPooledSupabase } from "../../shared/http/mod.ts";
import { SupabaseService } from "../../shared/services/mod.ts";
import { readEnvironment } from "../../shared/http/mod.ts";
import { SecretWatch } from "../support/secret_watch.ts";
import { createCallers, SECRET } from "./callers.ts";
import { Crowd, type Outcome, type Serve } from "./crowd.ts";
import type { Database } from "./habits.ts";

/** How many users there are. */
export const USERS = 100;

/** What a run left, beside its outcome. */
export interface Run extends Outcome {
  readonly watch: SecretWatch;
  /** Slots that were still out when everything was over. */
  readonly left: number;
  /** How many health answers were looked at. */
  readonly healthAnswers: number;
}

/** How long a monitor waits before it asks again, in ms. */
const MONITOR_MS = 20;

/** Everything that anybody may see of the pool. */
const PUBLIC = ["totalConnections", "activeConnections", "idleConnections", "waitingForConnection"]
  .concat(["totalAcquired", "totalReleased", "totalCreated", "totalDestroyed"]);

const soon = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks for the pool's health, as anybody and as the operator in turn, until `signal` aborts. */
async function monitor(
  fetch: (request: Request) => Promise<Response>,
  watch: SecretWatch,
  signal: AbortSignal,
): Promise<number> {
  let answers = 0;
  for (; !signal.aborted; answers++) {
    const operator = answers % 2 === 1;
    const headers: HeadersInit = operator ? { apikey: SECRET } : {};
    const response = await fetch(new Request("http://functions.test/crowd/health/pool", { headers }));
    const text = await response.text();
    watch.inspectHeaders("a health answer", response);
    watch.inspect("a health answer", text);
    const { details: { stats, testQuery } } = JSON.parse(text);
    assertEquals(PUBLIC.every((counter) => Number.isInteger(stats[counter])), true, text);
    if (!operator) assertEquals([Object.keys(stats), Object.keys(testQuery)], [PUBLIC, ["success"]]);
    await soon(MONITOR_MS);
  }
  return answers;
}

/** Sends so many requests through pools of their own. */
export async function runPooled(requests: number, seed: number): Promise<Run> {
  const watch = new SecretWatch();
  const callers = await createCallers(USERS, watch);
  const { variables } = callers;
  let service: SupabaseService<Database> | undefined;
  let fetch: ReturnType<Serve> | undefined;
  const serve: Serve = (handler, api, log) => {
    service = new SupabaseService<Database>({
      ...readEnvironment(variables),
      pool: {
        maxConnections: 30,
        requestTimeoutMs: 500,
        acquireTimeoutMs: 2_000,
        fetch: api.fetch,
        healthQuery: (client) => client.from("items").select().eq("maker", "anonymous").eq("call", "health"),
      },
    });
    return fetch = withPooledSupabase({ auth: ["user", "none"], variables, service, log }, handler);
  };
  const over = new AbortController();
  try {
    const crowd = new Crowd({ seed, requests, atOnce: 120, callers, watch }, serve);
    const monitored = fetch ? monitor(fetch, watch, over.signal) : Promise.resolve(0);
    // What the monitor finds is told when the crowd is through.
    monitored.catch(() => {});
    const outcome = await crowd.run();
    over.abort();
    const healthAnswers = await monitored;
    const pools = service ? [service.getConnectionPool(), service.getAdminPool()] : [];
    const out = () => pools.reduce((sum, pool) => sum + pool.getStats().activeConnections, 0);
    // What was given to waitUntil goes on after the last answer, for as long as a call may take.
    for (let round = 0; round < 200 && out() > 0; round++) await soon(10);
    return { ...outcome, watch, left: out(), healthAnswers };
  } finally {
    over.abort();
    await service?.shutdown(0);
  }
}
