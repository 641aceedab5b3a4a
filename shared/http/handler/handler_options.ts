/**
 * What a handler can be told, and what becomes of it at its first request.
 *
 * @module
 */
import type { AuthModeWithKey, CredentialedAuthMode, ErrorResponseConfig } from "@supabase/server";
import { type Clock, Deadlines } from "../../resilience/mod.ts";
import { parseHandlerSettings } from "./handler_settings.ts";
import type { Authenticate } from "../auth/authenticate.ts";
import type { CorsOption } from "../responses/cors.ts";
import { createLazyAuthenticate } from "../auth/lazy_authenticate.ts";
import type { LogSink } from "../logging/log.ts";
import type { LeaseDefaults, PooledContext } from "../request/pooled_context.ts";
import type { Runtime, RuntimeOptions } from "./runtime.ts";

/** The auth modes a handler may take: one, or a list in which `none`, which matches every request, can only come last. */
export type AuthOption =
  | "none"
  | CredentialedAuthMode
  | readonly [CredentialedAuthMode, ...CredentialedAuthMode[]]
  | readonly [CredentialedAuthMode, ...CredentialedAuthMode[], "none"];

/** Options of {@linkcode withPooledSupabase}: those of `withSupabase`, and the pool's. */
export interface PooledSupabaseOptions<Database> extends RuntimeOptions<Database> {
  /** @deprecated Use `auth`, which wins over it. */
  readonly allow?: AuthModeWithKey | readonly AuthModeWithKey[];
  /**
   * The auth mode or modes to accept: `user`, `publishable`, `secret`, `none`,
   * a named key (`publishable:web`) or any key of a kind (`secret:*`). They are
   * tried in order and the first match wins, so that `none` can only come last;
   * a bad token is refused and never taken for no token. Default: `user`.
   */
  readonly auth?: AuthOption;
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
  /**
   * How long a request may take until it is answered, in ms: waiting for a client, every attempt and every body in it
   * count, work given to `waitUntil` does not. Then it is answered 504, and what it does on the pools is ended.
   * Default: the variable `POOL_DEADLINE_MS`, or 150,000, when the hosted gateway gives up.
   */
  readonly deadlineMs?: number;
  /** How `ctx.supabase`, `ctx.supabaseAdmin` and leases wait for their place. Default: lane `normal`, `acquireTimeoutMs`. */
  readonly lease?: LeaseDefaults;
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

/** A runtime and what this handler adds to it. */
export interface Prepared<Database> {
  readonly runtime: Runtime<Database>;
  readonly authenticate: Authenticate;
  /** The deadlines of its requests. */
  readonly deadlines: Deadlines;
  /** How long a request may take, in ms. */
  readonly deadlineMs: number;
  /** What no line of the log may show. */
  readonly secrets: readonly string[];
}

/** What the options, checked by `checkOptions`, come to in the runtime. */
export function prepare<Database>(
  options: PooledSupabaseOptions<Database>,
  runtime: Runtime<Database>,
  clock: Clock,
): Prepared<Database> {
  const { auth = options.allow ?? "user", audience, issuer } = options;
  const { environment, service } = runtime;
  const { rememberTokensMs, deadlineMs } = parseHandlerSettings(options, environment.handler);
  const jwtSecret = options.jwtSecret ?? environment.jwtSecret;
  // The pool refuses the token of any other role again, when it lends.
  const roles = service.getConnectionPool().config.userRoles;
  const rules = { auth, audience, issuer, roles, jwtSecret, env: environment, rememberTokensMs };
  const authenticate = createLazyAuthenticate(rules);
  runtime.life?.onMemoryLow(() => authenticate.clearCache());
  return {
    runtime,
    deadlines: new Deadlines(clock),
    deadlineMs,
    authenticate,
    secrets: [...Object.values(environment.secretKeys), ...(jwtSecret === undefined ? [] : [jwtSecret])],
  };
}
