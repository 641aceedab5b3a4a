/**
 * The options of a pool of Supabase clients: those of every pool, and those
 * that concern calls to the project.
 *
 * @module
 */
import type { SupabaseClient } from "@supabase/supabase-js";
import * as z from "zod";
import { MAX_TIMER_MS } from "../resilience/mod.ts";
import {
  type CircuitBreakerConfig,
  ConfigError,
  type ConfigIssue,
  DEFAULT_POOL_CONFIG,
  type LazySchema,
  lazySchema,
  limitedConnections,
  parseConfig,
  type PoolConfig,
  poolConfigShape,
  type PoolLimits,
  resilienceShape,
  type RetryBudgetConfig,
  whole,
  yesOrNo,
} from "../pool/mod.ts";
import { globalFetch } from "./calls/project_request.ts";
import { queryDataApi } from "./health.ts";

/**
 * The query of a health check. It runs as the pool's own key (anonymous on a
 * user pool) and counts as failed when `error` is set.
 *
 * @example
 * ```ts
 * const healthQuery: HealthQuery = (client) => client.from("settings").select("id").limit(1);
 * ```
 */
// deno-lint-ignore no-explicit-any -- a query may be written against any schema
export type HealthQuery = (client: SupabaseClient<any, any, any>) => PromiseLike<{ error: unknown }>;

/** The mode of the limit of `maxConnections: "auto"`. */
export type AdaptiveLimitMode = "on" | "dry-run" | "off";

/** The maximum number of slots with `maxConnections: "auto"`. */
export const AUTO_CEILING = 200;

/** Returns the limits of the core of a pool. */
export function limitsOf(config: Readonly<SupabasePoolConfig>): PoolLimits {
  const { maxConnections, adaptiveLimit, minConnections, reservedConnections, priorities } = config;
  if (maxConnections !== "auto") return { maxConnections, minConnections, reservedConnections };
  if (adaptiveLimit === "on") return { maxConnections: AUTO_CEILING, minConnections, reservedConnections };
  // The part that all lanes share begins with the same limit where it adapts. What was configured for the ceiling of that
  // must not keep a pool from starting where it is switched off.
  const reserved = priorities ? Math.min(reservedConnections, AUTO_CEILING - DEFAULT_POOL_CONFIG.maxConnections) : 0;
  const fixed = DEFAULT_POOL_CONFIG.maxConnections + reserved;
  return { maxConnections: fixed, minConnections: Math.min(minConnections, fixed), reservedConnections: reserved };
}

/** The options of the core that a client pool rejects: there is nothing in a slot to create, check or close. */
export type WithoutEffect =
  | "validateAfterIdleMs"
  | "createTimeoutMs"
  | "createRetryDelayMs"
  | "createRetryMs"
  | "validateTimeoutMs"
  | "resetTimeoutMs"
  | "destroyTimeoutMs";

const WITHOUT_EFFECT: readonly string[] = [
  "validateAfterIdleMs",
  "createTimeoutMs",
  "createRetryDelayMs",
  "createRetryMs",
  "validateTimeoutMs",
  "resetTimeoutMs",
  "destroyTimeoutMs",
] satisfies WithoutEffect[];

