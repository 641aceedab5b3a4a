/**
 * `GET /<name>/health/pool`: the health of this isolate's pool and the totals of the fleet, in the form of
 * draft-inadarei-api-health-check.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { type LogSink, redact } from "../../observability/log/mod.ts";
import { CachedProbe, messageOf, systemClock, timeoutSignal } from "../../resilience/mod.ts";
import type { ConnectionPoolStats } from "../../pool/mod.ts";
import { type ClientPool, type PoolHealth, switchedOff, toTestQuery, uncheckedHealth } from "../../supabase/mod.ts";
import { type FleetBody, fleetBody } from "./fleet_body.ts";
import type { createFleetResponse } from "./fleet_response.ts";
import type { createMetricsResponse } from "./metrics_response.ts";
import { checkOptions } from "../handler/check_options.ts";
import { errorResponse } from "../responses/error_response.ts";
import { ThrottledLog } from "../logging/throttled_log.ts";
import { withLegacyKeys } from "../auth/legacy_keys.ts";
import { createLazyAuthenticate } from "../auth/lazy_authenticate.ts";
import { MethodNotAllowedError } from "../responses/problem.ts";
import { lazyRuntime, type RequestPool, type Runtime, type RuntimeOptions } from "../handler/runtime.ts";

const HEALTH_TYPE = "application/health+json";
/** For clients that ask for it by name: `functions.invoke` of supabase-js parses no other type as JSON. */
const JSON_TYPE = "application/json";

/** The longest that a response waits for the pool's check, in ms; monitors time out soon after. */
const HEALTH_TIMEOUT_MS = 5_000;

/** `pass`: healthy. `warn`: healthy, and at its limit. `fail`: callers cannot be served. */
type HealthStatus = "pass" | "warn" | "fail";

/** Checks a pool's health. */
type HealthCheck = (pool: RequestPool<never>) => Promise<PoolHealth>;

/** Returns whether `pathname` is exactly `/<name>/health/pool`, where each function reports on its own isolate. */
export function isHealthPath(pathname: string): boolean {
  return /^\/[^/]+\/health\/pool$/.test(pathname);
}

/** Returns whether `pathname` is exactly `/<name>/health/fleet`. */
function isFleetPath(pathname: string): boolean {
  return /^\/[^/]+\/health\/fleet$/.test(pathname);
}

/** Returns whether `pathname` is exactly `/<name>/health/metrics`. */
function isMetricsPath(pathname: string): boolean {
  return /^\/[^/]+\/health\/metrics$/.test(pathname);
}

/** Runs the pool's own check; one that throws or takes too long is a failure. */
async function checkPool(pool: RequestPool<never>): Promise<PoolHealth> {
  const startMs = systemClock.now();
  using timeout = timeoutSignal(
    HEALTH_TIMEOUT_MS,
    systemClock,
    () => new Error(`The health check timed out after ${HEALTH_TIMEOUT_MS} ms`),
  );
  try {
    return await abortable(pool.healthCheck(), timeout.signal);
  } catch (error) {
    const testQuery = { success: false, durationMs: systemClock.now() - startMs, error: messageOf(error) };
    return { healthy: false, details: { stats: pool.getStats(), testQuery } };
  }
}

