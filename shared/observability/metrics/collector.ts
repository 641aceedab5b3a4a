/**
 * The collector of metrics that the specification names.
 *
 * @module
 */
import { CacheTotals } from "./cache_totals.ts";
import { type CollectedMetrics, hitsOf, Operations, sizeOf } from "./collected.ts";
import type { ObservedCache } from "./observed_cache.ts";
import type { ObservedPool, ObservedStats, StatementRecorder } from "./observed_pool.ts";

/** A connection to Redis that is observed: `RedisConnection` of the cache, for example. */
export interface ObservedRedis {
  /** Sends commands, and returns a reply for each. */
  send(commands: readonly never[]): Promise<unknown[]>;
}

/** Options for {@linkcode MetricsCollector.attachPostgres}. */
export interface AttachOptions {
  /** The duration from which on a query counts as slow, in ms. Default: 1,000. */
  readonly slowMs?: number;
}

/** The commands of Redis that read values: only these find a value, or find none. */
const READS: ReadonlySet<unknown> = new Set(
  ("GET MGET GETEX GETDEL GETRANGE EXISTS HGET HMGET HGETALL HEXISTS LINDEX LRANGE SISMEMBER SMEMBERS ZSCORE ZRANGE")
    .split(" "),
);

/** Returns whether a command reads values. */
function isRead(command: unknown): boolean {
  const name: unknown = Array.isArray(command) ? command[0] : undefined;
  return typeof name === "string" && READS.has(name.toUpperCase());
}

/** Returns whether a reply has a value: of a list, any. */
function hasValue(reply: unknown): boolean {
  return Array.isArray(reply) ? reply.some(hasValue) : reply !== null && reply !== undefined && reply !== 0;
}

/**
 * Collects metrics about Postgres, Redis, caches and Prisma in memory of a fixed size. Its methods never throw.
 *
 * Pools, Redis and caches feed it once they are attached; a program may also call its methods `trackPostgresQuery` and so
 * on itself.
 *
 * @example
 * ```ts
 * metricsCollector.trackPostgresQuery(100, false, false);
 * const average = metricsCollector.getMetric("postgres.query.duration.avg"); // 100
 * ```
 */
export class MetricsCollector {
  #postgres = new Operations();
  #slow = 0;
  #redis = new Operations();
  /** The operations of Redis that read and did not fail. */
  #reads = 0;
  #hits = 0;
  #prisma = new Operations();
  #pool = { total: 0, active: 0, idle: 0, waiting: 0 };
  #memory = { memoryBytes: 0, clients: 0 };
  readonly #pools = new Set<ObservedPool>();
  readonly #caches = new CacheTotals();

  /** Counts a query to Postgres that took `durationMs`. */
  trackPostgresQuery(durationMs: number, failed: boolean, slow: boolean): void {
    this.#postgres.add(durationMs, failed);
    if (slow) this.#slow++;
  }

  /** Counts an operation of Redis that took `durationMs`. `hit`: it found a value; otherwise it is a miss, or has failed. */
  trackRedisOperation(durationMs: number, failed: boolean, hit: boolean): void {
    this.#redis.add(durationMs, failed);
    if (failed) return;
    this.#reads++;
    if (hit) this.#hits++;
  }

  /** Counts a query of Prisma that took `durationMs`. */
  trackPrismaQuery(durationMs: number, failed: boolean): void {
    this.#prisma.add(durationMs, failed);
  }

  /** Sets the connections of the Postgres pool. Attached pools replace them. */
  updatePostgresPoolMetrics(total: number, active: number, idle: number, waiting: number): void {
    this.#pool = { total: sizeOf(total), active: sizeOf(active), idle: sizeOf(idle), waiting: sizeOf(waiting) };
  }

  /** Sets the memory that Redis uses, and the number of its clients. */
  updateRedisMetrics(memoryBytes: number, clients: number): void {
    this.#memory = { memoryBytes: sizeOf(memoryBytes), clients: sizeOf(clients) };
  }

