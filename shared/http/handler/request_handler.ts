/**
 * The course of a request: credentials, handler, errors, headers.
 *
 * @module
 */
import type { AuthError } from "@supabase/server";
import { correlationIdOf } from "../../observability/log/mod.ts";
import { PoolError } from "../../pool/mod.ts";
import { type Clock, memberOf, systemClock } from "../../resilience/mod.ts";
import type { AuthOutcome, RequestWait } from "../auth/authenticate.ts";
import { checkOptions } from "./check_options.ts";
import { type Cors, parseCors, preflightResponse } from "../responses/cors.ts";
import { CallerLeftError, LeaseForgottenError, RequestEndedError } from "../request/request_errors.ts";
import { errorResponse } from "../responses/error_response.ts";
import { logPool } from "../logging/circuit_log.ts";
import { PoolEvents } from "../logging/pool_events.ts";
import { ThrottledLog } from "../logging/throttled_log.ts";
import { type PooledHandler, type PooledSupabaseOptions, prepare, type Prepared } from "./handler_options.ts";
import { healthResponse } from "../health/health.ts";
import { loadMissingSecretKey } from "../request/request_pools.ts";
import { type HeaderStats, NO_POOL, stampHeaders, withCorrelationId } from "../responses/response_headers.ts";
import { problem } from "../responses/problem.ts";
import { isServerError, rejectionResponse } from "../auth/rejection.ts";
import {
  cancelBody,
  checkResponse,
  ownResponse,
  sentStatus,
  streamOf,
  thrownResponse,
} from "../responses/handler_response.ts";
import { type RequestEvents, RequestTimes } from "../request/request_reports.ts";
import { joinEdgeRuntime } from "../request/edge_runtime.ts";
import { RequestScope } from "../request/request_scope.ts";
import { containRejections } from "../request/unhandled_rejections.ts";
import type { TracingLink } from "../tracing/tracing_link.ts";
import { lazyRuntime, type RequestPool, type Runtime } from "./runtime.ts";

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
  /** The lines about connections; `undefined` where they are not written. */
  #poolEvents: PoolEvents | undefined = undefined;
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
    const times = new RequestTimes();
    let cors: Cors | undefined;
    let response: Response | undefined;
    try {
      cors = typeof this.#cors === "function" ? this.#cors(request) : this.#cors;
      response = cors && request.method === "OPTIONS"
        ? preflightResponse(request, cors)
        : await this.#respond(request, handler, times);
      if (typeof this.#cors === "function") response = ownResponse(response);
      response = this.#stamp(request, response, times, cors);
    } catch (error) {
      times.error = error;
      // It has one if its headers could not be set.
      cancelBody(response);
      response = this.#fail(error, request, times, cors);
    }
    this.#report(request, response, times);
    return response;
  }

  /** Ends the span of a request, and reports it: once, with the response that is sent. Never throws. */
  #report(request: Request, response: Response, times: RequestTimes): void {
    const { span, isReported, startedMs, error, verifyMs, waitedMs, upstreamMs } = times;
    const reports = isReported ? this.#prepared?.runtime.reports : undefined;
    if (!span && !reports?.isObserved) return;
    const status = sentStatus(response);
    try {
      span?.end({ request, status, error, verifyMs, waitedMs, upstreamMs });
    } catch {
      // A failing exporter must not fail the request.
    }
    if (!reports?.isObserved) return;
    const durationMs = startedMs === undefined ? 0 : this.#clock.now() - startedMs;
    reports.emit({ request, status, error, durationMs, verifyMs, waitedMs, upstreamMs });
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
      poolUsed: (pool) => {
        logPool(pool, writeEvent);
        this.#prepared?.runtime.tracing?.watch(pool);
        this.#prepared?.runtime.metrics?.watch(pool);
        this.#poolEvents?.watch(pool);
      },
      unhandled: containsRejections
        ? (reason) => failures.log("unhandled_rejection", reason, { secrets: this.#secrets })
        : undefined,
    };
  }

  /** Prepares for requests: at the first one, when the environment is complete. */
  #prepare(): Prepared<Database> {
    const prepared = prepare(this.#options, this.#runtime(), this.#clock);
    joinEdgeRuntime();
    const { life, environment, fleet } = prepared.runtime;
    fleet?.useLog((...line) => this.#failures.logEvent(...line));
    life?.watchMemory(environment.memoryLimitBytes, (...line) => this.#failures.logEvent(...line));
    if (this.#events.unhandled) containRejections(this.#events.unhandled);
    const { logLevel: level = environment.log.level, logSample: sample = environment.log.sample } = this.#options;
    if (level) {
      const events = this.#poolEvents = new PoolEvents(this.#failures.setLevel(level), { sample });
      // Health checks use a pool that no request may have used.
      events.watch(prepared.runtime.service.getConnectionPool() as RequestPool<never>);
      void events.loading;
    }
    return prepared;
  }

  get #secrets(): readonly string[] {
    return this.#prepared?.secrets ?? [];
  }

  /** Responds to a request for health, or serves any other one. */
  #respond(request: Request, handler: PooledHandler<Database>, times: RequestTimes): Promise<Response> {
    const prepared = this.#prepared ??= this.#prepare();
    const { runtime } = prepared;
    const { health = true, legacyKeys } = this.#options;
    const shown = health && healthResponse(request, runtime as Runtime<never>, legacyKeys);
    if (shown) return shown;
    times.isReported = true;
    const { tracing } = runtime;
    if (!tracing) return this.#serve(request, handler, times, prepared);
    return this.#trace(request, () => this.#serve(request, handler, times, prepared), times, tracing);
  }

  /** Serves a request in a span of its own. The first requests wait until what they need is loaded. */
  #trace(
    request: Request,
    serve: () => Promise<Response>,
    times: RequestTimes,
    tracing: TracingLink,
  ): Promise<Response> {
    const begin = () => {
      const span = times.span = tracing.telemetry?.beginRequest(request);
      return span ? span.run(serve) : serve();
    };
    if (tracing.telemetry) return begin();
    return tracing.load((reason) => this.#failures.logEvent("warn", "tracing_unavailable", { error: reason })).then(
      begin,
    );
  }

  /** Serves a request: credentials, handler and its scope. */
  async #serve(
    request: Request,
    handler: PooledHandler<Database>,
    times: RequestTimes,
    { runtime, authenticate, deadlines, deadlineMs }: Prepared<Database>,
  ): Promise<Response> {
    const { lease = {}, flowKey } = this.#options;
    if (runtime.environment.secretKey === undefined) await loadMissingSecretKey();
    if (this.#poolEvents?.loading) await this.#poolEvents.loading;
    const scope = new RequestScope({
      request,
      runtime,
      deadlines,
      deadlineMs,
      lease,
      flowKey,
      events: this.#events,
      // The function of the span itself: a closure of this method would retain the scope with each call.
      traceHeaders: times.span?.headers,
      onLeased: this.#poolEvents && PoolEvents.own,
    });
    times.startedMs = scope.startedMs;
    const wait: RequestWait = (work) => scope.wait(work);
    let outcome: AuthOutcome;
    try {
      const verified = authenticate(request, wait);
      // A token that is remembered costs no turn of the event loop, and no time.
      if ("then" in verified) {
        outcome = await verified;
        times.verifyMs = this.#clock.now() - times.startedMs;
      } else outcome = verified;
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
      // Nothing reads the body of a response to HEAD.
      const sent = stream && request.method !== "HEAD" ? scope.follow(response, stream) : response;
      failed = false;
      return sent;
    } catch (error) {
      if (scope.callerLeft) return errorResponse(new CallerLeftError());
      const failure = scope.explain(error);
      // Later than 30 s after its expiry, a token is rejected as if the request began now.
      const again = isExpired(failure) ? await authenticate(request, wait) : undefined;
      if (again?.error) return await this.#reject(again.error, request, scope);
      throw failure;
    } finally {
      times.waitedMs = scope.waitedMs;
      times.upstreamMs = scope.upstreamMs;
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

  /** Logs the error that a request ends with, and returns the response to it. */
  #fail(error: unknown, request: Request, times: RequestTimes, cors: Cors | undefined): Response {
    const response = this.#failureResponse(error, request);
    try {
      return this.#stamp(request, response, times, cors);
    } catch {
      // The response matters more than its headers.
      return response;
    }
  }

  #failureResponse(error: unknown, request: Request): Response {
    if (error instanceof CallerLeftError) return errorResponse(error);
    const response = failureResponse(error);
    const entry = { secrets: this.#secrets, request };
    if (this.#prepared === undefined) this.#failures.logSetupFailure(error, entry);
    else if (!this.#failures.logResponse(response.status, error, entry)) return response;
    return withCorrelationId(response, request);
  }

  /** Adds the headers of CORS and of the pool, and the id of a request that is traced. */
  #stamp(request: Request, response: Response, times: RequestTimes, cors: Cors | undefined): Response {
    const shown = this.#options.poolHeaders ?? this.#prepared?.runtime.environment.poolHeaders ?? true;
    const id = times.span && correlationIdOf(request);
    return stampHeaders(response, cors, shown ? this.#stats() : undefined, times, id);
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
