/**
 * Direct Postgres for functions inside `withPooledSupabase`. An entry point of
 * its own: a function without it need not load the driver.
 *
 * @module
 */
import { messageOf } from "../pool/mod.ts";
import {
  POSTGRES_PRESETS,
  type PostgresConfig,
  PostgresConnectionManager,
  type PostgresQueries,
  readPostgresEnvironment,
} from "../postgres/mod.ts";
import { type Environment, SupabaseService, type Variables } from "../services/mod.ts";
import type { PoolHealth } from "../supabase/mod.ts";
import type { PooledContext } from "./pooled_context.ts";
import type { PoolSource, RequestPool } from "./runtime.ts";

/** Where a {@linkcode DirectPostgres} leads to. */
export interface DirectPostgresOptions {
  /** Stands in for the environment variables, in tests say. Default: those of this process. */
  readonly variables?: Variables | undefined;
  /** Options that win over the environment. Default: none. */
  readonly config?: Partial<PostgresConfig> | undefined;
}

async function checkHealth(manager: PostgresConnectionManager): Promise<PoolHealth> {
  const { healthy, durationMs, error } = await manager.healthCheck();
  const testQuery = { success: healthy, durationMs, ...(error ? { error: messageOf(error) } : {}) };
  return { healthy, details: { stats: manager.getStats(), testQuery } };
}

/**
 * The Postgres connections of one function:
 *
 * ```ts
 * const postgres = new DirectPostgres();
 *
 * export default {
 *   fetch: withPooledSupabase({ auth: "user", service: postgres.pools() }, async (_request, ctx) => {
 *     const { rows } = await postgres.as(ctx).query("SELECT name FROM budgets");
 *     return Response.json(rows);
 *   }),
 * };
 * ```
 *
 * The `X-Pool-*` headers and `/<name>/health/pool` of such a function tell of
 * these connections; they end with the isolate. Configured by
 * `SUPABASE_DB_URL` and `DB_*`; where these are silent, few connections and short waits, as
 * `POSTGRES_PRESETS.edge` has them.
 */
export class DirectPostgres {
  readonly #options: DirectPostgresOptions;
  #manager: PostgresConnectionManager | undefined = undefined;

  constructor(options: DirectPostgresOptions = {}) {
    this.#options = options;
  }

  /**
   * The connections, made when they are first asked for.
   *
   * @throws {ConfigError} listing every bad variable.
   */
  get manager(): PostgresConnectionManager {
    const { variables, config } = this.#options;
    return this.#manager ??= new PostgresConnectionManager({
      ...POSTGRES_PRESETS.edge,
      ...readPostgresEnvironment(variables).config,
      ...config,
    });
  }

  /** Queries and transactions of a request's caller; row-level security judges them as in the Data API. */
  as<Database>({ jwtClaims }: Pick<PooledContext<Database>, "jwtClaims">): PostgresQueries {
    return this.manager.as(jwtClaims ? { claims: jwtClaims } : "anonymous");
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
