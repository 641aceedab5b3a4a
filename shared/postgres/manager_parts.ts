/**
 * The parts of a manager: its pool of connections, and the services that use it.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import { LeaseRevokedError, optionsOf, type PoolRuntime } from "../pool/mod.ts";
import { Deadlines, RetryBudget, systemClock } from "../resilience/mod.ts";
import { poolOptions } from "./config/config.ts";
import type { PostgresConfig } from "./config/options.ts";
import { ConnectionFactory } from "./connection/connection_factory.ts";
import { ConnectionPool } from "./connection/connection_pool.ts";
import { PoolerDetector } from "./connection/pooler.ts";
import type { ServerState } from "./connection/session.ts";
import { TargetCircuit } from "./connection/target_circuit.ts";
import type { PostgresStats } from "./postgres_pool.ts";
import { type ExecuteOptions, retryTransient } from "./query/attempts.ts";
import type { RunnerSettings } from "./query/statement_runner.ts";
import { TransactionCounters } from "./transaction/transaction_scope.ts";

/** The longest time that the server has to cancel what runs at the deadline of a shutdown, in ms. */
const SHUTDOWN_GRACE_MS = 500;

/** The parts of a manager. */
export class ManagerParts {
  readonly options: Readonly<PostgresConfig>;
  readonly pool: ConnectionPool;
  /** The circuit breaker of the server; `undefined` if `circuitBreaker` is off. */
  readonly circuit: TargetCircuit | undefined;
  /** The clock, the deadlines and the cancel requests of statements. */
  readonly runner: RunnerSettings;
  /** Counts the transactions that have ended. */
  readonly transactions = new TransactionCounters();
  /** Bounds retries; `undefined` if `retryBudget` is off. */
  readonly budget: RetryBudget | undefined;
  readonly #factory: ConnectionFactory;
  readonly #pooler: PoolerDetector;

  /**
   * Creates the parts. The pool begins to create `minConnections` connections.
   *
   * @throws {ConfigError} when the runtime does not support an option.
   */
  constructor(options: Readonly<PostgresConfig>, runtime: PoolRuntime) {
    const { clock = systemClock, random } = runtime;
    const { adaptiveLimit, cancelTimeoutMs } = options;
    this.options = options;
    this.#pooler = new PoolerDetector(options);
    const rules = optionsOf(options.circuitBreaker);
    const circuit = this.circuit = rules && new TargetCircuit(options, rules, clock, random);
    const budget = optionsOf(options.retryBudget);
    this.budget = budget && new RetryBudget({ ...budget, clock });
    const factory = this.#factory = new ConnectionFactory(options, this.#pooler, clock, random, circuit);
    const pool = this.pool = new ConnectionPool(factory, poolOptions(options), runtime, { circuit, adaptiveLimit });
    factory.onRefused = (error, startedAt) => pool.refused(error, startedAt);
    this.runner = {
      clock,
      deadlines: new Deadlines(clock, { keepTimer: true }),
      cancelTimeoutMs,
      requestCancel: (key) => factory.requestCancel(key),
    };
  }

  /** Returns the current statistics, as an immutable snapshot. */
  getStats(): PostgresStats {
    return Object.freeze({
      ...this.pool.getStats(),
      transactions: this.transactions.snapshot(),
      poolMode: this.#pooler.mode,
      connectionLimit: this.pool.limitStats,
      ...(this.circuit && { circuit: this.circuit.stats() }),
      ...(this.budget && { retryBudget: this.budget.getStats() }),
    });
  }

  /** Runs an operation, and retries it within the budget; see `PostgresConnectionManager.executeQueryWithRetry`. */
  retry<T>(once: () => Promise<T>, retries: number, delayMs: number, options: ExecuteOptions): Promise<T> {
    const { signal, idempotent = false, onRetry } = options;
    const allowed = this.options.retries ? retries : 0;
    const [budget, { clock }] = [this.budget, this.runner];
    return retryTransient(once, { retries: allowed, delayMs, signal, idempotent, budget, onRetry, clock });
  }

  /** Calls `listener` with each state of the server that a connection reports. */
  onServerState(listener: (state: ServerState) => void): void {
    this.#factory.onServerState = listener;
  }

  /** See `PostgresConnectionManager.setMemoryLow`. */
  setMemoryLow(isLow: boolean): void {
    this.pool.setMemoryLow(isLow);
    if (isLow) this.#factory.dropCaches();
  }

  /** Ends what the pool no longer waits for: nothing may be pending after a shutdown, whatever the server does. */
  async end(): Promise<void> {
    const graceMs = Math.min(this.options.cancelTimeoutMs, SHUTDOWN_GRACE_MS);
    await this.#factory.shutdown(graceMs, new LeaseRevokedError());
    // What was in flight rejects its callers first.
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.runner.deadlines.stop();
  }
}