  /** Returns all metrics. */
  getMetrics(): CollectedMetrics {
    this.#readPools();
    return {
      postgres: { query: { ...this.#postgres.read(), slow: this.#slow }, pool: { ...this.#pool } },
      redis: {
        operation: { ...this.#redis.read(), ...hitsOf(this.#hits, this.#reads - this.#hits) },
        ...this.#memory,
      },
      prisma: { query: this.#prisma.read() },
      cache: this.#caches.read(),
    };
  }

  /**
   * Returns one metric by its path in {@linkcode getMetrics}, such as `postgres.query.duration.avg`; `undefined` for a path
   * that does not lead to a number.
   */
  getMetric(path: string): number | undefined {
    if (typeof path !== "string") return undefined;
    let value: unknown = this.getMetrics();
    for (const name of path.split(".")) {
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
      value = Reflect.get(value, name);
    }
    return typeof value === "number" ? value : undefined;
  }

  /**
   * Takes the statements of a Postgres pool, or the calls of a pool of Supabase clients, and the connections of all
   * attached pools together, until the result is disposed of or the pool is closed. A pool that is attached already counts
   * once.
   *
   * @example
   * ```ts
   * metricsCollector.attachPostgres(PostgresConnectionManager.getInstance());
   * ```
   */
  attachPostgres(pool: ObservedPool, { slowMs = 1_000 }: AttachOptions = {}): Disposable {
    if (this.#pools.has(pool)) return { [Symbol.dispose]: () => {} };
    const track = (durationMs: number, failed: boolean) => {
      this.trackPostgresQuery(durationMs, failed, durationMs >= slowMs);
    };
    const recorder: StatementRecorder = {
      observe: async (work, times, run) => {
        let failed = true;
        try {
          const result = await run();
          failed = false;
          return result;
        } finally {
          // The statements of a transaction are observed themselves.
          if (work.kind !== "transaction") track(times.waitedMs + times.connectMs + times.executionMs, failed);
        }
      },
    };
    const onCalled = ({ durationMs, status = 599 }: { readonly durationMs: number; readonly status?: number }) => {
      track(durationMs, status >= 500);
    };
    const end = () => {
      // Without a pool there are no connections.
      if (this.#pools.delete(pool) && this.#pools.size === 0) this.updatePostgresPoolMetrics(0, 0, 0, 0);
      for (const subscription of subscriptions.splice(0)) subscription?.[Symbol.dispose]();
    };
    const subscriptions = [
      pool.observeStatements?.(recorder),
      pool.on?.("called" as never, onCalled),
      pool.on?.("closed" as never, end),
    ];
    this.#pools.add(pool);
    return { [Symbol.dispose]: end };
  }

  /**
   * Returns a connection to Redis whose operations are tracked: use it in place of `redis`. What is sent at once is one
   * operation. One with commands that read, such as `GET`, is a hit if Redis has a value for any of them, and otherwise a
   * miss; one that only writes is neither.
   *
   * @example
   * ```ts
   * const redis = metricsCollector.attachRedis(new RedisConnection({ url }));
   * const cache = new LayeredCache({ redis });
   * ```
   */
  attachRedis<R extends ObservedRedis>(redis: R): R {
    const send = async (commands: readonly never[]): Promise<unknown[]> => {
      const since = performance.now();
      let replies: unknown[] | undefined;
      try {
        return replies = await redis.send(commands);
      } finally {
        const durationMs = performance.now() - since;
        const failed = replies?.some((reply) => reply instanceof Error) ?? true;
        const found = replies?.filter((_, at) => isRead(commands[at])) ?? [];
        if (failed || found.length > 0) this.trackRedisOperation(durationMs, failed, found.some(hasValue));
        else this.#redis.add(durationMs, false);
      }
    };
    return new Proxy(redis, {
      get: (target, name) => {
        if (name === "send") return send;
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  /**
   * Takes the statistics of a cache from now on, until the result is disposed of. A hit costs nothing: they are read when
   * the metrics are.
   *
   * @example
   * ```ts
   * metricsCollector.attachCache(getCache());
   * const hitRate = metricsCollector.getMetric("cache.memory.hitRate");
   * ```
   */
  attachCache(cache: ObservedCache): Disposable {
    return this.#caches.attach(cache);
  }

  #readPools(): void {
    if (this.#pools.size === 0) return;
    let [total, active, idle, waiting] = [0, 0, 0, 0];
    for (const pool of this.#pools) {
      const stats = statsOf(pool);
      if (!stats) continue;
      total += stats.totalConnections ?? stats.activeConnections + stats.idleConnections;
      active += stats.activeConnections;
      idle += stats.idleConnections;
      waiting += stats.waitingForConnection;
    }
    this.updatePostgresPoolMetrics(total, active, idle, waiting);
  }
}

/** Returns the statistics of a pool; `undefined` if it has none now. */
function statsOf(pool: ObservedPool): ObservedStats | undefined {
  try {
    return pool.getStats();
  } catch {
    return undefined;
  }
}

/** The collector of this isolate. */
export const metricsCollector: MetricsCollector = new MetricsCollector();
