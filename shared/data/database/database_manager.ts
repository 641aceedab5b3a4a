/**
 * The connections of an application, from their initialization to their shutdown.
 *
 * @module
 */
import { ConfigError, type PoolRuntime } from "../../pool/mod.ts";
import {
  OPERATION_TYPES,
  type OperationType,
  type PoolOverrides,
  type PostgresConnectionManager,
  type PostgresHealth,
  type PostgresOptions,
  PostgresPools,
  readPostgresEnvironment,
  type Variables,
  withoutAliases,
} from "../../postgres/mod.ts";
import { addHealthSource, addPrioritySource, type CheckResult } from "../../observability/monitors/health_sources.ts";
import { type CacheStats, closeCache, getCache, type LayeredCache } from "../../cache/mod.ts";
import { ConnectionWrapper } from "./connection_wrapper.ts";
import { DatabaseNotInitializedError } from "./errors.ts";

/** Options of {@linkcode DatabaseManager.initialize}. */
export interface DatabaseOptions {
  /** Options of all pools, which win over the environment. Default: none. */
  readonly postgres?: PostgresOptions | undefined;
  /** Options by priority, which win over everything. Default: none. */
  readonly priorities?: PoolOverrides | undefined;
  /** Environment variables by name. Default: those of this process. */
  readonly variables?: Variables | undefined;
}

/** The health of a database. */
export interface DatabaseHealth {
  /** True if user requests can be served: the database answers on the pool of high priority. */
  readonly healthy: boolean;
  /** `degraded` if only a pool of lower priority is unhealthy, or Redis is away. */
  readonly status: "healthy" | "degraded" | "unhealthy";
  /** The health of each pool that was used. */
  readonly pools: Readonly<Partial<Record<OperationType, PostgresHealth>>>;
  /** The statistics of the cache; absent if `db.getCache()` was not used. */
  readonly cache?: CacheStats;
}

/** One initialization. */
interface Initialization {
  readonly options: DatabaseOptions;
  readonly pools: PostgresPools;
  /** Resolves once the database has answered. */
  readonly ready: Promise<void>;
  isReady: boolean;
}

/** Returns whether Redis responds, as the circuit breaker of the cache knows: every use of the cache is a check. */
function checkRedis(cache: LayeredCache): CheckResult {
  const state = cache.stats().redis?.circuit.state ?? "closed";
  return state === "closed" ? { healthy: true } : { healthy: false, error: new Error(`Its circuit is ${state}`) };
}

/** Returns whether an initialization has these options already. */
function isSame(one: DatabaseOptions, other: DatabaseOptions): boolean {
  // Functions have no JSON: they are the same if the object is.
  const text = (options: DatabaseOptions) =>
    JSON.stringify(options, (_key, value) => {
      if (typeof value === "function") throw new TypeError("not comparable");
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        return value === Infinity ? "Infinity" : value;
      }
      // Whatever the order in which they were written.
      return Object.fromEntries(Object.entries(value).sort(([one], [other]) => one < other ? -1 : 1));
    });
  try {
    return one === other || text(one) === text(other);
  } catch {
    return false;
  }
}

/**
 * Owns the pools of an application, one per priority, and the facade `db`. Each can be used once {@linkcode initialize}
 * has resolved, and until {@linkcode shutdown}.
 *
 * @example From start to end
 * ```ts
 * const manager = new DatabaseManager();
 * await manager.initialize();
 * console.log((await manager.getHealth()).status, await manager.db.query("SELECT now()"));
 * await manager.shutdown();
 * ```
 */
export class DatabaseManager implements AsyncDisposable {
  static #instance: DatabaseManager | undefined = undefined;

