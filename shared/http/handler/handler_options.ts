/**
 * Handler options, and their preparation at the first request.
 *
 * @module
 */
import type { AuthModeWithKey, CredentialedAuthMode, ErrorResponseConfig } from "@supabase/server";
import type { LogLevel, LogSink } from "../../observability/log/mod.ts";
import { type Clock, Deadlines } from "../../resilience/mod.ts";
import { parseHandlerSettings } from "./handler_settings.ts";
import type { Authenticate } from "../auth/authenticate.ts";
import type { CorsOption } from "../responses/cors.ts";
import { createLazyAuthenticate } from "../auth/lazy_authenticate.ts";
import { withLegacyKeys } from "../auth/legacy_keys.ts";
import type { FlowKey, LeaseDefaults, PooledContext } from "../request/pooled_context.ts";
import type { Runtime, RuntimeOptions } from "./runtime.ts";

/** The auth modes a handler may take: one, or a list in which `none`, which matches every request, can only come last. */
export type AuthOption =
  | "none"
  | CredentialedAuthMode
  | readonly [CredentialedAuthMode, ...CredentialedAuthMode[]]
  | readonly [CredentialedAuthMode, ...CredentialedAuthMode[], "none"];

/** The reason why a request's credentials are rejected. It contains none of them. */
export interface Rejection {
  /** The status: 401, or 500 and more where they could not be checked. */
  readonly status: number;
  /** A stable code of `@supabase/server`. */
  readonly code: string;
  /** The explanation for the caller. */
  readonly message: string;
}

/** Options of {@linkcode withPooledSupabase}: those of `withSupabase`, and the pool's. */
export interface PooledSupabaseOptions<Database> extends RuntimeOptions<Database> {
  /** @deprecated Use `auth`, which wins over it. */
  readonly allow?: AuthModeWithKey | readonly AuthModeWithKey[];
  /**
   * The auth mode or modes to accept: `user`, `publishable`, `secret`, `none`,
   * a named key (`publishable:web`) or any key of a kind (`secret:*`). They are
   * tried in order and the first match wins, so that `none` can only come last;
   * a bad token is rejected and never treated as a missing one. Default: `user`.
   */
  readonly auth?: AuthOption;
  /**
   * True if exactly the project's `SUPABASE_ANON_KEY` and `SUPABASE_SERVICE_ROLE_KEY` count as its publishable and secret
   * key, as `apikey` and as a bearer token, wherever `auth` allows these. They never count as a user. Default: true.
   */
  readonly legacyKeys?: boolean;
  /** Accepted `aud` values of a user's token. Default: any. */
  readonly audience?: string | string[];
  /** Accepted `iss` values of a user's token. Default: any. */
  readonly issuer?: string | string[];
  /** The secret of HS256 tokens, 32 bytes or more. Default: the variable `JWT_SECRET`, or none. */
  readonly jwtSecret?: string;
  /**
   * The time a verified token of a user is remembered, in ms, 60,000 at most: never past its `exp`, and not past a
   * change of the project's keys. 0 verifies each token each time. Default: the variable `POOL_REMEMBER_TOKENS_MS`,
   * or 60,000.
   */
  readonly rememberTokensMs?: number;
  /**
   * The longest time until a request is answered, in ms: queueing, retries and the bodies of calls count, work given to
   * `waitUntil` does not. After that the response is 504, and what the request does on the pools is aborted. A stream that
   * the handler produces goes on, without the pools.
   * Default: the variable `POOL_DEADLINE_MS`, or 150,000, when the hosted gateway times out.
   */
  readonly deadlineMs?: number;
  /** The terms on which `ctx.supabase`, `ctx.supabaseAdmin` and leases take a slot. Default: lane `normal`, `acquireTimeoutMs`. */
  readonly lease?: LeaseDefaults;
  /**
   * Returns the key of the caller whose share of the slots a request takes, or `{ key, weight }`, in pools with
   * `fairShare`; not called in others. It may be anything that a caller cannot choose freely, and no secret. What it
   * throws, the first use of the pools throws. Default, also for `undefined`: the user, one key for all anonymous callers,
   * and one for admin work of callers that are not users.
   */
  readonly flowKey?: FlowKey;
  /** The headers of CORS. What the handler sets itself wins. Default: those of supabase-js, and any request header. */
  readonly cors?: CorsOption;
  /** The detail of responses that reject credentials. Default: everything but secrets. */
  readonly errors?: ErrorResponseConfig;
  /**
   * Creates the response to rejected credentials, in the function's own shape; thrown or returned. The headers of CORS
   * and of the pool are added. It has until `deadlineMs`. Default: that of `@supabase/server`.
   */
  readonly onRejected?: (rejection: Rejection, request: Request) => Response | Promise<Response>;
  /** True if responses carry the `X-Pool-*` headers. Default: the variable `POOL_HEADERS`, or true. */
  readonly poolHeaders?: boolean;
  /** True to serve `/<name>/health/pool`, before any credentials are checked. Default: true. */
  readonly health?: boolean;
  /**
   * True to log a rejection that the code of a request leaves unhandled, and to let the isolate live on with the other
   * requests in it; false to leave it to the runtime, which ends the isolate. Default: true.
   */
  readonly containRejections?: boolean;
  /** Writes the lines of the log, JSON each. Default: `console.error`. */
  readonly log?: LogSink;
  /**
   * The least severe level that is written. If it is set, the connections of the pools are logged, too: leases at `debug`,
   * failed health checks at `warn`, and errors at `error`. Default: the variable `POOL_LOG_LEVEL`, or `info` without lines
   * about connections.
   */
  readonly logLevel?: LogLevel;
  /** The fraction of requests whose leases are logged at `debug`, from 0 to 1. Default: `POOL_LOG_SAMPLE`, or 1. */
  readonly logSample?: number;
}

