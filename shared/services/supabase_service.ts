/**
 * The façade that owns a project's pools.
 *
 * @module
 */
import { ConfigError, type PoolStats } from "../pool/mod.ts";
import type { Variables } from "../environment/mod.ts";
import {
  type PoolHealth,
  readSupabaseEnvironment,
  SupabaseConnectionPool,
  type SupabasePoolConfig,
} from "../supabase/mod.ts";

/** Options for {@linkcode SupabaseService}. A checked environment has them all. */
export interface SupabaseServiceOptions {
  /** The project's URL. */
  readonly url: string;
  /** The key of the user pool. Never a secret key. */
  readonly publishableKey: string;
  /** The key of the admin pool. Default: none, and no admin pool. */
  readonly secretKey?: string | undefined;
  /** Options for both pools. Default: {@linkcode DEFAULT_SUPABASE_POOL_CONFIG}. */
  readonly pool?: Partial<SupabasePoolConfig>;
}

/**
 * Owns the two pools of a project: the user pool has the publishable key, the admin pool the secret key.
 *
 * @example
 * ```ts
 * const supabaseService = SupabaseService.fromEnv();
 * const pool = supabaseService.getConnectionPool();
 * const service = new PooledCategoryService(pool.as({ token }));
 * ```
 */
// deno-lint-ignore no-explicit-any -- untyped rows, as SupabaseClient defaults to
export class SupabaseService<Database = any> {
  readonly #options: SupabaseServiceOptions;
  #admin: SupabaseConnectionPool<Database> | undefined = undefined;
  #closing: Promise<void> | undefined = undefined;
  readonly #user: SupabaseConnectionPool<Database>;

  /**
   * Creates the user pool, or takes the one that exists for this project.
   *
   * @throws {ConfigError} if an option is bad, or if a pool of this project exists with other options.
   */
  constructor(options: SupabaseServiceOptions) {
    this.#options = options;
    this.#user = SupabaseConnectionPool.getInstance<Database>(options.url, options.publishableKey, options.pool ?? {});
  }

  /**
   * Creates the façade of the project in the environment; see {@linkcode readSupabaseEnvironment}.
   *
   * @param variables Default: the variables of this process.
   * @throws {ConfigError} listing every bad variable.
   */
  // deno-lint-ignore no-explicit-any -- untyped rows, as SupabaseClient defaults to
  static fromEnv<Database = any>(variables?: Variables): SupabaseService<Database> {
    return new SupabaseService<Database>(readSupabaseEnvironment(variables));
  }

  /** Returns the user pool. It acts anonymously; {@linkcode SupabaseConnectionPool.as} binds it to a caller. */
  getConnectionPool(): SupabaseConnectionPool<Database> {
    return this.#user;
  }

  /**
   * Returns the admin pool, which bypasses row-level security. Creates it at the first call.
   *
   * @throws {ConfigError} if no secret key is configured.
   */
  getAdminPool(): SupabaseConnectionPool<Database> {
    if (this.#admin) return this.#admin;
    const { url, secretKey, pool } = this.#options;
    if (secretKey === undefined) {
      throw new ConfigError([{
        path: "secretKey",
        message: "must be set for the admin pool (SUPABASE_SECRET_KEYS or SUPABASE_SERVICE_ROLE_KEY)",
      }], "Supabase service");
    }
    this.#admin = SupabaseConnectionPool.getInstance<Database>(url, secretKey, pool ?? {});
    // A pool that is created during shutdown must not outlive it.
    if (this.#closing) this.#admin.shutdown(0).catch(() => {});
    return this.#admin;
  }

  /** Returns the statistics of the user pool. */
  getPoolStats(): PoolStats {
    return this.#user.getStats();
  }

  /** Checks the health of the user pool; see {@linkcode SupabaseConnectionPool.healthCheck}. */
  healthCheck(): Promise<PoolHealth> {
    return this.#user.healthCheck();
  }

  /** Halves the limits of both pools while memory is low; see {@linkcode SupabaseConnectionPool.setMemoryLow}. */
  setMemoryLow(isLow: boolean): void {
    this.#user.setMemoryLow(isLow);
    this.#admin?.setMemoryLow(isLow);
  }

  /**
   * Shuts both pools down. They reject new work before this returns. Idempotent.
   *
   * @param deadlineMs Time for holders to finish, in ms. Default: the pools' `shutdownTimeoutMs`.
   */
  shutdown(deadlineMs?: number): Promise<void> {
    const pools = this.#admin ? [this.#user, this.#admin] : [this.#user];
    return this.#closing ??= Promise.all(pools.map((pool) => pool.shutdown(deadlineMs))).then(() => {});
  }
}
