/**
 * The course of a request: credentials, handler, errors, headers.
 *
 * @module
 */
import type { AuthError } from "@supabase/server";
import { CORRELATION_ID_HEADER, correlationIdOf } from "../../observability/mod.ts";
import { PoolError } from "../../pool/mod.ts";
import { type Clock, INTERNAL_ERROR, memberOf, systemClock } from "../../resilience/mod.ts";
import type { AuthOutcome } from "../auth/authenticate.ts";
import { checkOptions } from "./check_options.ts";
import { type Cors, parseCors, preflightResponse } from "../responses/cors.ts";
import { CallerLeftError, type RequestWait } from "../request/deadline.ts";
import { errorResponse } from "../responses/error_response.ts";
import { logCircuits } from "../logging/circuit_log.ts";
import { ThrottledLog } from "../logging/throttled_log.ts";
import { type PooledHandler, type PooledSupabaseOptions, prepare, type Prepared } from "./handler_options.ts";
import { createHealthResponse, isHealthPath } from "../health/health.ts";
import { loadMissingSecretKey } from "../request/missing_admin.ts";
import { exposeHeaders, type HeaderStats, NO_POOL, stampHeaders } from "../responses/response_headers.ts";
import { problem } from "../responses/problem.ts";
import { isServerError, rejectionResponse } from "../auth/rejection.ts";
import { joinEdgeRuntime } from "../request/edge_runtime.ts";
import { type RequestEvents, RequestScope } from "../request/request_scope.ts";
import { containRejections } from "../request/unhandled_rejections.ts";
import { lazyRuntime, type Runtime } from "./runtime.ts";

/** The time a request waited for slots, in ms. */
interface Timing {
  waitedMs: number;
}

/**
 * The handler returned without releasing leases. Only the log shows it.
 *
 * @cause A lease was neither released nor declared with `await using`, or background work kept it.
 * @fix Take leases with `await using`, and pass work that goes on after the response to `ctx.waitUntil`.
 * @sample new LeaseForgottenError(2)
 */
export class LeaseForgottenError extends PoolError {
  static override readonly code = "LEASE_FORGOTTEN";
  static override readonly retry = "permanent";
  static override readonly http = INTERNAL_ERROR;

  constructor(count: number) {
    super(
      `The handler returned without releasing ${count} lease(s); they were released for it. Take leases with ` +
        "`await using`, and pass work that goes on after the response to ctx.waitUntil",
    );
  }
}

/**
 * A client or pool of a request was used after the request had ended. Only the log shows it: the call itself fails with
 * `LEASE_RELEASED`, or with the reason that ended the request.
 *
 * @cause A timer, an event listener or work that was not awaited outlived the response and its body.
 * @fix Give that work to `ctx.waitUntil` (or `EdgeRuntime.waitUntil`) before the handler returns.
 * @sample new RequestEndedError(undefined)
 */
export class RequestEndedError extends PoolError {
  static override readonly code = "REQUEST_ENDED";
  static override readonly retry = "permanent";
  static override readonly http = INTERNAL_ERROR;

  /** @param cause The error of the call. */
  constructor(cause: unknown) {
    super(
      "A call through ctx was refused: its request has ended. Give work that goes on after the response to " +
        "ctx.waitUntil, or to EdgeRuntime.waitUntil, before the handler returns",
      { cause },
    );
  }
}

/**
 * Returns the response that a handler threw, as handlers of Hono and Remix do, the one of an `HTTPException` included;
 * `undefined` for any other value.
 */
function thrownResponse(thrown: unknown): Response | undefined {
  if (thrown instanceof Response) return thrown;
  const getResponse = memberOf(thrown, "getResponse");
  const response: unknown = typeof getResponse === "function" ? getResponse.call(thrown) : undefined;
  return response instanceof Response ? response : undefined;
}

/** The function that a response is of, for errors. */
type Responder = "the handler" | "onRejected";

/** @throws {TypeError} for what a server cannot send. */
function checkResponse(returned: unknown, by: Responder = "the handler"): Response {
  if (!(returned instanceof Response)) {
    const shown = returned === null ? "null" : typeof returned;
    throw new TypeError(`${by === "the handler" ? "The handler" : by} must return a Response: it returned ${shown}`);
  }
  if (returned.type !== "error") return returned;
  throw new TypeError(`Cannot send the Response of ${by}: it is a network error (Response.error())`);
}

/**
 * Deno's own access to the body of a response. The public `body` turns text and bytes into a stream, which then are sent
 * in chunks, without a length and at a multiple of the cost.
 */
const BODY: symbol | undefined = Object.getOwnPropertySymbols(Response.prototype).find(({ description }) =>
  description === "body"
);

/** The text of a response, in newer versions of Deno, for as long as nothing has asked for its body. */
const TEXT: symbol | undefined = Object.getOwnPropertySymbols(new Response("")).find(({ description }) =>
  description === "lazy static body"
);

