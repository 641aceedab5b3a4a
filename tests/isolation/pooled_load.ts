/**
 * Runs a load on pools of its own, while a monitor reads their health.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { withPooledSupabase } from "../../shared/http/mod.ts";
import { SupabaseService } from "../../shared/services/mod.ts";
import { readEnvironment } from "../../shared/http/mod.ts";
import { SecretWatch } from "../support/secret_watch.ts";
import { createCallers, SECRET } from "./callers.ts";
import { Load, type Outcome, type Serve } from "./load.ts";
import type { Database } from "./handler_behaviors.ts";

/** The number of users. */
export const USERS = 100;

/** The outcome of a run, and what it left behind. */
export interface Run extends Outcome {
  readonly watch: SecretWatch;
  /** The number of slots still leased after the run. */
  readonly left: number;
  /** The number of health responses that were checked. */
  readonly healthResponses: number;
}

/** Time between two health requests, in ms. */
const MONITOR_INTERVAL_MS = 20;

/** The public statistics of the pool. */
const PUBLIC = ["totalConnections", "activeConnections", "idleConnections", "waitingForConnection"]
  .concat(["totalAcquired", "totalReleased", "totalCreated", "totalDestroyed"]);

const soon = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Requests the pool's health, anonymously and as the operator in turn, until `signal` aborts. */
async function monitor(
  fetch: (request: Request) => Promise<Response>,
  watch: SecretWatch,
  signal: AbortSignal,
): Promise<number> {
  let responses = 0;
  for (; !signal.aborted; responses++) {
    const operator = responses % 2 === 1;
    const headers: HeadersInit = operator ? { apikey: SECRET } : {};
    const response = await fetch(new Request("http://functions.test/load/health/pool", { headers }));
    const text = await response.text();
    watch.inspectHeaders("a health response", response);
    watch.inspect("a health response", text);
    const { details: { stats, testQuery } } = JSON.parse(text);
    assertEquals(PUBLIC.every((counter) => Number.isInteger(stats[counter])), true, text);
    if (!operator) assertEquals([Object.keys(stats), Object.keys(testQuery)], [PUBLIC, ["success"]]);
    await soon(MONITOR_INTERVAL_MS);
  }
  return responses;
}

/** Sends that number of requests through new pools. */
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
  const finished = new AbortController();
  try {
    const load = new Load({ seed, requests, atOnce: 120, callers, watch }, serve);
    const monitored = fetch ? monitor(fetch, watch, finished.signal) : Promise.resolve(0);
    // An error of the monitor is thrown after the run.
    monitored.catch(() => {});
    const outcome = await load.run();
    finished.abort();
    const healthResponses = await monitored;
    const pools = service ? [service.getConnectionPool(), service.getAdminPool()] : [];
    const out = () => pools.reduce((sum, pool) => sum + pool.getStats().activeConnections, 0);
    // Work passed to waitUntil continues after the last response, for as long as a call may take.
    for (let round = 0; round < 200 && out() > 0; round++) await soon(10);
    return { ...outcome, watch, left: out(), healthResponses };
  } finally {
    finished.abort();
    await service?.shutdown(0);
  }
}