  /** The database, as the login role, on the pool of high priority. */
  readonly db: ConnectionWrapper = new ConnectionWrapper(() => this.getPool(), { cache: () => this.#openCache() });
  /** The pools by priority. Each property throws until {@linkcode initialize} has resolved. */
  readonly pools: Readonly<Record<OperationType, PostgresConnectionManager>>;

  readonly #runtime: PoolRuntime;
  #current: Initialization | undefined = undefined;
  #ending: Promise<void> | undefined = undefined;
  #used = false;
  /** The number of calls of {@linkcode shutdown}. */
  #shutdowns = 0;
  #wasShutDown = false;
  #cache: LayeredCache | undefined = undefined;
  /** The services that `connectionMonitor` checks, and the pools that `monitors` count. */
  readonly #checked: Disposable[] = [];

  /**
   * Creates a manager that opens nothing yet.
   *
   * @param runtime Clock and random numbers; for tests.
   */
  constructor(runtime: PoolRuntime = {}) {
    this.#runtime = runtime;
    const getPool = (type: OperationType) => this.getPool(type);
    this.pools = Object.freeze({
      get highPriority() {
        return getPool("highPriority");
      },
      get lowPriority() {
        return getPool("lowPriority");
      },
      get admin() {
        return getPool("admin");
      },
    });
  }

  /** Returns the manager of this isolate, which `initializeDatabase`, `db` and their like use. */
  static getInstance(): DatabaseManager {
    return DatabaseManager.#instance ??= new DatabaseManager();
  }

  /** True once {@linkcode initialize} has resolved, until {@linkcode shutdown} is called. */
  get initialized(): boolean {
    return this.#current?.isReady ?? false;
  }

  /** True once {@linkcode initialize} was called, also if that failed, and after {@linkcode shutdown}. */
  get used(): boolean {
    return this.#used;
  }

  /**
   * Creates the pools and waits until the database has answered. Concurrent and later calls are one initialization. After
   * a failure nothing is left, and the next call tries again; after a shutdown, the next call initializes again.
   *
   * @throws {ConfigError} listing every bad option and variable, or when the options differ from those of the
   * initialization that exists.
   * @throws {DatabaseNotInitializedError} when {@linkcode shutdown} was called before it began.
   * @throws the failure to connect, such as `CreateFailedError` or `AcquireTimeoutError`.
   */
  async initialize(options?: DatabaseOptions): Promise<void> {
    this.#used = true;
    const shutdowns = this.#shutdowns;
    await this.#ending;
    if (this.#shutdowns !== shutdowns) throw new DatabaseNotInitializedError("shut down");
    const current = this.#current;
    if (current && options !== undefined && !isSame(options, current.options)) {
      const message = "differ from those of the existing initialization: shut the database down first, or omit them";
      throw new ConfigError([{ path: "options", message }], "database options");
    }
    await (current ?? this.#initialize(options ?? {})).ready;
  }

  /**
   * Shuts all pools and the cache that `db` used down: rejects new work, and lets running work finish until the deadline; see
   * `PostgresConnectionManager.shutdown`. Idempotent; does nothing before {@linkcode initialize}.
   *
   * @param deadlineMs How long running work may take, in ms. Default: `shutdownTimeoutMs`, 5,000.
   * @throws {ConfigError} when the deadline is invalid; then the default holds.
   */
  async shutdown(deadlineMs?: number): Promise<void> {
    this.#shutdowns++;
    const current = this.#current;
    if (!current) return await this.#ending;
    this.#current = undefined;
    this.#wasShutDown = true;
    for (const service of this.#checked.splice(0)) service[Symbol.dispose]();
    if (this.#cache) closeCache();
    this.#cache = undefined;
    const ended = current.pools.shutdown(deadlineMs);
    // A deadline that is invalid is reported, and the default holds.
    const ending = this.#ending = ended.catch(() => current.pools.shutdown());
    await ending;
    if (this.#ending === ending) this.#ending = undefined;
    await ended;
  }

  /** Shuts down; see {@linkcode shutdown}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  /**
   * Checks that the database answers on each pool that was used.
   *
   * @throws {DatabaseNotInitializedError} before the initialization, and after a shutdown. An unhealthy database does not
   * reject.
   */
  async getHealth(): Promise<DatabaseHealth> {
    const pools = this.#pools();
    const used = OPERATION_TYPES.filter((type) => pools.getStats()[type] !== undefined);
    const entries = await Promise.all(
      used.map(async (type) => [type, await pools.getPool(type).healthCheck()] as const),
    );
    const healthy = entries.every(([type, health]) => health.healthy || type !== "highPriority");
    const cache = this.#cache?.stats();
    const hasCache = cache?.redis === undefined || cache.redis.circuit.state === "closed";
    const isWhole = hasCache && entries.every(([, health]) => health.healthy);
    return Object.freeze({
      healthy,
      status: healthy ? isWhole ? "healthy" : "degraded" : "unhealthy",
      pools: Object.freeze(Object.fromEntries(entries)),
      ...(cache && { cache }),
    });
  }

  /**
   * Returns the pool of an operation type; for an unknown or missing type, that of `highPriority`.
   *
   * @throws {DatabaseNotInitializedError} before the initialization, and after a shutdown.
   */
  getPool(operationType?: OperationType): PostgresConnectionManager {
    return this.#pools().getPool(operationType);
  }

  #pools(): PostgresPools {
    const current = this.#current;
    if (current?.isReady) return current.pools;
    throw new DatabaseNotInitializedError(current ? "initializing" : this.#wasShutDown ? "shut down" : "new");
  }

  #openCache(): LayeredCache {
    this.#pools();
    const before = this.#cache;
    const cache = this.#cache = getCache();
    if (cache !== before && cache.stats().redis) {
      this.#checked.push(addHealthSource("redis", { healthCheck: () => Promise.resolve(checkRedis(cache)) }));
    }
    return cache;
  }

  /** Checks the pool of user requests. */
  async #checkPostgres(): Promise<CheckResult> {
    const { healthy, pools: { highPriority } } = await this.getHealth();
    return { healthy, error: highPriority?.error };
  }

  #initialize(options: DatabaseOptions): Initialization {
    const { config, highPriority, lowPriority, admin } = readPostgresEnvironment(options.variables);
    const { priorities = {} } = options;
    const pools = new PostgresPools({ ...config, ...withoutAliases(options.postgres ?? {}) }, {
      highPriority: { ...highPriority, ...withoutAliases(priorities.highPriority ?? {}) },
      lowPriority: { ...lowPriority, ...withoutAliases(priorities.lowPriority ?? {}) },
      admin: { ...admin, ...withoutAliases(priorities.admin ?? {}) },
    }, this.#runtime);
    const current: Initialization = { options, pools, ready: this.#connect(pools), isReady: false };
    // Its callers wait for it, too. After a failure nothing is left, also if it came before `#current` was set.
    current.ready.then(() => this.#readied(current), () => this.#forget(current));
    return this.#current = current;
  }

  #readied(initialization: Initialization): void {
    initialization.isReady = true;
    if (this.#current !== initialization) return;
    const { pools } = initialization;
    const highPriority = pools.getPool();
    const postgres = { healthCheck: () => this.#checkPostgres(), on: highPriority.on.bind(highPriority) };
    this.#checked.push(addHealthSource("postgres", postgres), addPrioritySource(pools));
  }

  #forget(initialization: Initialization): void {
    if (this.#current === initialization) this.#current = undefined;
  }

  async #connect(pools: PostgresPools): Promise<void> {
    try {
      await pools.getPool().query("SELECT 1", [], { outsideTransaction: true });
    } catch (error) {
      await pools.shutdown(0);
      throw error;
    }
  }
}