/** The value of {@linkcode BODY}. */
interface InnerBody {
  /** The text or bytes that it was created from; `null` for a stream. */
  readonly source: unknown;
  readonly streamOrStatic: unknown;
}

/**
 * Returns the body of `response` if it is a stream that code of the program may produce, and `undefined` for any other
 * body.
 *
 * @throws {TypeError} when no server can send it: it was read before, or is locked to a reader.
 */
function streamOf(
  response: Response,
  by: Responder = "the handler",
): ReadableStream<Uint8Array<ArrayBuffer>> | undefined {
  // First: a text that nothing has asked for was not read, and asking costs more than the rest.
  if (TEXT && typeof Reflect.get(response, TEXT) === "string") return undefined;
  if (response.bodyUsed) throw new TypeError(`Cannot send the Response of ${by}: its body was already read`);
  const body: InnerBody | null | undefined = BODY && Reflect.get(response, BODY);
  if (body === null) return undefined;
  const stream = body === undefined ? response.body : body.streamOrStatic;
  if (!(stream instanceof ReadableStream)) return undefined;
  if (stream.locked) throw new TypeError(`Cannot send the Response of ${by}: its body is locked to a reader`);
  // The runtime itself produces the bodies of `fetch`, and of a Blob and the like.
  const isOfRuntime = (response.url !== "" && response.constructor === Response) || (body?.source ?? null) !== null;
  return isOfRuntime ? undefined : response.body ?? undefined;
}

/** Returns whether a pool refused a token that has expired. `CallerError` is loaded with Postgres only. */
function isExpired(error: unknown): boolean {
  return error instanceof PoolError && memberOf(error, "reason") === "expired";
}

/** Returns the response to an error, in the form of `@supabase/server` for its errors. */
function failureResponse(error: unknown): Response {
  if (!isServerError(error)) return errorResponse(error);
  return problem({
    status: error.status,
    code: error.code,
    title: error.status < 500 ? "Request rejected" : "Server configuration error",
    detail: error.status < 500 ? error.message : "The server is misconfigured: see its log",
  });
}

/** Adds the id under which the log has the failure. A response that is not logged costs no id. */
function withCorrelationId(response: Response, request: Request): Response {
  response.headers.set(CORRELATION_ID_HEADER, correlationIdOf(request));
  exposeHeaders(response.headers, [CORRELATION_ID_HEADER]);
  return response;
}

/** Handles a request with a handler. Never throws, never rejects. */
export type HandleRequest<Database> = (request: Request, handler: PooledHandler<Database>) => Promise<Response>;

/**
 * Creates the function that handles requests under one set of options; see `withPooledSupabase`.
 *
 * @param clock Default: the isolate's own time.
 * @throws {ConfigError} listing every option that is invalid in any environment.
 */
export function createRequestHandler<Database>(
  options: PooledSupabaseOptions<Database>,
  clock: Clock = systemClock,
): HandleRequest<Database> {
  checkOptions(options);
  const handler = new RequestHandler<Database>(options, clock);
  return (request, handle) => handler.handle(request, handle);
}

class RequestHandler<Database> {
  readonly #options: PooledSupabaseOptions<Database>;
  readonly #clock: Clock;
  readonly #cors: ReturnType<typeof parseCors>;
  readonly #runtime: () => Runtime<Database>;
  readonly #failures: ThrottledLog;
  readonly #events: RequestEvents;
  /** Set at the first request: a bad environment is reported to each. */
  #prepared: Prepared<Database> | undefined = undefined;

  constructor(options: PooledSupabaseOptions<Database>, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#cors = parseCors(options.cors);
    this.#runtime = lazyRuntime(options);
    this.#failures = new ThrottledLog(options.log ?? console.error, clock);
    this.#events = this.#createEvents(options.containRejections ?? true);
  }

  async handle(request: Request, handler: PooledHandler<Database>): Promise<Response> {
    const timing: Timing = { waitedMs: 0 };
    let cors: Cors | undefined;
    try {
      cors = typeof this.#cors === "function" ? this.#cors(request) : this.#cors;
      const response = cors && request.method === "OPTIONS"
        ? preflightResponse(request, cors)
        : await this.#respond(request, handler, timing);
      return this.#stamp(response, timing, cors);
    } catch (error) {
      return this.#stamp(this.#fail(error, request), timing, cors);
    }
  }

