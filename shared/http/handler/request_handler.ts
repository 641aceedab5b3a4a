/**
 * How a request is answered: credentials, context, deadline, errors, headers.
 *
 * @module
 */
import type { AuthError } from "@supabase/server";
import { PoolError } from "../../pool/mod.ts";
import { type Clock, INTERNAL_ERROR, systemClock } from "../../resilience/mod.ts";
import { IdentityError } from "../../supabase/mod.ts";
import type { AuthOutcome } from "../auth/authenticate.ts";
import { checkOptions } from "./check_options.ts";
import { createCors } from "../responses/cors.ts";
import { CallerLeftError, type RequestWait } from "../request/deadline.ts";
import { errorResponse } from "../responses/error_response.ts";
import { ThrottledLog } from "../logging/throttled_log.ts";
import { type PooledHandler, type PooledSupabaseOptions, prepare, type Prepared } from "./handler_options.ts";
import { createHealthResponse, isHealthPath } from "../health/health.ts";
import { loadMissingSecretKey } from "../request/missing_admin.ts";
import { type HeaderStats, NO_POOL, stampPoolHeaders } from "../responses/pool_headers.ts";
import { problem } from "../responses/problem.ts";
import { isServerError, rejectionResponse } from "../auth/rejection.ts";
import { type RequestEvents, RequestScope } from "../request/request_scope.ts";
import { lazyRuntime, type Runtime } from "./runtime.ts";

/** How long a request waited for its places in the pools. */
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

/** Returns whether a pool rejected the caller. `CallerError` is known by its code: its class is loaded with Postgres only. */
function isOfIdentity(error: unknown): boolean {
  return error instanceof IdentityError || (error instanceof PoolError && error.code === "CALLER_INVALID");
}

/** The answer to what went wrong, in the form of whoever refused. */
function failure(error: unknown): Response {
  if (!isServerError(error)) return errorResponse(error);
  return problem({
    status: error.status,
    code: error.code,
    title: error.status < 500 ? "Request rejected" : "Server configuration error",
    detail: error.status < 500 ? error.message : "The server is misconfigured: see its log",
  });
}

/** Answers a request with a handler. Never throws, never rejects. */
export type HandleRequest<Database> = (request: Request, handler: PooledHandler<Database>) => Promise<Response>;

/**
 * What answers requests under one set of options; see `withPooledSupabase`.
 *
 * @param clock Default: the isolate's own time.
 * @throws {ConfigError} listing every option that is bad whatever the environment holds.
 */
export function createRequestHandler<Database>(
  options: PooledSupabaseOptions<Database>,
  clock: Clock = systemClock,
): HandleRequest<Database> {
  checkOptions(options);
  const { errors, health = true, log = console.error, lease = {} } = options;
  const cors = createCors(options.cors);
  const ofHandler = lazyRuntime(options);
  const failures = new ThrottledLog(log, clock);
  let prepared: Prepared<Database> | undefined;

  function secrets(): readonly string[] {
    return prepared?.secrets ?? [];
  }

  const events: RequestEvents = {
    rejected: (reason) => failures.log("background_work_failed", reason, { secrets: secrets() }),
    forgotten: (count) => failures.logThrottled("lease_forgotten", new LeaseForgottenError(count)),
  };

  function reject(error: AuthError, request: Request): Response {
    // Keys that are missing, a JWKS that cannot be fetched: not the caller's fault, and any caller can repeat it.
    if (error.status >= 500) failures.logThrottled("request_failed", error, { secrets: secrets() });
    return rejectionResponse(error, request, errors);
  }

  async function answer(request: Request, handler: PooledHandler<Database>, timing: Timing): Promise<Response> {
    const { runtime, authenticate, deadlines, deadlineMs } = prepared ??= prepare(options, ofHandler(), clock);
    if (health && request.url.includes("/health/pool") && isHealthPath(new URL(request.url).pathname)) {
      return await createHealthResponse(request, runtime as Runtime<never>);
    }
    if (runtime.environment.secretKey === undefined) await loadMissingSecretKey();
    const scope = new RequestScope({ request, runtime, deadlines, deadlineMs, lease, events });
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
      scope.end();
      return reject(error, request);
    }
    let failed = true;
    try {
      const response = await scope.run(auth, handler);
      if (!(response instanceof Response)) throw new TypeError("The handler must return a Response");
      if (response.bodyUsed) throw new TypeError("Cannot send the handler's Response: its body was already read");
      failed = false;
      return response;
    } catch (error) {
      if (scope.callerLeft) return errorResponse(new CallerLeftError());
      const failure = scope.explain(error);
      // A token may expire while its request runs; then it is refused as any expired one.
      const again = isOfIdentity(failure) ? await authenticate(request, wait) : undefined;
      if (again?.error) return reject(again.error, request);
      throw failure;
    } finally {
      timing.waitedMs = scope.waitedMs;
      scope.answered({ failed });
    }
  }

  function failed(error: unknown): Response {
    if (error instanceof CallerLeftError) return errorResponse(error);
    const response = failure(error);
    if (prepared === undefined) failures.logSetupFailure(error);
    else failures.logResponse(response.status, error, secrets());
    return response;
  }

  function stats(): HeaderStats {
    try {
      return prepared?.runtime.service.getConnectionPool().getStats() ?? NO_POOL;
    } catch {
      // The answer matters more than its headers.
      return NO_POOL;
    }
  }

  function stamp(response: Response, { waitedMs }: Timing): Response {
    const shown = options.poolHeaders ?? prepared?.runtime.environment.poolHeaders ?? true;
    const stamped = cors.stamp(response);
    return shown ? stampPoolHeaders(stamped, stats(), waitedMs) : stamped;
  }

  return async (request, handler) => {
    const timing: Timing = { waitedMs: 0 };
    try {
      const preflight = cors.preflight(request);
      return stamp(preflight ?? await answer(request, handler, timing), timing);
    } catch (error) {
      return stamp(failed(error), timing);
    }
  };
}
