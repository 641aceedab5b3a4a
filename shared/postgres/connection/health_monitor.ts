/**
 * Checks that the database answers, on request and at an interval.
 *
 * @module
 */
import type { PoolStats } from "../../pool/mod.ts";
import {
  CachedProbe,
  type CircuitSnapshot,
  type Clock,
  type EventHub,
  type ProbeResult,
  type Timer,
  toError,
} from "../../resilience/mod.ts";
import type { ManagerEvents } from "../manager_events.ts";
import type { PostgresHealth } from "../postgres_pool.ts";

/** Options of a {@linkcode HealthMonitor}. */
export interface HealthMonitorOptions {
  /** Queries the database, and returns whether it only reads; rejects when it does not answer. */
  readonly query: (signal: AbortSignal) => PromiseLike<boolean>;
  readonly getStats: () => PoolStats;
  /** Returns the state of the circuit breaker. Default: there is none. */
  readonly getCircuit?: (() => CircuitSnapshot) | undefined;
  readonly hub: EventHub<ManagerEvents>;
  readonly clock: Clock;
  /** The time limit of a query, in ms. */
  readonly timeoutMs: number;
  /** The interval of its own checks, in ms; 0 for none. */
  readonly intervalMs: number;
}

/** Runs one health check at a time, and emits its result. */
export class HealthMonitor {
  readonly #options: HealthMonitorOptions;
  readonly #probe: CachedProbe<PostgresHealth>;
  #timer: Timer | undefined = undefined;
  #downSince: number | undefined = undefined;
  #readOnly = false;
  #stopped = false;

  constructor(options: HealthMonitorOptions) {
    const { query, clock, timeoutMs } = options;
    this.#options = options;
    const run = async (signal: AbortSignal) => void (this.#readOnly = await query(signal));
    this.#probe = new CachedProbe({ run, report: (result) => this.#report(result), clock, timeoutMs });
    this.#arm();
  }

  /** Returns the latest result if it is recent, and checks otherwise. Never rejects. */
  check(): Promise<PostgresHealth> {
    return this.#probe.check();
  }

  /** Returns the health without a check: the statistics, and healthy until it is stopped. */
  unchecked(): PostgresHealth {
    const stats = this.#options.getStats();
    return Object.freeze({ healthy: !this.#stopped, skipped: true, durationMs: 0, stats });
  }

  /** Notes that the database does not answer. */
  down(): void {
    this.#downSince ??= this.#options.clock.now();
  }

  /** Notes that the database answers. */
  up(): void {
    if (this.#downSince === undefined) return;
    const downMs = this.#options.clock.now() - this.#downSince;
    this.#downSince = undefined;
    this.#options.hub.emit("recovered", { downMs });
  }

  /** Ends its own checks and its events; a check that is running fails with `reason`, and so does every later one. */
  stop(reason: Error): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#probe.stop(reason);
  }

  #arm(): void {
    const { clock, intervalMs } = this.#options;
    if (intervalMs === 0 || this.#stopped) return;
    this.#timer = clock.setTimer(() => void this.check().finally(() => this.#arm()), intervalMs);
  }

  #report({ durationMs, error: thrown }: ProbeResult): PostgresHealth {
    const { hub, getStats, getCircuit } = this.#options;
    const error = thrown === undefined ? undefined : toError(thrown);
    const state = error ? { error } : { readOnly: this.#readOnly };
    const circuit = getCircuit ? { circuit: getCircuit() } : {};
    const health: PostgresHealth = Object.freeze({
      healthy: !error,
      ...state,
      durationMs,
      ...circuit,
      stats: getStats(),
    });
    if (this.#stopped) return health;
    hub.emit("healthCheck", health);
    if (error) {
      this.down();
      hub.emit("healthCheckFailed", error);
    } else this.up();
    return health;
  }
}
