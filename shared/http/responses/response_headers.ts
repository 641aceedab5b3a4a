/**
 * The headers of every response: those of CORS, and the pool's.
 *
 * @module
 */
import type { PoolStats } from "../../pool/mod.ts";
import { ERROR_CODE_HEADER } from "../auth/rejection.ts";

/** The counters in the headers. */
export type HeaderStats = Pick<
  PoolStats,
  "totalConnections" | "activeConnections" | "idleConnections" | "waitingForConnection"
>;

/** The counters before a pool exists. */
export const NO_POOL: Readonly<HeaderStats> = Object.freeze({
  totalConnections: 0,
  activeConnections: 0,
  idleConnections: 0,
  waitingForConnection: 0,
});

const EXPOSE = "Access-Control-Expose-Headers";

/** The header of each counter. */
const HEADERS = [
  ["X-Pool-Total-Connections", "totalConnections"],
  ["X-Pool-Active-Connections", "activeConnections"],
  ["X-Pool-Idle-Connections", "idleConnections"],
  ["X-Pool-Waiting-Requests", "waitingForConnection"],
] as const satisfies readonly (readonly [string, keyof HeaderStats])[];

const EXPOSED: readonly string[] = [...HEADERS.map(([name]) => name), "Server-Timing"];
const ALL_EXPOSED = EXPOSED.join(", ");

/** The metric of a request that did not wait, as most do not. */
const NO_WAIT = "pool;dur=0.0";

/** Adds `names` to `Access-Control-Expose-Headers`: browsers hide headers that are not listed. */
export function exposeHeaders(headers: Headers, names: readonly string[]): void {
  const listed = headers.get(EXPOSE);
  if (!listed) return headers.set(EXPOSE, names.join(", "));
  const known = new Set(listed.split(",").map((name) => name.trim().toLowerCase()));
  const missing = names.filter((name) => !known.has(name.toLowerCase()));
  if (missing.length > 0) headers.set(EXPOSE, [listed, ...missing].join(", "));
}

/** Returns the metrics of `listed` with `ours` in place of the metric `pool`. */
function withMetric(listed: string, ours: string): string {
  const others = listed.split(",").map((metric) => metric.trim())
    .filter((metric) => metric !== "" && !/^pool(\s*;|$)/.test(metric));
  return [...others, ours].join(", ");
}

/** Sets the `pool` metric of `Server-Timing` and keeps every other one. */
function setTiming(headers: Headers, durationMs: number): void {
  const ours = durationMs > 0 ? `pool;dur=${durationMs.toFixed(1)}` : NO_WAIT;
  const listed = headers.get("Server-Timing");
  headers.set("Server-Timing", listed ? withMetric(listed, ours) : ours);
}

/**
 * Changes the headers of `response`, and returns it, or a copy if its headers are immutable. The body stays the same
 * stream. A response that cannot be copied (`Response.error()`, a WebSocket upgrade) is returned unchanged.
 */
export function changeHeaders(response: Response, change: (headers: Headers) => void): Response {
  if (response.type === "error" || response.status < 200) return response;
  try {
    change(response.headers);
    return response;
  } catch (error) {
    // The headers of redirects and of responses of `fetch` are immutable (Fetch standard).
    if (!(error instanceof TypeError)) throw error;
    const copy = new Response(response.body, response);
    change(copy.headers);
    return copy;
  }
}

/**
 * Sets the headers of CORS, and the pool's counters with `Server-Timing: pool;dur=...`; lists what browsers may read in
 * `Access-Control-Expose-Headers`. A second call replaces the counters.
 *
 * @param cors The headers of CORS, by name. `undefined` for none.
 * @param stats The counters. `undefined` for no pool headers.
 * @param waitedMs The time the request waited for the pool, in ms.
 */
export function stampHeaders(
  response: Response,
  cors: readonly [string, string][] | undefined,
  stats: HeaderStats | undefined,
  waitedMs: number,
): Response {
  return changeHeaders(response, (headers) => {
    for (const [name, value] of cors ?? []) headers.set(name, value);
    if (cors && headers.has(ERROR_CODE_HEADER)) exposeHeaders(headers, [ERROR_CODE_HEADER]);
    if (!stats) return;
    for (const [name, counter] of HEADERS) headers.set(name, String(stats[counter]));
    setTiming(headers, waitedMs);
    if (headers.has(EXPOSE)) exposeHeaders(headers, EXPOSED);
    else headers.set(EXPOSE, ALL_EXPOSED);
  });
}
