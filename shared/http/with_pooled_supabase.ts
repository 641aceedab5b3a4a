/**
 * A request handler with a pooled client, in the shape of `withSupabase` of
 * `@supabase/server`.
 *
 * @module
 */
import { type AuthError, type AuthModeWithKey, type ErrorResponseConfig, SupabaseServerError } from "@supabase/server";
import { ConfigError, PoolError } from "../pool/mod.ts";
import { MIN_JWT_SECRET_BYTES, parseHandlerSettings } from "../services/mod.ts";
import { IdentityError } from "../supabase/mod.ts";
import { type Authenticate, createAuthenticate } from "./authenticate.ts";
import { type CorsOption, createCors } from "./cors.ts";
import { errorResponse } from "./error_response.ts";
import { FailureLog } from "./failure_log.ts";
import { answerHealth, isHealthPath } from "./health.ts";
import type { LogSink } from "./log.ts";
import { type HeaderStats, NO_POOL, stampPoolHeaders } from "./pool_headers.ts";
import { problem } from "./problem.ts";
import { refusal } from "./refusal.ts";
import { type PooledContext, RequestScope, type ScopeEvents } from "./request_scope.ts";
import { lazyRuntime, type Runtime, type RuntimeOptions } from "./runtime.ts";

/** Options of {@linkcode withPooledSupabase}: those of `withSupabase`, and the pool's. */
export interface PooledSupabaseOptions<Database> extends RuntimeOptions<Database> {
  /**
   * The auth mode or modes to accept: `user`, `publishable`, `secret`, `none`,
   * a named key (`publishable:web`) or any key of a kind (`secret:*`). They are
   * tried in order and the first match wins; a bad token is refused and never
   * taken for no token. Default: `user`.
   */
  readonly auth?: AuthModeWithKey | readonly AuthModeWithKey[];
  /** Accepted `aud` values of a user's token. Default: any. */
  readonly audience?: string | string[];
  /** Accepted `iss` values of a user's token. Default: any. */
  readonly issuer?: string | string[];
  /** The secret of HS256 tokens, 32 bytes or more. Default: the variable `JWT_SECRET`, or none. */
  readonly jwtSecret?: string;
  /**
   * How long a verified token of a user is remembered, in ms, 60,000 at most: never past its `exp`, and not past a
   * change of the project's keys. 0 verifies each token each time. Default: the variable `POOL_REMEMBER_TOKENS_MS`,
   * or 60,000.
   */
  readonly rememberTokensMs?: number;
  /** Default: the headers of supabase-js. */
  readonly cors?: CorsOption;
  /** How much a refusal of credentials tells. Default: everything but secrets. */
  readonly errors?: ErrorResponseConfig;
  /** Whether answers carry the `X-Pool-*` headers. Default: the variable `POOL_HEADERS`, or true. */
  readonly poolHeaders?: boolean;
  /** Whether `/<name>/health/pool` is answered here, before any credentials are looked at. Default: true. */
  readonly health?: boolean;
  /** Takes the log's lines, JSON each. Default: `console.error`. */
  readonly log?: LogSink;
}

/** Answers a request. */
export type PooledHandler<Database> = (
  request: Request,
  context: PooledContext<Database>,
) => Response | Promise<Response>;

/** How long a request waited for its places in the pools. */
interface Timing {
  waitedMs: number;
}

/** A runtime and what this handler adds to it. */
interface Prepared<Database> {
  readonly runtime: Runtime<Database>;
  readonly authenticate: Authenticate;
  readonly secrets: readonly string[];
}

/** An empty secret, say from a variable that is not set, would let anybody sign. */
function checkJwtSecret(secret: string): void {
  if (new TextEncoder().encode(secret).length >= MIN_JWT_SECRET_BYTES) return;
  const message = `is shorter than ${MIN_JWT_SECRET_BYTES} bytes`;
  throw new ConfigError([{ path: "jwtSecret", message }], "options of withPooledSupabase");
}

function prepare<Database>(
  options: PooledSupabaseOptions<Database>,
  runtime: Runtime<Database>,
): Prepared<Database> {
  const { auth = "user", audience, issuer } = options;
  const { environment, service } = runtime;
  const { rememberTokensMs } = parseHandlerSettings(options, environment.handler);
  if (options.jwtSecret !== undefined) checkJwtSecret(options.jwtSecret);
  const jwtSecret = options.jwtSecret ?? environment.jwtSecret;
  // The pool refuses the token of any other role again, when it lends.
  const roles = service.getConnectionPool().config.userRoles;
  return {
    runtime,
    authenticate: createAuthenticate({ auth, audience, issuer, roles, jwtSecret, env: environment, rememberTokensMs }),
    secrets: [...Object.values(environment.secretKeys), ...(jwtSecret === undefined ? [] : [jwtSecret])],
  };
}

