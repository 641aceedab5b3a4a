/**
 * The correlation of log lines: the id that a request has in the logs of every service it passes.
 *
 * @module
 */
import { redact } from "./redact.ts";

/** The response header that carries the correlation id of a request whose failure was logged. */
export const CORRELATION_ID_HEADER = "X-Correlation-Id";

/**
 * `version-traceId-parentId-flags` (W3C Trace Context, section 3.2). Later versions may append members. Several headers,
 * which are joined by commas, are not valid.
 */
const TRACEPARENT = /^(?!ff)([\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})[\da-f]{16}-[\da-f]{2}(-[^,]*)?$/;

/** The longest `traceparent` that is read, in characters. */
const MAX_TRACEPARENT_LENGTH = 512;

/** Returns the trace id of a `traceparent` header, or `undefined` if the header is not valid. */
export function traceIdOf(traceparent: string): string | undefined {
  if (traceparent.length > MAX_TRACEPARENT_LENGTH) return undefined;
  const [, version, traceId, more] = TRACEPARENT.exec(traceparent) ?? [];
  return version === "00" && more !== undefined ? undefined : traceId;
}

/** Printable without escapes in JSON, headers and URLs. Nothing else is defined for this header. */
const REQUEST_ID = /^[\w.:+=-]{1,128}$/;

/** Returns an `x-request-id`, or `undefined` if it has other characters, is too long, or looks like a credential. */
function requestIdOf(value: string): string | undefined {
  return REQUEST_ID.test(value) && redact(value) === value ? value : undefined;
}

/** The ids of requests that were asked for. */
const ids = new WeakMap<Request, string>();

/**
 * Returns the correlation id of a request: the trace id of its `traceparent` (W3C Trace Context), else its
 * `x-request-id` (1 to 128 letters, digits and `_ . : + = -`), else a random UUID. It is the same at every call.
 *
 * Callers choose the headers: the id correlates lines, and proves nothing.
 *
 * @example
 * ```ts
 * correlationIdOf(new Request("https://x.test/", { headers: { "x-request-id": "42" } })); // "42"
 * ```
 */
export function correlationIdOf(request: Request): string {
  const known = ids.get(request);
  if (known !== undefined) return known;
  const { headers } = request;
  const id = traceIdOf(headers.get("traceparent") ?? "") ?? requestIdOf(headers.get("x-request-id") ?? "") ??
    crypto.randomUUID();
  ids.set(request, id);
  return id;
}

/**
 * Gives a request the id of its trace, unless its caller has chosen an id: log lines and spans then have the same.
 *
 * @param traceId 32 hexadecimal digits.
 */
export function useTraceId(request: Request, traceId: string): void {
  if (ids.has(request)) return;
  const { headers } = request;
  const isChosen = traceIdOf(headers.get("traceparent") ?? "") ?? requestIdOf(headers.get("x-request-id") ?? "");
  ids.set(request, isChosen ?? traceId);
}
