/**
 * Direct Postgres for functions. An entry point of its own: a function that does not import it uploads none of it.
 *
 * @module
 */
import { ConfigError } from "../pool/mod.ts";
import { messageOf } from "../resilience/mod.ts";
import {
  EDGE_PRIORITIES,
  type ManagerEvents,
  OPERATION_TYPES,
  type OperationType,
  POSTGRES_PRESETS,
  PostgresConnectionManager,
  type PostgresOptions,
  type PostgresPool,
  readPostgresEnvironment,
  switchedOffPostgres,
  withoutAliases,
} from "../postgres/mod.ts";
import { SupabaseService } from "../services/mod.ts";
import { kindOfKey, type PoolHealth, switchedOff } from "../supabase/mod.ts";
import type { PooledSupabaseOptions } from "./handler/handler_options.ts";
import type { PoolSource, RequestPool, RuntimeOptions } from "./handler/runtime.ts";
import { withPooledSupabase } from "./handler/with_pooled_supabase.ts";
import { type FlowKey, flowOf, type PooledContext } from "./request/pooled_context.ts";
import { PostgresUse } from "./request/postgres_use.ts";
import { NOT_USED } from "./request/request_pools.ts";

export {
  PooledPostgresService,
  type PostgresOperation,
  type PostgresRetryOptions,
} from "../services/pooled_postgres_service.ts";

/** Options for {@linkcode withPooledPostgres}: those of `withPooledSupabase`, and the Postgres connections. */
export interface PooledPostgresOptions<Database> extends PooledSupabaseOptions<Database> {
  /**
   * Options of Postgres that win over the environment (`SUPABASE_DB_URL`, `DB_*`), which wins over the preset `edge`; or
   * a function that creates the manager, called at the first request. Default: none.
   */
  readonly postgres?: PostgresOptions | (() => PostgresConnectionManager) | undefined;
  /**
   * The priority of the function, which has the size and the timeouts of `DB_HIGH_PRIORITY_*`, `DB_LOW_PRIORITY_*` or
   * `DB_ADMIN_*`, and on the edge 4, 2 or 1 connections by default. `postgres` wins over it. Default: none; `DB_*` alone.
   */
  readonly priority?: OperationType | undefined;
}

/** The context of `withPooledSupabase`, and the Postgres connections. */
export interface PooledPostgresContext<Database> extends PooledContext<Database> {
  /**
   * The pool of Postgres connections. Every statement and transaction runs as the request's caller, so that row-level
   * security applies as in the Data API, and is aborted when the caller disconnects or the deadline passes. It ends as
   * `pool` does: leases that were not released are ended and logged, and other requests cannot use it.
   */
  readonly postgres: PostgresPool;
}

/** Handles a request with {@linkcode PooledPostgresContext}. */
export type PooledPostgresHandler<Database> = (
  request: Request,
  context: PooledPostgresContext<Database>,
) => Response | Promise<Response>;

/**
 * Wraps `handler` like `withPooledSupabase`, and adds `ctx.postgres`: a pool of Postgres connections on which every
 * statement and transaction runs as the caller.
 *
 * The connections are created at the first request and closed with the isolate. The `X-Pool-*` headers, `Server-Timing`
 * and `/<name>/health/pool` report them in place of the client pool.
 *
 * @example A query as the caller
 * ```ts
 * export default {
 *   fetch: withPooledPostgres({ auth: "user" }, async (request, ctx) => {
 *     const id = new URL(request.url).searchParams.get("id");
 *     const budget = await ctx.postgres.sql`SELECT name FROM budgets WHERE id = ${id}`.first();
 *     return Response.json(budget ?? null);
 *   }),
 * };
 * ```
 *
 * @throws {ConfigError} listing every option that is invalid in any environment.
 */
// deno-lint-ignore no-explicit-any -- untyped rows, as SupabaseClient and withSupabase default to
export function withPooledPostgres<Database = any>(
  options: PooledPostgresOptions<Database>,
  handler: PooledPostgresHandler<Database>,
): (request: Request) => Promise<Response> {
  const { postgres: connect, priority, ...rest } = options;
  if (priority !== undefined && !OPERATION_TYPES.includes(priority)) {
    const issue = { path: "priority", message: `must be one of ${OPERATION_TYPES.join(", ")}` };
    throw new ConfigError([issue], "options of withPooledPostgres");
  }
  const postgres = new HandlerPostgres(() => createManager(connect, options), options.flowKey);
  return withPooledSupabase<Database>(
    { ...rest, service: postgres.createPoolSource(options.service) },
    typeof handler === "function" ? (request, context) => handler(request, postgres.extend(context, request)) : handler,
  );
}

function createManager(
  postgres: PooledPostgresOptions<never>["postgres"],
  { variables, priority }: Pick<PooledPostgresOptions<never>, "variables" | "priority">,
): PostgresConnectionManager {
  if (typeof postgres === "function") return postgres();
  const environment = readPostgresEnvironment(variables);
  const given = withoutAliases(postgres ?? {});
  const config = { ...POSTGRES_PRESETS.edge, ...environment.config };
  if (priority === undefined) return new PostgresConnectionManager({ ...config, ...given });
  const own = { ...EDGE_PRIORITIES[priority], ...environment[priority] };
  const { user = config.user, password = config.password } = own;
  const hasPriorities = given.priorities ?? config.priorities ?? true;
  const ofPriority = hasPriorities
    ? own
    : { ...(user !== undefined && { user }), ...(password !== undefined && { password }) };
  return new PostgresConnectionManager({ ...config, ...ofPriority, ...given });
}

