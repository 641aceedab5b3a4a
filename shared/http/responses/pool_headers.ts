/**
 * The headers that tell how the pool stands, on every answer.
 *
 * @module
 */
import type { PoolStats } from "../../pool/mod.ts";

/** The counters the headers show. */
export type HeaderStats = Pick<
  PoolStats,
  "totalConnections" | "activeConnections" | "idleConnections" | "waitingForConnection"
>;

/** What the headers say before there is a pool. */
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

/** The metric of a request that waited for nothing, as most do. */
const NO_WAIT = "pool;dur=0.0";

/** `stats` as headers: `X-Pool-Total-Connections` and its three siblings. */
export function poolHeaders(stats: HeaderStats): Record<string, string> {
  return Object.fromEntries(HEADERS.map(([name, counter]) => [name, String(stats[counter])]));
}

/** Adds `names` to `Access-Control-Expose-Headers`, keeping what is there: browsers hide what is not listed. */
export function exposeHeaders(headers: Headers, names: readonly string[]): void {
  const listed = headers.get(EXPOSE);
  if (!listed) return headers.set(EXPOSE, names.join(", "));
  const known = new Set(listed.split(",").map((name) => name.trim().toLowerCase()));
  const missing = names.filter((name) => !known.has(name.toLowerCase()));
  if (missing.length > 0) headers.set(EXPOSE, [listed, ...missing].join(", "));
}

/** Sets the `pool` metric of `Server-Timing` and keeps every other one. */
function setTiming(headers: Headers, durationMs: number): void {
  const ours = durationMs > 0 ? `pool;dur=${durationMs.toFixed(1)}` : NO_WAIT;
  const listed = headers.get("Server-Timing");
  if (!listed) return headers.set("Server-Timing", ours);
  const others = listed.split(",").map((metric) => metric.trim())
    .filter((metric) => metric !== "" && !/^pool(\s*;|$)/.test(metric));
  headers.set("Server-Timing", [...others, ours].join(", "));
}

/**
 * `response`, or a copy of it where its headers cannot be changed, after
 * `change` has been at them. The body stays the same stream. An answer no copy
 * can be made of (`Response.error()`, a WebSocket upgrade) is left as it is.
 */
export function changeHeaders(response: Response, change: (headers: Headers) => void): Response {
  if (response.type === "error" || response.status < 200) return response;
  try {
    change(response.headers);
    return response;
  } catch (error) {
    // Redirects and answers of `fetch` refuse, as the Fetch standard has it.
    if (!(error instanceof TypeError)) throw error;
    const copy = new Response(response.body, response);
    change(copy.headers);
    return copy;
  }
}

/**
 * Stamps `response` with the pool's counters and `Server-Timing: pool;dur=…`,
 * and lists them in `Access-Control-Expose-Headers`. Stamping twice leaves the
 * last counters.
 *
 * @param durationMs How long the request waited for the pool, in ms.
 */
export function stampPoolHeaders(response: Response, stats: HeaderStats, durationMs: number): Response {
  return changeHeaders(response, (headers) => {
    for (const [name, counter] of HEADERS) headers.set(name, String(stats[counter]));
    setTiming(headers, durationMs);
    if (headers.has(EXPOSE)) exposeHeaders(headers, EXPOSED);
    else headers.set(EXPOSE, ALL_EXPOSED);
  });
}
