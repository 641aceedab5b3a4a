/**
 * A primary and its standbys as one pool: reads are balanced, writes go to the primary, and a failover is followed.
 *
 * Each target has a {@linkcode PostgresConnectionManager} of its own, with its circuit breaker, its limits and its health.
 *
 * - `topology.ts` knows which target is the primary, and which may be read from. It learns that from checks
 *   (`target_checks.ts`) and from what sessions report by themselves (`in_hot_standby`).
 * - `replica_router.ts` chooses the target of a call, and repeats what may be repeated on another one. Of two targets drawn
 *   at random, the one with the lower cost serves a read (`resilience/load_balancer.ts`).
 * - A write is sent on a session that is not on a standby, which is checked between lease and send. It is repeated only if
 *   it was certainly not sent, or rejected because its server accepts no writes.
 * - `wal_position.ts` keeps what a scope has written, as the position of the log behind its latest write. A standby serves
 *   a read of the scope if it has replayed up to there; that is known, or is looked at in the transaction of the read.
 *
 * @module
 */
import type { PoolRuntime } from "../../pool/mod.ts";
import { type Clock, EventHub, Subscriptions, systemClock, toError } from "../../resilience/mod.ts";
import {
  type Caller,
  type LeaseOptions,
  type ListedStatement,
  type PostgresConnection,
  type PostgresConnectionManager,
  type PostgresHealth,
  type PostgresPool,
  type PostgresStats,
  type QueryResult,
  type Row,
  type SqlTag,
  type Transaction,
  type TransactionOptions,
  type TransactionWork,
  type WorkOptions,
} from "../../postgres/mod.ts";
import { isAway } from "./failures.ts";
import type { ReplicaEvents } from "./replica_events.ts";
import { parseReplicasConfig, type ReplicasConfig, type ReplicasOptions } from "./replica_options.ts";
import { ReplicaPool, type ReplicaQueryOptions } from "./replica_pool.ts";
import { ReplicaRouter } from "./replica_router.ts";
import type { ReplicaTarget, TargetStatus } from "./replica_target.ts";
import { TargetChecks, waitForChecks } from "./target_checks.ts";
import { createTargets, poolsOf } from "./target_pools.ts";
import { Topology } from "./topology.ts";

/** The age from which the state of targets is checked before it is used, in intervals of checks. */
const STALE_INTERVALS = 10;

/**
 * A group of Postgres targets: one primary, and standbys that replicate it.
 *
 * What runs on the group itself is one scope: a read shows what was written on the group before. {@linkcode as} and
 * {@linkcode scope} begin a scope of their own, such as one request.
 *
 * @example Reads anywhere, writes on the primary
 * ```ts
 * const db = new PostgresReplicas({
 *   targets: ["postgresql://app@db1.internal/app", "postgresql://app@db2.internal/app"],
 * });
 * db.on("primaryChanged", ({ from, to }) => console.log(`writes go to ${to}, and no more to ${from}`));
 * await db.query("insert into notes (text) values ($1)", ["hello"]);
 * const { rows } = await db.query("select text from notes");
 * console.log(rows);
 * await db.shutdown();
 * ```
 */
export class PostgresReplicas implements PostgresPool, AsyncDisposable {
  /** The options of the group in effect. */
  readonly options: Readonly<ReplicasConfig>;

