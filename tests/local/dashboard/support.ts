/**
 * A stand-in for a project's health routes, and a dashboard in front of it.
 *
 * @module
 */
import { type DashboardOptions, openDashboard } from "../../../local/dashboard/mod.ts";

/** The secret key of the stand-in. */
export const KEY = "sb_secret_of-the-stand-in-0123456789";

/** Statistics of a pool. */
export function stats(more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    totalConnections: 3,
    activeConnections: 2,
    idleConnections: 1,
    waitingForConnection: 0,
    totalAcquired: 10,
    totalReleased: 8,
    totalCreated: 3,
    totalDestroyed: 0,
    totalTimeouts: 0,
    limit: 10,
    ...more,
  };
}

/** 90 s before the time of the page. */
const SINCE_MS = Date.UTC(2026, 0, 1) - 90_000;
const TIMES = { count: 10, p50Ms: 1, p90Ms: 4, p99Ms: 9, maxMs: 12 };

/** The response of `/health/fleet`. */
export function fleetPage(more: Record<string, unknown> = {}): Record<string, unknown> {
  const group = {
    function: "budgets",
    region: "local",
    stats: stats(),
    errors: { POOL_TIMEOUT: 2 },
    retries: 1,
    wait: TIMES,
    use: TIMES,
  };
  return {
    version: 1,
    time: "2026-01-01T00:00:00.000Z",
    store: "postgres",
    missing: [],
    totals: { isolates: 1, stats: stats() },
    functions: [{ ...group, isolates: 1 }],
    isolates: [{ ...group, isolate: "i-1", ageMs: 1_200, circuits: { rest: { state: "open" } }, slowRequests: [] }],
    slowRequests: [{
      requestId: "r-1",
      function: "budgets",
      isolate: "i-1",
      method: "GET",
      status: 503,
      code: "POOL_TIMEOUT",
      endedAtMs: 1_767_225_600_000,
      durationMs: 900,
      verifyMs: 100,
      waitMs: 500,
      upstreamMs: 200,
    }],
    alerts: [{ rule: "waiting_requests", function: "budgets", raised: true, sinceMs: SINCE_MS, value: 12, misses: 0 }],
    samples: [
      { atMs: 15_000, function: "budgets", waiting: 1, active: 2, limit: 10, acquisitionMs: 3, calls: 4, errors: 1 },
    ],
    ...more,
  };
}

/** The response of `/health/pool`. */
export const HEALTH = { status: "pass", healthy: true, details: { stats: stats() } };

/** The response of `/health/metrics`. */
export const METRICS = '# TYPE up gauge\nup{a="b"} 1\n';

/** The routes of the stand-in: each a body, or a function that creates the response. */
export interface Routes {
  fleet: unknown;
  pool: unknown;
  metrics: unknown;
}

/** A dashboard in front of a stand-in. */
export interface Fixture extends AsyncDisposable {
  /** The address of the dashboard. */
  readonly url: string;
  /** The routes, which a test may change. */
  readonly routes: Routes;
  /** The requests that reached the stand-in. */
  readonly requests: { readonly url: string; readonly apikey: string | null }[];
  /** Reads the data of the page. */
  // deno-lint-ignore no-explicit-any -- tests look into bodies of every shape
  data(query?: string): Promise<any>;
  /** Stops the dashboard alone. */
  stopDashboard(): Promise<void>;
}

/** Starts a stand-in and a dashboard. */
export function startFixture(
  options: Pick<DashboardOptions, "intervalMs" | "timeoutMs" | "metricsIntervalMs" | "function"> = {},
): Fixture {
  const routes: Routes = { fleet: fleetPage(), pool: HEALTH, metrics: METRICS };
  const requests: { readonly url: string; readonly apikey: string | null }[] = [];
  const project = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    requests.push({ url: request.url, apikey: request.headers.get("apikey") });
    const name = new URL(request.url).pathname.split("/").at(-1) as keyof Routes;
    const body = routes[name];
    if (typeof body === "function") return await body(request);
    return typeof body === "string" ? new Response(body) : Response.json(body);
  });
  const dashboard = openDashboard({
    url: `http://127.0.0.1:${project.addr.port}`,
    secretKey: KEY,
    port: 0,
    intervalMs: 0,
    metricsIntervalMs: 0,
    ...options,
  });
  return {
    url: dashboard.url,
    routes,
    requests,
    data: async (query = "") => await (await fetch(`${dashboard.url}data${query}`)).json(),
    stopDashboard: () => dashboard.stop(),
    async [Symbol.asyncDispose]() {
      await dashboard.stop();
      await project.shutdown();
    },
  };
}