async function checkHealth(manager: PostgresConnectionManager): Promise<PoolHealth> {
  const { healthy, skipped, durationMs, error, circuit } = await manager.healthCheck();
  const testQuery = {
    success: healthy,
    ...(skipped ? { skipped } : {}),
    durationMs,
    ...(error ? { error: messageOf(error) } : {}),
  };
  const circuits = circuit && { postgres: circuit };
  return { healthy, details: { stats: manager.getStats(), testQuery, ...(circuits && { circuits }) } };
}

const CREATE_POOL = Symbol("createPool");

/** The same getter in every context: getters of its own would give each context a hidden class of its own. */
const POSTGRES: PropertyDescriptor = {
  enumerable: true,
  configurable: true,
  get(this: { readonly [CREATE_POOL]: () => PostgresPool }): PostgresPool {
    return this[CREATE_POOL]();
  },
};

/** Leaves out secret keys: what runs as the caller must not read them from `request.headers`. */
function* withoutSecrets(headers: Headers): Iterable<[name: string, value: string]> {
  for (const entry of headers) {
    const [name, value] = entry;
    const key = name === "apikey" ? value : name === "authorization" ? value.replace(/^bearer +/i, "") : undefined;
    if (key === undefined || !(key.includes("sb_secret_") || kindOfKey(key) === "admin")) yield entry;
  }
}

/** The Postgres connections of one handler. */
class HandlerPostgres {
  readonly #connect: () => PostgresConnectionManager;
  readonly #flowKey: FlowKey | undefined;
  #manager: PostgresConnectionManager | undefined = undefined;
  #onLeased: Parameters<NonNullable<RequestPool<never>["onLeased"]>>[0] | undefined = undefined;
  /** The use that each request makes of them, by its scope and by the signal of that. */
  readonly #uses = new WeakMap<object, PostgresUse>();

  constructor(connect: () => PostgresConnectionManager, flowKey: FlowKey | undefined) {
    this.#connect = connect;
    this.#flowKey = flowKey;
  }

  get #connected(): PostgresConnectionManager {
    return this.#manager ??= this.#connect();
  }

  /** Adds `postgres` to the context of a request. It is created when it is first read. */
  extend<Database>(context: PooledContext<Database>, request: Request): PooledPostgresContext<Database> {
    let pool: PostgresPool | undefined;
    Object.defineProperty(context, CREATE_POOL, { value: () => pool ??= this.#poolOf(context, request) });
    Object.defineProperty(context, "postgres", POSTGRES);
    return context as PooledPostgresContext<Database>;
  }

  #poolOf<Database>({ jwtClaims, pool }: PooledContext<Database>, request: Request): PostgresPool {
    const { signal } = pool;
    const use = this.#uses.get(pool) ?? new PostgresUse({});
    if (signal) {
      this.#uses.set(signal, use);
      // A handler that hangs releases nothing.
      signal.addEventListener("abort", () => use.end({ reason: signal.reason }), { once: true });
      if (signal.aborted) use.end({ reason: signal.reason });
    }
    const manager = this.#connected;
    return manager.as(jwtClaims ? { claims: jwtClaims } : "anonymous", {
      signal,
      owner: use,
      onWaited: (waitedMs) => use.waitedMs += waitedMs,
      upstream: use.upstream,
      onLeased: this.#onLeased && ((leaseId) => this.#onLeased?.(leaseId, request)),
      admitted: true,
      flow: manager.config.fairShare ? flowOf(this.#flowKey, request) : undefined,
      request: { method: request.method, url: request.url, headers: withoutSecrets(request.headers) },
    });
  }

  /** Returns a `service` for `withPooledSupabase` whose statistics and health are those of the Postgres connections. */
  createPoolSource<Database>(
    clientPools: RuntimeOptions<Database>["service"],
  ): Exclude<RuntimeOptions<Database>["service"], PoolSource<Database> | undefined> {
    return (environment) => {
      const service: PoolSource<Database> = typeof clientPools === "function"
        ? clientPools(environment)
        : clientPools ?? new SupabaseService<Database>(environment);
      const clients = service.getConnectionPool();
      const manager = this.#connected;
      const { maxConnections, healthChecks } = manager.config;
      const shown: RequestPool<Database> = {
        component: "postgres",
        statements: manager,
        onLeased: (listener) => this.#onLeased = listener,
        waitedMs: (signal) => this.#uses.get(signal)?.waitedMs ?? 0,
        upstreamMs: (signal) => this.#uses.get(signal)?.upstream.totalMs ?? 0,
        end: (scope) => this.#uses.get(scope)?.end() ?? NOT_USED,
        config: Object.freeze({ ...clients.config, maxConnections, healthChecks }),
        switchedOff: [...switchedOff(clients.config), ...switchedOffPostgres(manager.config)],
        ...(clients.circuits && { circuits: clients.circuits }),
        ...(clients.retryBudget && { retryBudget: clients.retryBudget }),
        record: (recorder) => manager.record(recorder),
        get limits() {
          return manager.limits;
        },
        resize: (limits) => manager.resize(limits),
        scope: (options) => {
          // The leases of clients have numbers of their own: those of the log are of the Postgres connections.
          const scope = clients.scope({ ...options, onLeased: undefined });
          this.#uses.set(scope, new PostgresUse(options));
          return scope;
        },
        getStats: () => manager.getStats(),
        healthCheck: () => checkHealth(manager),
        // The events of both have the same names.
        on: (name, listener) => manager.on(name as keyof ManagerEvents, listener as (event: unknown) => void),
      };
      return {
        getConnectionPool: () => shown,
        getAdminPool: () => service.getAdminPool(),
        setMemoryLow: (isLow) => {
          manager.setMemoryLow(isLow);
          service.setMemoryLow?.(isLow);
        },
        shutdown: async (deadlineMs) => {
          await Promise.all([manager.shutdown(deadlineMs), service.shutdown(deadlineMs)]);
        },
      };
    };
  }
}
