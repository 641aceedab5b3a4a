/**
 * The headers of every response: those of CORS, and the pool's.
 *
 * @module
 */
import { CORRELATION_ID_HEADER, correlationIdOf } from "../../observability/log/mod.ts";
import type { PoolStats } from "../../pool/mod.ts";
import { ERROR_CODE_HEADER } from "../auth/rejection.ts";
import type { Cors } from "./cors.ts";

/** The counters in the headers. */
export type HeaderStats = Pick<
  PoolStats,
  "totalConnections" | "activeConnections" | "idleConnections" | "waitingForConnection" | "limit"
>;

/** The counters before a pool exists. */
export const NO_POOL: Readonly<HeaderStats> = Object.freeze({
  totalConnections: 0,
  activeConnections: 0,
  idleConnections: 0,
  waitingForConnection: 0,
  limit: 0,
});

/** The header that lists what browsers may read. */
export const EXPOSE = "access-control-expose-headers";
/** The header that lists the request headers that a response depends on. */
export const VARY = "vary";

/** Headers of failures that tell a browser what to do, and that it hides unless they are listed. */
const OF_FAILURES = ["Allow", "Retry-After", ERROR_CODE_HEADER];

/** The header of each counter. */
const HEADERS = [
  ["X-Pool-Total-Connections", "totalConnections"],
  ["X-Pool-Active-Connections", "activeConnections"],
  ["X-Pool-Idle-Connections", "idleConnections"],
  ["X-Pool-Waiting-Requests", "waitingForConnection"],
  ["X-Pool-Limit", "limit"],
] as const satisfies readonly (readonly [string, keyof HeaderStats])[];

const EXPOSED: readonly string[] = [...HEADERS.map(([name]) => name), "Server-Timing"];
const ALL_EXPOSED = EXPOSED.join(", ");
/** The same of a request that is traced. */
const EXPOSED_TRACED: readonly string[] = [...EXPOSED, CORRELATION_ID_HEADER];
const ALL_EXPOSED_TRACED = EXPOSED_TRACED.join(", ");

/** The parts of the time of a request that were measured, in ms. */
export interface RequestParts {
  /** The time in which its credentials were checked; 0 where a verified token is remembered. */
  readonly verifyMs: number;
  /** The time it waited for slots and connections. */
  readonly waitedMs: number;
  /** The time in which its calls and statements were under way. Time in which several were counts once. */
  readonly upstreamMs: number;
}

/** Returns a time with one decimal. The clock counts whole milliseconds, whose text costs a fraction of `toFixed`. */
function tenths(ms: number): string {
  return Number.isInteger(ms) ? `${ms}.0` : ms.toFixed(1);
}

/** Returns the items of a header that is a list. */
export function listed(value: string): string[] {
  return value.split(",").map((item) => item.trim()).filter((item) => item !== "");
}

/** Adds those of `names` to the list of a header that it does not have. */
function addToList(headers: Headers, header: string, names: readonly string[]): void {
  const before = headers.get(header);
  if (!before) return headers.set(header, names.join(", "));
  const known = new Set(listed(before).map((name) => name.toLowerCase()));
  const missing = names.filter((name) => !known.has(name.toLowerCase()));
  if (missing.length > 0) headers.set(header, [before, ...missing].join(", "));
}

/** Adds `names` to `Access-Control-Expose-Headers`: browsers hide headers that are not listed. */
export function exposeHeaders(headers: Headers, names: readonly string[]): void {
  addToList(headers, EXPOSE, names);
}

/** The metrics of an earlier stamp. */
const STAMP = /(?:^|,)\s*pool;dur=[\d.]+, verify;dur=[\d.]+, wait;dur=[\d.]+, upstream;dur=[\d.]+(?=\s*(?:,|$))/g;