/** Options of a pool of Supabase clients. All times are in milliseconds. */
export interface SupabasePoolConfig extends Omit<PoolConfig, WithoutEffect | "maxConnections"> {
  /**
   * Maximum number of slots, those being created or closed included. `"auto"`: at most {@linkcode AUTO_CEILING}, under
   * which the limit follows the latency of calls; see docs/adaptive-limit.md. Default: 10.
   */
  maxConnections: number | "auto";
  /**
   * Applies the limit of `maxConnections: "auto"` (`on`), emits `limitChanged` with what it would begin to do and keeps
   * the limit at 10, beside reserved connections (`dry-run`), or keeps it there (`off`). Default: `on`.
   */
  adaptiveLimit: AdaptiveLimitMode;
  /**
   * True for pooling. With false each lease or scope gets a slot of its own at once, which is destroyed at its release:
   * no limit, no queue and nothing idle; the limits have no effect. Default: true.
   */
  enabled: boolean;
  /** True if calls and operations are retried. With false nothing is, whatever the other options say. Default: true. */
  retries: boolean;
  /** True if a health check sends `healthQuery`. With false it reports the statistics and sends nothing. Default: true. */
  healthChecks: boolean;
  /** The default number of retries of `withRetry`. Default: 3. */
  maxRetries: number;
  /** The default delay before the first retry of `withRetry`, in ms; it doubles with each. Default: 100. */
  retryDelayMs: number;
  /**
   * The longest time for one call to the project, its response's body included, in ms; for a body that is read as a
   * stream, the longest time without progress. A retry has it again. Default: 30,000.
   */
  requestTimeoutMs: number;
  /**
   * True if clients retry reads as plain supabase-js does: after 503, 520 and network errors, within the request's
   * deadline. Default: true.
   */
  retryReads: boolean;
  /**
   * True, or its rules, if calls to a part of the project that fails are rejected at once with a
   * {@linkcode CircuitOpenError} until it responds again; see docs/resilience.md. Default: true.
   */
  circuitBreaker: boolean | Readonly<CircuitBreakerConfig>;
  /**
   * True, or its size, if the retries of all clients and services of the pool together are bounded by a share of their
   * requests. Default: true, 20 % and 10 more in ten seconds.
   */
  retryBudget: boolean | Readonly<RetryBudgetConfig>;
  /**
   * The URLs of read replicas: reads of the Data API (GET and HEAD) go to the least loaded one, writes and all else to the
   * project. A scope that has written reads from the project; see docs/replicas.md. Default: none.
   */
  readReplicas: readonly string[];
  /** The maximum number of calls of one lease or scope that run at once; further calls wait. Default: 6. */
  callsPerLease: number;
  /** The database schema of `from` and `rpc`. Default: `public`. */
  schema: string;
  /** Headers added to every call. Default: none. */
  headers: Readonly<Record<string, string>>;
  /** The roles (`role` claim) that a user's token may carry. Default: `authenticated`. */
  userRoles: readonly string[];
  /** The query of a health check. Default: {@linkcode queryDataApi}, which works on any project. */
  healthQuery: HealthQuery;
  /**
   * Replaces the global `fetch`, in tests for example. It should pass `signal` on: what it continues after its call was
   * aborted is not waited for, and counts toward no limit. Default: the global `fetch`.
   */
  fetch: typeof fetch;
}

/** The options that the specification names. */
export type ConnectionPoolConfig = Pick<
  SupabasePoolConfig,
  "maxConnections" | "minConnections" | "idleTimeoutMs" | "acquireTimeoutMs" | "maxRetries" | "retryDelayMs"
>;

/** Returns `options` without those that have no effect. */
function effective<T extends object>(options: T): Omit<T, WithoutEffect> {
  const copy: Partial<Record<string, unknown>> = { ...options };
  for (const option of WITHOUT_EFFECT) delete copy[option];
  return copy as Omit<T, WithoutEffect>;
}

/** The default of each option. */
export const DEFAULT_SUPABASE_POOL_CONFIG: Readonly<SupabasePoolConfig> = Object.freeze<SupabasePoolConfig>({
  ...effective(DEFAULT_POOL_CONFIG),
  enabled: true,
  retries: true,
  healthChecks: true,
  adaptiveLimit: "on",
  maxRetries: 3,
  retryDelayMs: 100,
  requestTimeoutMs: 30_000,
  retryReads: true,
  circuitBreaker: true,
  retryBudget: true,
  readReplicas: Object.freeze([]),
  callsPerLease: 6,
  schema: "public",
  headers: Object.freeze({}),
  userRoles: Object.freeze(["authenticated"]),
  healthQuery: queryDataApi,
  fetch: globalFetch,
});

const isFunction = (value: unknown) => typeof value === "function";

const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const headersError =
  "must be an object of header names and printable values; apikey and authorization belong to the pool";

const rolesError = "must be a list of roles that row-level security holds for";
const RESERVED_ROLES = ["anon", "service_role", "supabase_admin", "postgres"];

const headers = lazySchema(() =>
  z.record(z.string(), z.string(), { error: headersError }).refine(
    (entries) =>
      Object.entries(entries).every(([name, value]) =>
        headerName.test(name) && !/[^\t\x20-\x7e\x80-\xff]/.test(value) && !/^(apikey|authorization)$/i.test(name)
      ),
    { error: headersError },
  ).refine((entries) => {
    const names = Object.keys(entries);
    return new Set(names.map((name) => name.toLowerCase())).size === names.length;
  }, { error: "must not name a header twice; upper and lower case are the same" }).readonly()
);

