/**
 * `GET /<name>/health/pool`: how the pool of this isolate stands, in the form
 * of draft-inadarei-api-health-check.
 *
 * @module
 */
import { messageOf } from "../../pool/mod.ts";
import { type Clock, systemClock } from "../../resilience/mod.ts";
import type { PoolHealth } from "../../supabase/mod.ts";
import { prefers } from "../responses/accept.ts";
import { checkOptions } from "../handler/check_options.ts";
import { errorResponse } from "../responses/error_response.ts";
import { FailureLog } from "../logging/failure_log.ts";
import { createLazyAuthenticate } from "../auth/lazy_authenticate.ts";
import { type LogSink, redact } from "../logging/log.ts";
import { problem } from "../responses/problem.ts";
import { lazyRuntime, type RequestPool, type Runtime, type RuntimeOptions } from "../handler/runtime.ts";

/** The media type of a health answer. */
export const HEALTH_TYPE = "application/health+json";

/** What a client gets that asks for it, and reads no other as JSON. */
const JSON_TYPE = "application/json";

/** `pass`: well. `warn`: well, and at its limit. `fail`: callers are not served. */
export type HealthStatus = "pass" | "warn" | "fail";

/** Whether `pathname` is exactly `/<name>/health/pool`, where a function answers for its own isolate. */
export function isHealthPath(pathname: string): boolean {
  return /^\/[^/]+\/health\/pool$/.test(pathname);
}

/** How long an answer waits for the pool's query, in ms; monitors give up not much later. */
export const HEALTH_TIMEOUT_MS = 5_000;

/**
 * The pool's own check, which runs once at a time and is kept for a second. One
 * that hangs or throws has failed.
 */
async function check(pool: RequestPool<never>, clock: Clock): Promise<PoolHealth> {
  const startedMs = clock.now();
  const hung = Promise.withResolvers<never>();
  const timer = clock.setTimer(
    () => hung.reject(new Error(`no answer within ${HEALTH_TIMEOUT_MS} ms`)),
    HEALTH_TIMEOUT_MS,
  );
  try {
    return await Promise.race([pool.healthCheck(), hung.promise]);
  } catch (error) {
    const testQuery = { success: false, durationMs: clock.now() - startedMs, error: messageOf(error) };
    return { healthy: false, details: { stats: pool.getStats(), testQuery } };
  } finally {
    timer.cancel();
  }
}

type Stats = PoolHealth["details"]["stats"];

function counters(stats: Stats): Record<string, number> {
  const { totalConnections, activeConnections, idleConnections, waitingForConnection } = stats;
  const { totalAcquired, totalReleased, totalCreated, totalDestroyed } = stats;
  return {
    totalConnections,
    activeConnections,
    idleConnections,
    waitingForConnection,
    totalAcquired,
    totalReleased,
    totalCreated,
    totalDestroyed,
  };
}

/** The body: what anybody may see, and with `all` what the operator may. */
function bodyOf(
  { healthy, details: { stats, testQuery: test } }: PoolHealth,
  { component = "dataApi", config: { maxConnections: max } }: RequestPool<never>,
  all: boolean,
) {
  const full = stats.activeConnections >= max;
  const waiting = stats.waitingForConnection > 0;
  const status: HealthStatus = !healthy ? "fail" : full || waiting ? "warn" : "pass";
  const query: HealthStatus = test.success ? "pass" : "fail";
  const time = new Date().toISOString();
  const error = test.error === undefined ? undefined : redact(test.error);
  return {
    status,
    healthy,
    details: {
      stats: all ? stats : counters(stats),
      testQuery: all ? { ...test, error } : { success: test.success },
    },
    checks: {
      "pool:activeConnections": [{
        componentType: "component",
        observedValue: stats.activeConnections,
        observedUnit: "connections",
        status: full ? "warn" : "pass",
        ...(all ? { time, output: full ? `all of maxConnections (${max}) are in use` : undefined } : {}),
      }],
      "pool:waitingForConnection": [{
        componentType: "component",
        observedValue: stats.waitingForConnection,
        observedUnit: "requests",
        status: waiting ? "warn" : "pass",
        ...(all ? { time } : {}),
      }],
      [`${component}:responseTime`]: [{
        componentType: "datastore",
        status: query,
        ...(all ? { observedValue: test.durationMs, observedUnit: "ms", time, output: error } : {}),
      }],
    },
  };
}

/** Whether the request carries one of the project's secret keys in `apikey`. */
async function isOperator(request: Request, { environment }: Runtime<never>): Promise<boolean> {
  if (!request.headers.get("apikey") || Object.keys(environment.secretKeys).length === 0) return false;
  const { auth } = await createLazyAuthenticate({ auth: "secret:*", env: environment })(request);
  return auth !== null;
}

/** Answers a health request from `runtime`: as JSON of its own type, or as `application/json` to whoever asks for that. */
export async function answerHealth(
  request: Request,
  runtime: Runtime<never>,
  clock: Clock = systemClock,
): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return problem({
      status: 405,
      code: "METHOD_NOT_ALLOWED",
      title: "Method not allowed",
      detail: "The health of the pool is read with GET or HEAD",
      headers: { Allow: "GET, HEAD" },
    });
  }
  const pool = runtime.service.getConnectionPool();
  const [health, all] = await Promise.all([check(pool, clock), isOperator(request, runtime)]);
  const body = bodyOf(health, pool, all);
  const plain = prefers(request.headers.get("Accept"), JSON_TYPE, HEALTH_TYPE);
  return new Response(request.method === "HEAD" ? null : JSON.stringify(body), {
    status: health.healthy ? 200 : 503,
    headers: { "Content-Type": plain ? JSON_TYPE : HEALTH_TYPE, "Cache-Control": "no-store", "Vary": "Accept" },
  });
}

/** Options of {@linkcode healthRoute}. */
export interface HealthRouteOptions<Database> extends RuntimeOptions<Database> {
  /** Takes the log's lines, JSON each. Default: `console.error`. */
  readonly log?: LogSink | undefined;
}

/**
 * A route that tells how the pool of this isolate stands: 200, or 503 when a
 * query to the project fails. Anybody sees `status` and the eight counters;
 * errors, timings and the other counters need the project's secret key in
 * `apikey`. One query runs at a time and its result serves for a second, so a
 * flood of requests costs the project nothing. The type is
 * `application/health+json`, and `application/json` for whoever asks for that:
 * `functions.invoke` of supabase-js gives the text of any other.
 *
 * `withPooledSupabase` serves `/<name>/health/pool` in this way by itself;
 * this is for a function that wants it elsewhere too. Where there can be no
 * pool, because the environment is bad say, the answer is a problem, and the
 * log says why. The returned function never rejects.
 *
 * @throws {ConfigError} listing every option that is bad whatever the environment holds.
 */
export function healthRoute<Database = unknown>(
  options: HealthRouteOptions<Database> = {},
): (request: Request) => Promise<Response> {
  const { log = console.error, ...rest } = options;
  checkOptions(rest);
  const runtime = lazyRuntime(rest);
  const failures = new FailureLog(log);
  return async (request) => {
    try {
      return await answerHealth(request, runtime() as Runtime<never>);
    } catch (error) {
      failures.notReady(error);
      return errorResponse(error);
    }
  };
}