/** A metric of a list: its descriptions may be quoted strings, which may hold commas. */
const METRIC = /(?:[^",]|"(?:[^"\\]|\\.)*"?)+/g;

/** Returns the metrics of `listed` with `ours` in place of those of an earlier stamp, and of any other metric `pool`. */
function withMetrics(listed: string, ours: string): string {
  const others = (listed.replace(STAMP, "").match(METRIC) ?? []).map((metric) => metric.trim())
    .filter((metric) => metric !== "" && !/^pool(\s*;|$)/.test(metric));
  return [...others, ours].join(", ");
}

/** The metrics of requests that neither verify nor wait, as most do not, by the time of their calls in ms. */
const common: string[] = [];
/** The times of calls that are kept there, in ms. */
const COMMON_MS = 500;

function metricsOf(verifyMs: number, waitedMs: number, upstreamMs: number): string {
  const wait = tenths(waitedMs);
  return `pool;dur=${wait}, verify;dur=${tenths(verifyMs)}, wait;dur=${wait}, upstream;dur=${tenths(upstreamMs)}`;
}

/** Sets our metrics of `Server-Timing` and keeps every other one. */
function setTiming(headers: Headers, { verifyMs, waitedMs, upstreamMs }: RequestParts): void {
  const isCommon = verifyMs === 0 && waitedMs === 0 && upstreamMs < COMMON_MS && Number.isInteger(upstreamMs);
  const ours = isCommon
    ? common[upstreamMs] ??= metricsOf(verifyMs, waitedMs, upstreamMs)
    : metricsOf(verifyMs, waitedMs, upstreamMs);
  const listed = headers.get("Server-Timing");
  headers.set("Server-Timing", listed ? withMetrics(listed, ours) : ours);
}

/**
 * Changes the headers of `response`, and returns it, or a copy if its headers are immutable. The body stays the same
 * stream. A WebSocket upgrade, which cannot be copied, is returned unchanged.
 */
export function changeHeaders(response: Response, change: (headers: Headers) => void): Response {
  if (response.status < 200) return response;
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

/** Adds the id under which the log has the request. One that it does not have costs no id. */
export function withCorrelationId(response: Response, request: Request): Response {
  return changeHeaders(response, (headers) => {
    headers.set(CORRELATION_ID_HEADER, correlationIdOf(request));
    exposeHeaders(headers, [CORRELATION_ID_HEADER]);
  });
}

/**
 * Sets the headers of CORS that the response does not have, and the pool's counters with `Server-Timing`: `pool`, the wait
 * for the pool, then `verify`, `wait` and `upstream`. Lists what browsers may read in `Access-Control-Expose-Headers`. A second call replaces the counters.
 *
 * @param cors `undefined` for none.
 * @param stats The counters. `undefined` for no pool headers.
 * @param parts The parts of the request's time.
 * @param id The id under which the traces have the request. Default: it is not traced.
 */
export function stampHeaders(
  response: Response,
  cors: Cors | undefined,
  stats: HeaderStats | undefined,
  parts: RequestParts,
  id?: string,
): Response {
  return changeHeaders(response, (headers) => {
    if (id !== undefined) headers.set(CORRELATION_ID_HEADER, id);
    if (cors) {
      for (const [name, value] of cors.headers) if (!headers.has(name)) headers.append(name, value);
      for (const [name, names] of cors.lists) addToList(headers, name, names);
      if (response.status >= 400) {
        const present = OF_FAILURES.filter((name) => headers.has(name));
        if (present.length > 0) exposeHeaders(headers, present);
      }
    }
    if (!stats) {
      if (id !== undefined) exposeHeaders(headers, [CORRELATION_ID_HEADER]);
      return;
    }
    for (const [name, counter] of HEADERS) {
      // Without pooling there is no limit to show.
      if (stats[counter] < Infinity) headers.set(name, String(stats[counter]));
    }
    setTiming(headers, parts);
    // One list: each that is added to another one costs as much as all other headers.
    if (headers.has(EXPOSE)) exposeHeaders(headers, id === undefined ? EXPOSED : EXPOSED_TRACED);
    else headers.append(EXPOSE, id === undefined ? ALL_EXPOSED : ALL_EXPOSED_TRACED);
  });
}