  #createEvents(containsRejections: boolean): RequestEvents {
    const failures = this.#failures;
    const writeEvent = failures.logEvent.bind(failures);
    return {
      rejected: (reason, request) =>
        failures.log("background_work_failed", reason, { secrets: this.#secrets, request }),
      forgotten: (count, request) =>
        failures.logThrottled("lease_forgotten", new LeaseForgottenError(count), { request }),
      refused: (reason, request) =>
        failures.logThrottled("call_refused", new RequestEndedError(reason), { level: "warn", request }),
      bodyFailed: (error, request) =>
        failures.logThrottled("response_body_failed", error, { secrets: this.#secrets, request }),
      poolUsed: (pool) => logCircuits(pool, writeEvent),
      unhandled: containsRejections
        ? (reason) => failures.log("unhandled_rejection", reason, { secrets: this.#secrets })
        : undefined,
    };
  }

  /** Prepares for requests: at the first one, when the environment is complete. */
  #prepare(): Prepared<Database> {
    const prepared = prepare(this.#options, this.#runtime(), this.#clock);
    joinEdgeRuntime();
    const { life, environment } = prepared.runtime;
    life?.watchMemory(environment.memoryLimitBytes, (...line) => this.#failures.logEvent(...line));
    if (this.#events.unhandled) containRejections(this.#events.unhandled);
    return prepared;
  }

  get #secrets(): readonly string[] {
    return this.#prepared?.secrets ?? [];
  }

  async #respond(request: Request, handler: PooledHandler<Database>, timing: Timing): Promise<Response> {
    const { runtime, authenticate, deadlines, deadlineMs } = this.#prepared ??= this.#prepare();
    const { health = true, lease = {}, legacyKeys, flowKey } = this.#options;
    if (health && request.url.includes("/health/pool") && isHealthPath(new URL(request.url).pathname)) {
      return await createHealthResponse(request, runtime as Runtime<never>, undefined, legacyKeys);
    }
    if (runtime.environment.secretKey === undefined) await loadMissingSecretKey();
    const scope = new RequestScope({ request, runtime, deadlines, deadlineMs, lease, flowKey, events: this.#events });
    const wait: RequestWait = (work) => scope.wait(work);
    let outcome: AuthOutcome;
    try {
      const verified = authenticate(request, wait);
      // A token that is remembered costs no turn of the event loop.
      outcome = "then" in verified ? await verified : verified;
    } catch (fault) {
      scope.end();
      throw fault;
    }
    const { auth, error } = outcome;
    if (error) {
      try {
        return await this.#reject(error, request, scope);
      } finally {
        scope.end();
      }
    }
    let failed = true;
    try {
      let returned: unknown;
      try {
        returned = await scope.run(auth, handler);
      } catch (thrown) {
        returned = thrownResponse(thrown);
        if (returned === undefined) throw thrown;
      }
      const response = checkResponse(returned);
      const stream = streamOf(response);
      failed = false;
      // Nothing reads the body of a response to HEAD.
      return stream && request.method !== "HEAD" ? scope.follow(response, stream) : response;
    } catch (error) {
      if (scope.callerLeft) return errorResponse(new CallerLeftError());
      const failure = scope.explain(error);
      // Later than 30 s after its expiry, a token is rejected as if the request began now.
      const again = isExpired(failure) ? await authenticate(request, wait) : undefined;
      if (again?.error) return await this.#reject(again.error, request, scope);
      throw failure;
    } finally {
      timing.waitedMs = scope.waitedMs;
      scope.answered({ failed });
    }
  }

  /**
   * Returns the response to rejected credentials.
   *
   * @throws {DeadlineExceededError | CallerLeftError} when `onRejected` has not responded by then.
   * @throws what `onRejected` throws, unless it is a response.
   */
  async #reject(error: AuthError, request: Request, scope: RequestScope<Database>): Promise<Response> {
    // Keys that are missing, a JWKS that cannot be fetched: not the caller's fault, and any caller can repeat it.
    if (error.status >= 500) this.#failures.logThrottled("request_failed", error, { secrets: this.#secrets, request });
    const response = rejectionResponse(error, request, this.#options.errors);
    const { onRejected } = this.#options;
    if (onRejected === undefined) return response;
    const { status, code, message } = error;
    let returned: unknown;
    try {
      returned = await scope.runRejected(() => onRejected({ status, code, message }, request));
    } catch (thrown) {
      returned = thrownResponse(thrown);
      if (returned === undefined) throw thrown;
    }
    const chosen = checkResponse(returned, "onRejected");
    streamOf(chosen, "onRejected");
    return chosen;
  }

  #fail(error: unknown, request: Request): Response {
    if (error instanceof CallerLeftError) return errorResponse(error);
    const response = failureResponse(error);
    const entry = { secrets: this.#secrets, request };
    if (this.#prepared === undefined) this.#failures.logSetupFailure(error, entry);
    else if (!this.#failures.logResponse(response.status, error, entry)) return response;
    return withCorrelationId(response, request);
  }

  /** Adds the headers of CORS and of the pool. */
  #stamp(response: Response, { waitedMs }: Timing, cors: Cors | undefined): Response {
    const shown = this.#options.poolHeaders ?? this.#prepared?.runtime.environment.poolHeaders ?? true;
    return stampHeaders(response, cors, shown ? this.#stats() : undefined, waitedMs);
  }

  #stats(): HeaderStats {
    try {
      return this.#prepared?.runtime.service.getConnectionPool().getStats() ?? NO_POOL;
    } catch {
      // The response matters more than its headers.
      return NO_POOL;
    }
  }
}