/** Returns the eight counters that are public. */
function publicStats(stats: ConnectionPoolStats): ConnectionPoolStats {
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

/** Said of a component that was not asked. */
const NOT_CHECKED = "Not checked: health checks are off, the counters are all that is known";

function fullText(limit: number, maxConnections: number): string {
  const which = limit < maxConnections ? `the limit (${limit})` : `maxConnections (${maxConnections})`;
  return `all of ${which} are in use`;
}

/** Creates the body of a health response. Times, errors and the other counters are for operators only. */
function createBody(
  { healthy, details }: PoolHealth,
  pool: RequestPool<never>,
  forOperator: boolean,
  fleet: FleetBody | undefined,
) {
  const { stats, testQuery, circuits } = details;
  const { component = "dataApi", config } = pool;
  const { limit, maxConnections } = stats;
  const off = pool.switchedOff ?? switchedOff(config);
  const isFull = stats.activeConnections >= limit;
  const hasWaiters = stats.waitingForConnection > 0;
  const status: HealthStatus = !healthy ? "fail" : isFull || hasWaiters ? "warn" : "pass";
  const time = new Date().toISOString();
  const error = testQuery.error === undefined ? undefined : redact(testQuery.error);
  const check = (shown: Record<string, unknown> & { status: HealthStatus }, detailed: Record<string, unknown>) => [
    forOperator ? { ...shown, time, ...detailed } : shown,
  ];
  const skipped = testQuery.skipped && { skipped: true };
  return {
    status,
    healthy,
    notes: skipped && [NOT_CHECKED],
    details: {
      stats: forOperator ? stats : publicStats(stats),
      testQuery: forOperator ? { ...testQuery, error } : { success: testQuery.success, ...skipped },
      circuits: forOperator ? circuits : undefined,
      switchedOff: forOperator && off.length > 0 ? off : undefined,
    },
    fleet,
    checks: {
      "pool:activeConnections": check({
        componentType: "component",
        observedValue: stats.activeConnections,
        observedUnit: "connections",
        status: isFull ? "warn" : "pass",
      }, { output: isFull ? fullText(limit, maxConnections) : undefined }),
      "pool:waitingForConnection": check({
        componentType: "component",
        observedValue: stats.waitingForConnection,
        observedUnit: "requests",
        status: hasWaiters ? "warn" : "pass",
      }, {}),
      [`${component}:responseTime`]: check({
        componentType: "datastore",
        status: testQuery.success ? "pass" : "fail",
        output: skipped && NOT_CHECKED,
      }, skipped ? {} : { observedValue: testQuery.durationMs, observedUnit: "ms", output: error }),
    },
  };
}

/**
 * Returns whether the request carries one of the project's secret keys in `apikey`, or the legacy service_role key, which
 * counts as one unless `acceptsLegacy` is false.
 */
async function isOperator(request: Request, runtime: Runtime<never>, acceptsLegacy: boolean): Promise<boolean> {
  const { environment } = runtime;
  const { headers } = request;
  const hasCredentials = headers.get("apikey") || (acceptsLegacy && headers.get("authorization"));
  if (!hasCredentials || Object.keys(environment.secretKeys).length === 0) return false;
  const mode = "secret:*";
  const current = createLazyAuthenticate({ auth: mode, env: environment });
  const authenticate = acceptsLegacy ? withLegacyKeys(current, mode, environment.legacyKeys, environment) : current;
  const { auth } = await authenticate(request);
  return auth !== null;
}

/** Returns the weight that an `Accept` header gives to `type` by name; 0 where only a wildcard covers it. */
function acceptWeight(accept: string, type: string): number {
  for (const range of accept.toLowerCase().split(",")) {
    const [name, ...parameters] = range.split(";").map((part) => part.trim());
    if (name !== type) continue;
    const q = parameters.find((parameter) => parameter.startsWith("q="));
    const weight = q === undefined ? 1 : Number(q.slice(2));
    return weight >= 0 && weight <= 1 ? weight : 0;
  }
  return 0;
}

/** Returns the media type of the response (RFC 9110, section 12.5.1). A wildcard gets the type of health responses. */
function negotiateType(request: Request): string {
  const accept = request.headers.get("Accept") ?? "";
  return acceptWeight(accept, JSON_TYPE) > acceptWeight(accept, HEALTH_TYPE) ? JSON_TYPE : HEALTH_TYPE;
}

/**
 * Creates the response to a health request: 200 if the pool is healthy, 503 if not, 405 for another method.
 *
 * @param check Default: the pool's own `healthCheck`.
 * @param acceptsLegacy False if the legacy service_role key does not count as a secret key. Default: true.
 */
async function createHealthResponse(
  request: Request,
  runtime: Runtime<never>,
  check: HealthCheck = checkPool,
  acceptsLegacy = true,
): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return new MethodNotAllowedError("GET, HEAD").toResponse();
  }
  const pool = runtime.service.getConnectionPool();
  const [health, forOperator, fleet] = await Promise.all([
    check(pool),
    isOperator(request, runtime, acceptsLegacy),
    runtime.fleet?.view("totals"),
  ]);
  const shownFleet = fleet && await fleetBody(fleet, forOperator);
  const body = JSON.stringify(createBody(health, pool, forOperator, shownFleet));
  return new Response(request.method === "HEAD" ? null : body, {
    status: health.healthy ? 200 : 503,
    headers: { "Content-Type": negotiateType(request), "Cache-Control": "no-store", "Vary": "Accept" },
  });
}

/**
 * Returns the response to a request for the health, the metrics or the fleet of this isolate; `undefined` for any other
 * request.
 *
 * @param acceptsLegacy False if the legacy service_role key does not count as a secret key. Default: true.
 */
export function healthResponse(
  request: Request,
  runtime: Runtime<never>,
  acceptsLegacy?: boolean,
): Promise<Response> | undefined {
  if (!request.url.includes("/health/")) return undefined;
  const { pathname } = new URL(request.url);
  if (isHealthPath(pathname)) return createHealthResponse(request, runtime, undefined, acceptsLegacy);
  if (isMetricsPath(pathname)) return metricsResponse(request, runtime, "isolate", acceptsLegacy);
  return isFleetPath(pathname) ? fleetResponse(request, runtime, acceptsLegacy) : undefined;
}

