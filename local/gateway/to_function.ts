/**
 * Requests to functions.
 *
 * @module
 */
import { memberOf, messageOf } from "../../shared/resilience/mod.ts";
import { type FunctionIsolate, FunctionUnavailableError, type RunningFunction } from "../functions/isolate.ts";
import type { Functions } from "../functions/mod.ts";
import { ABSENT_HEADER, ORIGIN_HEADER, ORIGINAL_PREFIX } from "../functions/protocol.ts";
import { problem } from "../problem.ts";
import { preflight } from "./cors.ts";
import { forward, MalformedRequestError } from "./proxy.ts";
import { forwardWebSocket, isWebSocketRequest } from "./websocket.ts";

/** A request to a function. */
export interface FunctionRequest {
  /** The request of the client. */
  readonly request: Request;
  /** Resolves when the response has been sent. */
  readonly completed: Promise<void>;
  /** The name of the function. */
  readonly name: string;
  /** The path and query as the function sees them. */
  readonly path: string;
}

/** The parts of the stack that a request to a function needs. */
export interface FunctionBackends {
  /** The functions. */
  readonly functions: Functions;
  /** Returns the response to a request without a valid token. */
  readonly checkJwt: (request: Request) => Promise<Response | undefined>;
}

const CRASH_NOTICE_MS = 250;
/** Headers that `fetch` adds, or that are for the gateway only. */
const REPLACED = ["accept", "accept-encoding", "accept-language", "host", "user-agent"];

/** Returns the headers with which the function sees those of the client unchanged. */
function privateHeaders({ headers, url }: Request): Record<string, string> {
  const original: Record<string, string> = {
    [ORIGIN_HEADER]: new URL(url).origin,
    [ABSENT_HEADER]: REPLACED.filter((name) => !headers.has(name)).join(","),
  };
  for (const name of REPLACED) {
    const value = headers.get(name);
    if (value !== null) original[`${ORIGINAL_PREFIX}${name}`] = value;
  }
  return original;
}

/** Hosted projects without a domain of their own serve no pages: a GET request gets HTML as plain text. */
function asPlainText({ method }: Request, response: Response, isolate: FunctionIsolate): Response {
  const html = /^text\/html\s*(?=;|$)/i;
  const type = response.headers.get("content-type") ?? "";
  if (!html.test(type) || (method !== "GET" && method !== "HEAD")) return response;
  response.headers.set("content-type", type.replace(html, "text/plain"));
  isolate.noteHtml();
  return response;
}

/** Creates the response of the hosted platform for a function that fails, with the reason. */
function failure(
  { name, status, code, hosted, failed, detail }: {
    readonly name: string;
    readonly status: number;
    readonly code: string;
    readonly hosted: string;
    readonly failed: string;
    readonly detail: string;
  },
): Response {
  const response = problem({
    status,
    code,
    title: `The function "${name}" ${failed}`,
    detail,
    ...(status === 503 ? { retryAfterS: 1 } : {}),
    members: { function: name },
  });
  response.headers.set("sb-error-code", hosted);
  response.headers.set("access-control-expose-headers", "sb-error-code, retry-after");
  return response;
}

function unavailable(name: string, { code, message }: FunctionUnavailableError): Response {
  const failed = {
    FUNCTION_LOAD_FAILED: "could not be loaded",
    FUNCTION_CRASHED: "crashed",
    STACK_STOPPING: "is unavailable",
  }[code];
  return failure({ name, status: 503, code, hosted: "BOOT_ERROR", failed, detail: message });
}

/** Creates the response to a request whose function closed the connection. */
async function brokenOff(name: string, running: RunningFunction, error: unknown): Promise<Response> {
  const detail = await running.child.endedWithin(CRASH_NOTICE_MS);
  const { limit } = running;
  if (limit !== undefined) {
    const hosted = "WORKER_RESOURCE_LIMIT";
    return failure({ name, status: 546, code: hosted, hosted, failed: "was stopped", detail: `It ${limit}.` });
  }
  const hosted = "WORKER_ERROR";
  if (detail !== undefined) {
    return failure({ name, status: 503, code: "FUNCTION_CRASHED", hosted, failed: "crashed", detail });
  }
  const reason = messageOf(memberOf(error, "cause") ?? error);
  if (/head is too large/.test(reason)) {
    return failure({
      name,
      status: 502,
      code: "RESPONSE_HEADERS_TOO_LARGE",
      hosted,
      failed: "sent too many headers",
      detail: "The local stack passes on about 95 headers of a response: send fewer, or put the values in the body.",
    });
  }
  return failure({
    name,
    status: 503,
    code: "FUNCTION_BROKE_OFF",
    hosted,
    failed: "closed the connection",
    // Before it come the addresses of the stack.
    detail: `It closed the connection before its response: ${reason.replace(/^.*client error \(\w+\): /, "")}.`,
  });
}

/**
 * Forwards a request to its function. Returns `undefined` if the function does not exist.
 *
 * @throws If the client has disconnected.
 * @throws {MalformedRequestError} If the body of the request violates HTTP.
 */
export async function toFunction(
  { request, completed, name, path }: FunctionRequest,
  { functions, checkJwt }: FunctionBackends,
): Promise<Response | undefined> {
  const isolate = functions.get(name);
  if (!isolate) return undefined;
  const refused = isolate.config.verifyJwt ? await checkJwt(request) : undefined;
  if (refused) return refused;
  let running: RunningFunction;
  try {
    running = await functions.acquire(isolate);
  } catch (error) {
    if (!(error instanceof FunctionUnavailableError)) throw error;
    // With it, a page may read the response to the request that follows.
    return preflight(request) ?? unavailable(name, error);
  }
  running.inFlight++;
  const release = () => {
    running.inFlight--;
    running.usedAt = performance.now();
  };
  let isUpgraded = false;
  const idle = new AbortController();
  const idleMs = isolate.limits?.idleMs;
  const timer = idleMs === undefined ? undefined : setTimeout(() => idle.abort(), idleMs);
  try {
    const signal = idleMs === undefined ? request.signal : AbortSignal.any([request.signal, idle.signal]);
    const headers = privateHeaders(request);
    if (isWebSocketRequest(request)) {
      const response = await forwardWebSocket(request, running.child, path, headers, { signal, onEnd: release });
      isUpgraded = response.status === 101;
      return response;
    }
    const response = await forward(request, running.child, path, headers, signal);
    if (response.status >= 500 && !response.headers.has("sb-error-code")) {
      response.headers.set("sb-error-code", "EDGE_FUNCTION_ERROR");
    }
    return asPlainText(request, response, isolate);
  } catch (error) {
    if (request.signal.aborted || error instanceof MalformedRequestError) throw error;
    if (idle.signal.aborted) {
      const hosted = "IDLE_TIMEOUT";
      const detail = `Request idle timeout limit (${(idleMs ?? 0) / 1000}s) reached`;
      return failure({ name, status: 504, code: hosted, hosted, failed: "did not respond", detail });
    }
    return await brokenOff(name, running, error);
  } finally {
    clearTimeout(timer);
    // A WebSocket is in flight for longer than its response.
    if (!isUpgraded) completed.catch(() => {}).finally(release);
  }
}
