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

/** What a {@linkcode SupabaseService} is made of; a checked environment is one. */
export interface SupabaseServiceOptions {
  /** The project's address. */
  readonly url: string;
  /** For the pool of callers. Never a secret key. */
  readonly publishableKey: string;
  /** For the admin pool. Default: none, and no admin pool. */
  readonly secretKey?: string | undefined;
  /** Options of both pools. Default: those of every pool. */
  readonly pool?: Partial<SupabasePoolConfig>;
}

/**
 * Owns the two pools of a project, which are never mixed: the one for callers
 * holds the publishable key, the admin pool the secret one.
 *
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

  /** @throws {ConfigError} when an option is bad, or a pool of the same project runs with other options. */
  constructor(options: SupabaseServiceOptions) {
    this.#options = options;
    this.#user = SupabaseConnectionPool.getInstance<Database>(options.url, options.publishableKey, options.pool ?? {});
  }

  /**
   * The façade for the project that the environment names; see
   * {@linkcode readSupabaseEnvironment}.
   *
   * @param variables Default: the variables of this process.
   * @throws {ConfigError} listing every bad variable.
   */
  // deno-lint-ignore no-explicit-any -- untyped rows, as SupabaseClient defaults to
  static fromEnv<Database = any>(variables?: Variables): SupabaseService<Database> {
    return new SupabaseService<Database>(readSupabaseEnvironment(variables));
  }

  /** The pool for callers: anonymous until a user's token is bound to a lease. */
  getConnectionPool(): SupabaseConnectionPool<Database> {
    return this.#user;
  }

  /**
   * The pool that bypasses row-level security, made when it is first asked for.
   *
   * @throws {ConfigError} when no secret key is configured.
   */
  getAdminPool(): SupabaseConnectionPool<Database> {
    if (this.#admin) return this.#admin;
    const { url, secretKey, pool } = this.#options;
    if (secretKey === undefined) {
      throw new ConfigError([{
        path: "secretKey",
        message: "is not set (SUPABASE_SECRET_KEYS, or SUPABASE_SERVICE_ROLE_KEY); the admin pool needs it",
      }], "Supabase service");
    }
    this.#admin = SupabaseConnectionPool.getInstance<Database>(url, secretKey, pool ?? {});
    // Made while the service shuts down: it must not outlive it.
    if (this.#closing) this.#admin.shutdown(0).catch(() => {});
    return this.#admin;
  }

  /** How the pool for callers stands. */
  getPoolStats(): PoolStats {
    return this.#user.getStats();
  }

  /** Whether the pool for callers can do its work; see `SupabaseConnectionPool.healthCheck`. */
  healthCheck(): Promise<PoolHealth> {
    return this.#user.healthCheck();
  }

  /**
   * Shuts both pools down; what refuses new work is done before this returns. Idempotent.
   *
   * @param deadlineMs How long holders may finish. Default: the pool's `shutdownTimeoutMs`.
   */
  shutdown(deadlineMs?: number): Promise<void> {
    const pools = this.#admin ? [this.#user, this.#admin] : [this.#user];
    return this.#closing ??= Promise.all(pools.map((pool) => pool.shutdown(deadlineMs))).then(() => {});
  }
}