const userRoles = lazySchema(() =>
  z.array(z.string({ error: rolesError }).min(1, { error: rolesError }), { error: rolesError })
    .min(1, { error: rolesError })
    .refine((roles) => !roles.some((role) => RESERVED_ROLES.includes(role)), { error: rolesError }).readonly()
);

const replicasError = "must be a list of URLs, http(s)://host[:port], without credentials";

/** Returns the URL of a replica without a slash at its end; an empty text if it is not one. */
function replicaUrl(text: string): string {
  const { protocol, username, password, search, hash, origin, pathname } = URL.parse(text.trim()) ?? {};
  const isValid = /^https?:$/.test(protocol ?? "") && !username && !password && !search && !hash;
  return isValid ? `${origin}${pathname}`.replace(/(?<!\/)\/+$/, "") : "";
}

const readReplicas = lazySchema(() =>
  z.preprocess(
    // A variable has them separated by commas.
    (value) => typeof value === "string" ? value.split(",").filter((url) => url.trim() !== "") : value,
    z.array(z.string({ error: replicasError }).transform(replicaUrl), { error: replicasError })
      .refine((urls) => !urls.includes(""), { error: replicasError })
      .refine((urls) => new Set(urls).size === urls.length, { error: "must not name a replica twice" }).readonly(),
  )
);

/** The schema of each option. */
export const supabasePoolConfigShape = {
  ...effective(poolConfigShape),
  enabled: yesOrNo,
  retries: yesOrNo,
  healthChecks: yesOrNo,
  maxConnections: lazySchema(() =>
    z.union([z.literal("auto"), limitedConnections()], { error: "must be auto or a whole number from 1 to 10000" })
  ),
  maxRetries: whole(0, 100),
  retryDelayMs: whole(1, MAX_TIMER_MS),
  requestTimeoutMs: whole(1, MAX_TIMER_MS),
  retryReads: yesOrNo,
  ...resilienceShape,
  readReplicas,
  callsPerLease: whole(1, 10_000),
  schema: lazySchema(() => {
    const error = "must be the name of a schema";
    return z.string({ error }).min(1, { error });
  }),
  headers,
  userRoles,
  healthQuery: lazySchema(() => z.custom<HealthQuery>(isFunction, { error: "must be a function" })),
  fetch: lazySchema(() => z.custom<typeof fetch>(isFunction, { error: "must be a function" })),
} satisfies Record<keyof SupabasePoolConfig, LazySchema>;

/** The options with the number of slots that `"auto"` stands for, which the other limits are compared with. */
type NumericConfig = Omit<SupabasePoolConfig, "maxConnections"> & { maxConnections: number };

function parse(input: Partial<SupabasePoolConfig>): Readonly<SupabasePoolConfig> {
  const shape = supabasePoolConfigShape;
  const defaults = DEFAULT_SUPABASE_POOL_CONFIG as NumericConfig;
  const { maxConnections } = input;
  if (maxConnections !== "auto") return parseConfig<NumericConfig>(input as Partial<NumericConfig>, shape, defaults);
  return Object.freeze({
    ...parseConfig<NumericConfig>({ ...input, maxConnections: AUTO_CEILING }, shape, defaults),
    maxConnections,
  });
}

/**
 * Checks `input` and fills missing options with their defaults.
 *
 * @throws {ConfigError} listing every unknown option, every option without effect and every bad value.
 */
export function parseSupabasePoolConfig(input: Partial<SupabasePoolConfig> = {}): Readonly<SupabasePoolConfig> {
  const given: Partial<Record<string, unknown>> = input;
  const issues: ConfigIssue[] = WITHOUT_EFFECT.filter((path) => given[path] !== undefined).map((path) => ({
    path,
    message: "has no effect on a client pool, whose slots hold nothing to create, validate, reset or close: remove it",
  }));
  if (issues.length === 0) return parse(input);
  try {
    parse(effective(input));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    issues.push(...error.issues);
  }
  throw new ConfigError(issues);
}
