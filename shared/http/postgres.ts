/**
 * Direct Postgres for functions inside `withPooledSupabase`. An entry point of
 * its own: a function without it uploads nothing of it.
 *
 * @module
 */
import { messageOf } from "../pool/mod.ts";
import type { PostgresConnectionManager, PostgresQueries } from "../postgres/mod.ts";
import { SupabaseService } from "../services/mod.ts";
import type { PoolHealth } from "../supabase/mod.ts";
import type { PooledContext } from "./request/pooled_context.ts";
import type { Environment } from "./handler/environment.ts";
import type { PoolSource, RequestPool } from "./handler/runtime.ts";

async function checkHealth(manager: PostgresConnectionManager): Promise<PoolHealth> {
  const { healthy, durationMs, error } = await manager.healthCheck();
  const testQuery = { success: healthy, durationMs, ...(error ? { error: messageOf(error) } : {}) };
  return { healthy, details: { stats: manager.getStats(), testQuery } };
}

/**
 * The Postgres connections of one function:
 *
 * ```ts
 * const postgres = new DirectPostgres(() => PostgresConnectionManager.fromEnv());
 *
 * export default {
 *   fetch: withPooledSupabase({ auth: "user", service: postgres.pools() }, async (_request, ctx) => {
 *     const { rows } = await postgres.as(ctx).query("SELECT name FROM budgets");
 *     return Response.json(rows);
 *   }),
 * };
 * ```
 *
 * The `X-Pool-*` headers, `Server-Timing` and `/<name>/health/pool` of such a
 * function tell of these connections, and both pools end with the isolate.
 */
export class DirectPostgres {
  readonly #connect: () => PostgresConnectionManager;
  #manager: PostgresConnectionManager | undefined = undefined;
  /** How long each request has waited for a connection, in ms, by the signal that ends its work. */
  readonly #waits = new WeakMap<AbortSignal, number>();

  /** @param connect Makes the manager, at the first request. What it throws is answered 500 and logged. */
  constructor(connect: () => PostgresConnectionManager) {
    this.#connect = connect;
  }

  /** The connections. */
  get manager(): PostgresConnectionManager {
    return this.#manager ??= this.#connect();
  }

  /**
   * Queries and transactions of a request's caller; row-level security judges them as in the Data API. They are given
   * up when the caller goes away or the request's deadline passes.
   */
  as<Database>({ jwtClaims, pool: { signal } }: Pick<PooledContext<Database>, "jwtClaims" | "pool">): PostgresQueries {
    const onWaited = signal && ((waitedMs: number) => {
      this.#waits.set(signal, (this.#waits.get(signal) ?? 0) + waitedMs);
    });
    return this.manager.as(jwtClaims ? { claims: jwtClaims } : "anonymous", { signal, onWaited });
  }

  /**
   * What the option `service` of `withPooledSupabase` takes: the project's pools, seen as these connections.
   *
   * @param clientPools Stands in for the pools of clients. Default: those of this isolate.
   */
  pools<Database>(clientPools?: PoolSource<Database>): (environment: Environment) => PoolSource<Database> {
    return (environment) => {
      const service: PoolSource<Database> = clientPools ?? new SupabaseService<Database>(environment);
      const clients = service.getConnectionPool();
      const { manager } = this;
      const { maxConnections } = manager.config;
      const shown: RequestPool<Database> = {
        component: "postgres",
        waitedMs: (signal) => this.#waits.get(signal) ?? 0,
        config: Object.freeze({ ...clients.config, maxConnections }),
        session: (options) => clients.session(options),
        getStats: () => manager.getStats(),
        healthCheck: () => checkHealth(manager),
      };
      return {
        getConnectionPool: () => shown,
        getAdminPool: () => service.getAdminPool(),
        shutdown: async (deadlineMs) => {
          await Promise.all([manager.shutdown(deadlineMs), service.shutdown(deadlineMs)]);
        },
      };
    };
  }
}