/** Handles a request. */
export type PooledHandler<Database> = (
  request: Request,
  context: PooledContext<Database>,
) => Response | Promise<Response>;

/** A runtime, and what a handler adds to it. */
export interface Prepared<Database> {
  readonly runtime: Runtime<Database>;
  readonly authenticate: Authenticate;
  /** The deadlines of its requests. */
  readonly deadlines: Deadlines;
  /** The longest time for a request, in ms. */
  readonly deadlineMs: number;
  /** The secrets that no line of the log may show. */
  readonly secrets: readonly string[];
}

/** Combines options, which `checkOptions` has checked, with the runtime. */
export function prepare<Database>(
  options: PooledSupabaseOptions<Database>,
  runtime: Runtime<Database>,
  clock: Clock,
): Prepared<Database> {
  const { auth = options.allow ?? "user", audience, issuer } = options;
  const { environment, service } = runtime;
  const { rememberTokensMs, deadlineMs } = parseHandlerSettings(options, environment.handler);
  const jwtSecret = options.jwtSecret ?? environment.jwtSecret;
  // The pool rejects tokens of other roles as well, when it leases.
  const roles = service.getConnectionPool().config.userRoles;
  const rules = { auth, audience, issuer, roles, jwtSecret, env: environment, rememberTokensMs };
  const { legacyKeys } = environment;
  const withoutLegacy = createLazyAuthenticate(rules);
  const authenticate = options.legacyKeys === false
    ? withoutLegacy
    : withLegacyKeys(withoutLegacy, auth, legacyKeys, environment);
  runtime.life?.onMemoryLow(() => authenticate.clearCache());
  return {
    runtime,
    deadlines: new Deadlines(clock),
    deadlineMs,
    authenticate,
    secrets: [...Object.values(environment.secretKeys), jwtSecret, legacyKeys.serviceRole]
      .filter((secret) => secret !== undefined),
  };
}
