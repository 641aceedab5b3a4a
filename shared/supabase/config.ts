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
  DEFAULT_POOL_CONFIG,
  type LazySchema,
  lazySchema,
  parseConfig,
  type PoolConfig,
  poolConfigShape,
  whole,
} from "../pool/mod.ts";
import { globalFetch } from "./calls/project_request.ts";

/**
 * The query of a health check. It runs as the pool's own key (anonymous on a
 * user pool) and counts as failed when `error` is set.
 */
// deno-lint-ignore no-explicit-any -- a query may be written against any schema
export type HealthQuery = (client: SupabaseClient<any, any, any>) => PromiseLike<{ error: unknown }>;

/** Options of a pool of Supabase clients. All times are in milliseconds. */
export interface SupabasePoolConfig extends PoolConfig {
  /** The default number of retries of `withRetry`. Default: 3. */
  maxRetries: number;
  /** The default delay before the first retry of `withRetry`, in ms; it doubles with each. Default: 100. */
  retryDelayMs: number;
  /** How long one call to the project may take, its answer's body included. Default: 30,000. */
  requestTimeoutMs: number;
  /** So many calls of one lease run at once; more wait for their turn. Default: 6. */
  callsPerLease: number;
  /** The database schema that `from` and `rpc` speak to. Default: `public`. */
  schema: string;
  /** Headers added to every call. Default: none. */
  headers: Readonly<Record<string, string>>;
  /** The roles (`role` claim) a user's token may carry. Default: `authenticated`. */
  userRoles: readonly string[];
  /** What a health check asks the database. Default: one row of `templates`. */
  healthQuery: HealthQuery;
  /**
   * Stands in for the global `fetch`, in tests say. It is to pass `signal` on: what it goes on with after its call has
   * been ended keeps nobody waiting, and counts for no limit. Default: the global `fetch`.
   */
  fetch: typeof fetch;
}

/** The options that the specification names. */
export type ConnectionPoolConfig = Pick<
  SupabasePoolConfig,
  "maxConnections" | "minConnections" | "idleTimeoutMs" | "acquireTimeoutMs" | "maxRetries" | "retryDelayMs"
>;

/** The value of each option that is not given. */
export const DEFAULT_SUPABASE_POOL_CONFIG: Readonly<SupabasePoolConfig> = Object.freeze<SupabasePoolConfig>({
  ...DEFAULT_POOL_CONFIG,
  maxRetries: 3,
  retryDelayMs: 100,
  requestTimeoutMs: 30_000,
  callsPerLease: 6,
  schema: "public",
  headers: Object.freeze({}),
  userRoles: Object.freeze(["authenticated"]),
  healthQuery: (client) => client.from("templates").select("id").limit(1),
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

/** One schema to an option; a message says the allowed range. */
export const supabasePoolConfigShape = {
  ...poolConfigShape,
  maxRetries: whole(0, 100),
  retryDelayMs: whole(1, MAX_TIMER_MS),
  requestTimeoutMs: whole(1, MAX_TIMER_MS),
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

/**
 * The whole configuration that `input` stands for.
 *
 * @throws {ConfigError} listing every unknown option and every bad value.
 */
export function parseSupabasePoolConfig(input: Partial<SupabasePoolConfig> = {}): Readonly<SupabasePoolConfig> {
  return parseConfig(input, supabasePoolConfigShape, DEFAULT_SUPABASE_POOL_CONFIG);
}