  readonly #clock: Clock;
  readonly #targets: readonly ReplicaTarget[];
  readonly #topology: Topology;
  readonly #checks: TargetChecks;
  readonly #router: ReplicaRouter;
  readonly #pool: ReplicaPool;
  readonly #hub = new EventHub<ReplicaEvents>({
    listenerError: (error) => ({ error: toError(error), target: undefined }),
  });
  readonly #subscriptions = new Subscriptions<ReplicaEvents>((name, listener) => this.#hub.on(name, listener));

  /**
   * Creates the managers of the targets. Roles are found out at the first call.
   *
   * @param runtime Clock and random numbers; for tests.
   * @throws {ConfigError} listing every bad option, without secrets.
   */
  constructor(options: ReplicasOptions, runtime: PoolRuntime = {}) {
    const config = this.options = parseReplicasConfig(options);
    const { clock = systemClock, random = Math.random } = runtime;
    const hub = this.#hub;
    this.#clock = clock;
    this.#targets = createTargets(options, runtime);
    const topology = this.#topology = new Topology(this.#targets, {
      clock,
      hub,
      readsAvoidPrimary: config.reads === "standbys",
      maxLagMs: config.maxLagMs,
      check: (target) => this.#checks.check(target),
    });
    const checks = this.#checks = new TargetChecks({
      clock,
      intervalMs: config.checkIntervalMs,
      timeoutMs: config.checkTimeoutMs,
      onReport: (target, report, checkedAt) => topology.reported(target, report, checkedAt),
      onFailure: (target, error) => topology.failed(target, error),
      hasPrimary: () => topology.primary !== undefined,
    });
    const { failoverTimeoutMs, replayWaitMs, readYourWrites, checkIntervalMs } = config;
    const staleMs = checkIntervalMs * STALE_INTERVALS;
    this.#router = new ReplicaRouter({
      clock,
      random,
      topology,
      checks,
      failoverTimeoutMs,
      replayWaitMs,
      readYourWrites,
      staleMs,
    });
    for (const target of this.#targets) {
      target.manager.on("error", ({ error, source }) => {
        if (source === "create" && isAway(error)) topology.unreachable(target, error);
        if (source === "invalidate") void topology.suspect(target);
      });
      target.manager.on("serverState", ({ inHotStandby, readOnly = false }) => {
        if (inHotStandby !== undefined) {
          topology.sessionReported(target, inHotStandby ? "standby" : "primary", readOnly);
        }
      });
    }
    this.#pool = new ReplicaPool(this.#router, ({ manager }) => manager);
  }

  /** The options of the primary, or of the first target while there is none. */
  get config(): PostgresPool["config"] {
    return this.#pool.config;
  }

  /** See `PostgresPool`. */
  get sql(): SqlTag<ReplicaQueryOptions> {
    return this.#pool.sql;
  }

  /** Runs one statement; see {@linkcode ReplicaPool.query}. */
  query<R extends object = Row>(
    text: string,
    values?: readonly unknown[],
    options?: ReplicaQueryOptions,
  ): Promise<QueryResult<R>> {
    return this.#pool.query<R>(text, values, options);
  }

  transaction(statements: readonly ListedStatement[], options?: TransactionOptions): Promise<QueryResult[]>;
  transaction<T>(work: TransactionWork<T>, options?: TransactionOptions): Promise<T>;
  /** Runs a transaction; see {@linkcode ReplicaPool.transaction}. */
  transaction<T>(
    work: TransactionWork<T> | readonly ListedStatement[],
    options?: TransactionOptions,
  ): Promise<T | QueryResult[]> {
    return typeof work === "function" ? this.#pool.transaction(work, options) : this.#pool.transaction(work, options);
  }

  /**
   * Begins a scope as the login role: its reads show what it has written, and need not show what others have. Of the group
   * itself, all that is written counts.
   */
  scope(): ReplicaPool {
    return new ReplicaPool(this.#router, ({ manager }) => manager);
  }

  /**
   * Begins a scope as one caller; see `PostgresConnectionManager.as`.
   *
   * @throws {CallerError} when the claims do not identify a user.
   */
  as(caller: Caller, work?: WorkOptions): ReplicaPool {
    // At once: whether the token is valid is judged now.
    const pools = poolsOf(this.#targets, (target) => target.manager.as(caller, work));
    return new ReplicaPool(this.#router, pools, work?.signal);
  }

  /** Leases a connection to the primary, in a scope of its own; see {@linkcode ReplicaPool.lease}. */
  lease(options?: LeaseOptions): Promise<PostgresConnection> {
    return this.scope().lease(options);
  }

  /** See `PostgresPool`. */
  currentTransaction(): Transaction | undefined {
    return this.#pool.currentTransaction();
  }

  /** Returns the statistics of the pool of the primary, or of the first target while there is none. */
  getStats(): PostgresStats {
    return this.#pool.getStats();
  }

  /** The connections that exist, of the pool of {@linkcode getStats}, under the name that `pg` gives them. */
  get totalCount(): number {
    return this.getStats().totalConnections;
  }

  /** The connections that are not leased, under the name that `pg` gives them. */
  get idleCount(): number {
    return this.getStats().idleConnections;
  }

  /** The acquires that wait for a connection, under the name that `pg` gives them. */
  get waitingCount(): number {
    return this.getStats().waitingForConnection;
  }

  /** Returns the targets with their states, roles and loads, as in the options. */
  getTargets(): readonly TargetStatus[] {
    const { primary } = this.#topology;
    const now = this.#clock.now();
    return Object.freeze(this.#targets.map((target) => target.status(now, target === primary)));
  }

  /**
   * Returns the manager of a target, to use it directly: its statistics, its circuit, its events.
   *
   * @param name The name of the target.
   */
  manager(name: string): PostgresConnectionManager | undefined {
    return this.#targets.find((target) => target.name === name)?.manager;
  }

  /** Checks the health of the primary. Never rejects. */
  healthCheck(): Promise<PostgresHealth> {
    return this.#pool.healthCheck();
  }

  /** Checks all targets now, and resolves when each has answered, or has not in time. */
  async check(): Promise<readonly TargetStatus[]> {
    this.#checks.used(this.#clock.now());
    await waitForChecks(this.#clock, Promise.all(this.#targets.map((target) => this.#checks.check(target))));
    return this.getTargets();
  }

  /** Calls `listener` at each event of that name, until the subscription is disposed of or {@linkcode off} is called. */
  on<K extends keyof ReplicaEvents>(name: K, listener: (event: ReplicaEvents[K]) => void): Disposable {
    return this.#subscriptions.on(name, listener);
  }

  /** Calls `listener` at the next event of that name, once. */
  once<K extends keyof ReplicaEvents>(name: K, listener: (event: ReplicaEvents[K]) => void): Disposable {
    return this.#subscriptions.once(name, listener);
  }

  /** Removes a listener; one that was added several times, once. */
  off<K extends keyof ReplicaEvents>(name: K, listener: (event: ReplicaEvents[K]) => void): void {
    this.#subscriptions.off(name, listener);
  }

  /** Shuts all targets down at the same time; see `PostgresConnectionManager.shutdown`. */
  async shutdown(deadlineMs?: number): Promise<void> {
    this.#checks.stop();
    this.#topology.close();
    await Promise.all(this.#targets.map(({ manager }) => manager.shutdown(deadlineMs)));
  }

  /** Shuts down; see {@linkcode shutdown}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }
}