/** The answer to a caller who is not there any more, with the status the web's servers log for it. */
function callerGone(): Response {
  return problem({ status: 499, code: "CLIENT_CLOSED_REQUEST", title: "Client closed request" });
}

/** What the log tells of a handler that kept leases. */
function forgotten(count: number): PoolError {
  return new PoolError(
    "LEASE_FORGOTTEN",
    `The handler answered without giving back ${count} lease(s) of its pools; they have been ended. Take a lease with ` +
      "`await using`, and give work that goes on after the answer to ctx.waitUntil",
  );
}

/** The answer to what went wrong, in the form of whoever refused. */
function failure(error: unknown): Response {
  if (!(error instanceof SupabaseServerError)) return errorResponse(error);
  return problem({
    status: error.status,
    code: error.code,
    title: error.status < 500 ? "Request refused" : "Server configuration error",
    detail: error.status < 500 ? error.message : "The server is not set up for this request; its log says more",
  });
}

/**
 * Wraps `handler` so that it runs with verified credentials and pooled clients:
 *
 * ```ts
 * export default {
 *   fetch: withPooledSupabase({ auth: "user" }, async (request, { supabase }) => {
 *     const { data } = await supabase.from("categories").select();
 *     return Response.json(data);
 *   }),
 * };
 * ```
 *
 * Preflights, refused credentials and CORS headers are those of `withSupabase`.
 * Every answer also tells how the pool stands (`X-Pool-*`) and how long the
 * request waited for it (`Server-Timing`). `/<name>/health/pool` tells how the
 * pool of this isolate stands.
 *
 * An error the handler throws is answered by {@linkcode errorResponse} and,
 * where the answer is 500 or more, logged with its causes. What any caller can
 * repeat (load and shutdown, 503; credentials that cannot be checked) is logged
 * at most once a second per code, with how many they were. The environment is
 * read at the first request; while it is bad, every request is answered 500 and
 * the log lists what is wrong.
 *
 * The returned function never throws and never rejects.
 */
// deno-lint-ignore no-explicit-any -- untyped rows, as SupabaseClient and withSupabase default to
export function withPooledSupabase<Database = any>(
  options: PooledSupabaseOptions<Database>,
  handler: PooledHandler<Database>,
): (request: Request) => Promise<Response> {
  const { errors, health = true, log = console.error } = options;
  const cors = createCors(options.cors);
  const runtime = lazyRuntime(options);
  const failures = new FailureLog(log);
  let prepared: Prepared<Database> | undefined;
  let told: { readonly error: unknown } | undefined;

  function secrets(): readonly string[] {
    return prepared?.secrets ?? [];
  }

  const events: ScopeEvents = {
    rejected: (reason) => failures.write("background_work_failed", reason, { secrets: secrets() }),
    forgotten: (count) => failures.seldom("lease_forgotten", forgotten(count)),
  };

  function refuse(error: AuthError): Response {
    // Keys that are missing, a JWKS that cannot be fetched: not the caller's fault, and any caller can repeat it.
    if (error.status >= 500) failures.seldom("request_failed", error, { secrets: secrets() });
    return refusal(error, errors);
  }

  async function answer(request: Request, timing: Timing): Promise<Response> {
    const { runtime: { service, environment }, authenticate } = prepared ??= prepare(options, runtime());
    if (health && request.url.includes("/health/pool") && isHealthPath(new URL(request.url).pathname)) {
      return await answerHealth(request, { service, environment } as Runtime<never>);
    }
    const { auth, error } = await authenticate(request);
    if (error) return refuse(error);
    const scope = new RequestScope(request, { service, environment }, auth, events);
    let failed = true;
    try {
      const response = await handler(request, scope.context);
      if (!(response instanceof Response)) throw new TypeError("The handler returned no Response");
      if (response.bodyUsed) throw new TypeError("The handler returned a Response whose body was read already");
      failed = false;
      return response;
    } catch (error) {
      if (scope.aborted) return callerGone();
      const failure = scope.explain(error);
      // A token may expire while its request runs; then it is refused as any expired one.
      const again = failure instanceof IdentityError ? await authenticate(request) : undefined;
      if (again?.error) return refuse(again.error);
      throw failure;
    } finally {
      timing.waitedMs = scope.waitedMs;
      scope.answered({ failed });
    }
  }

  function failed(error: unknown): Response {
    const response = failure(error);
    // A bad environment fails every request in the same way: the log needs it once.
    if (told === undefined || error !== told.error) failures.answered(response.status, error, secrets());
    if (prepared === undefined) told = { error };
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

  return async (request) => {
    const timing: Timing = { waitedMs: 0 };
    try {
      const preflight = cors.preflight(request);
      return stamp(preflight ?? await answer(request, timing), timing);
    } catch (error) {
      return stamp(failed(error), timing);
    }
  };
}