async function metricsResponse(...parameters: Parameters<typeof createMetricsResponse>): Promise<Response> {
  const { createMetricsResponse } = await import("./metrics_response.ts");
  return await createMetricsResponse(...parameters);
}

async function fleetResponse(...parameters: Parameters<typeof createFleetResponse>): Promise<Response> {
  const { createFleetResponse } = await import("./fleet_response.ts");
  return await createFleetResponse(...parameters);
}

/** A probe of the project: it rejects if the project cannot do its work. */
export type HealthProbe<Database> = (pool: ClientPool<Database>) => PromiseLike<unknown>;

/** Options for {@linkcode healthRoute}. */
export interface HealthRouteOptions<Database> extends RuntimeOptions<Database> {
  /**
   * Probes the project with a pool that acts for no caller. It should lease with `lane: "probe"`, so that it needs no
   * slot of the callers. One probe runs at a time, for at most 5,000 ms, and its result is reused for one second.
   * Default: `healthCheck` of the pool.
   */
  readonly probe?: HealthProbe<Database> | undefined;
  /** Writes the lines of the log, JSON each. Default: `console.error`. */
  readonly log?: LogSink | undefined;
}

/** Creates the check of a pool by a probe. */
function createCheck<Database>(probe: HealthProbe<Database>, pool: RequestPool<Database>): HealthCheck {
  const cached = new CachedProbe({
    run: async (signal) => {
      // The signal aborts the scope: a probe that ignores it does not keep its slot.
      const scope = pool.scope({ signal });
      try {
        await probe(scope);
      } finally {
        scope.abort(new Error("The health check has ended"));
      }
    },
    report: toTestQuery,
    timeoutMs: HEALTH_TIMEOUT_MS,
    clock: systemClock,
  });
  return async () => {
    if (!pool.config.healthChecks) return uncheckedHealth(pool.getStats(), true);
    const testQuery = await cached.check();
    return { healthy: testQuery.success, details: { stats: pool.getStats(), testQuery } };
  };
}

/**
 * Creates a handler that reports the health of this isolate's pool: 200, or 503
 * when a query to the project fails; and the totals of the fleet, if the isolate
 * reports to one. Everyone sees `status` and the eight counters; errors, timings,
 * the other counters, and each function, region and isolate of the fleet need the
 * project's secret key in `apikey`. One query runs at a time, on a slot of its own, and its result is
 * reused for one second: neither a flood of requests nor a full pool changes it.
 * The media type is `application/health+json`, or `application/json` for clients
 * that ask for that by name. With `healthChecks: false` nothing is asked: the
 * counters are reported, and the response says so.
 *
 * A path that ends in `/fleet` shows the fleet to operators instead, as
 * `FleetPage`. `missing` says in words what a store that is down, full or
 * of an older version does not supply; the status is 200 nevertheless.
 *
 * A path that ends in `/metrics` shows the metrics of the whole fleet to operators, in the text format of Prometheus.
 *
 * `withPooledSupabase` serves `/<name>/health/pool`, `/<name>/health/fleet` and, for the isolate alone,
 * `/<name>/health/metrics` by itself; use this to serve them on another path. If there can be no pool, because the environment is invalid
 * for example, the response is a problem and the log says why. The returned
 * function never rejects.
 *
 * @example
 * ```ts
 * const health = healthRoute();
 * Deno.serve((request) => health(request));
 * ```
 *
 * @throws {ConfigError} listing every option that is invalid, whatever the environment holds.
 */
export function healthRoute<Database = unknown>(
  options: HealthRouteOptions<Database> = {},
): (request: Request) => Promise<Response> {
  const { log = console.error, probe, ...rest } = options;
  checkOptions(rest);
  const runtime = lazyRuntime(rest);
  const failures = new ThrottledLog(log);
  let check: HealthCheck | undefined;
  return async (request) => {
    try {
      const current = runtime();
      const { pathname } = new URL(request.url);
      if (pathname.endsWith("/metrics")) return await metricsResponse(request, current as Runtime<never>, "fleet");
      if (pathname.endsWith("/fleet")) return await fleetResponse(request, current as Runtime<never>);
      if (probe) check ??= createCheck(probe, current.service.getConnectionPool());
      return await createHealthResponse(request, current as Runtime<never>, check);
    } catch (error) {
      failures.logSetupFailure(error, { request });
      return errorResponse(error);
    }
  };
}
