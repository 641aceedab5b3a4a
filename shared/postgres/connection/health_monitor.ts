/**
 * Checks that the database answers, on request and at an interval.
 *
 * @module
 */
import type { Clock, EventHub, Timer } from "../../resilience/mod.ts";
import type { PoolStats } from "../../pool/mod.ts";
import type { ManagerEvents } from "../manager.ts";
import type { PostgresHealth } from "../postgres_pool.ts";

/** How long a result is cached, in ms: a flood of checks costs one query a second. */
const CACHE_MS = 1_000;

/** Runs one health check at a time, and emits its result. */
export class HealthMonitor {
  readonly #query: () => Promise<unknown>;
  readonly #getStats: () => PoolStats;
  readonly #hub: EventHub<ManagerEvents>;
  readonly #clock: Clock;
  readonly #intervalMs: number;
  #timer: Timer | undefined = undefined;
  #latest: Promise<PostgresHealth> | undefined = undefined;
  #checkedAt = -Infinity;
  #downSince: number | undefined = undefined;
  #stopped = false;

  /**
   * @param query Queries the database; rejects when it does not answer.
   * @param intervalMs The interval of its own checks, in ms; 0 for none.
   */
  constructor(
    query: () => Promise<unknown>,
    getStats: () => PoolStats,
    hub: EventHub<ManagerEvents>,
    clock: Clock,
    intervalMs: number,
  ) {
    this.#query = query;
    this.#getStats = getStats;
    this.#hub = hub;
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#arm();
  }

  /** Returns the latest result if it is recent, and checks otherwise. Never rejects. */
  check(): Promise<PostgresHealth> {
    if (!this.#latest || this.#clock.now() - this.#checkedAt >= CACHE_MS) {
      this.#checkedAt = Infinity; // running: concurrent checks share it
      this.#latest = this.#check().finally(() => this.#checkedAt = this.#clock.now());
    }
    return this.#latest;
  }

  /** Notes that the database does not answer. */
  down(): void {
    this.#downSince ??= this.#clock.now();
  }

  /** Notes that the database answers. */
  up(): void {
    if (this.#downSince === undefined) return;
    const downMs = this.#clock.now() - this.#downSince;
    this.#downSince = undefined;
    this.#hub.emit("recovered", { downMs });
  }

  /** Ends its own checks and its events. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #arm(): void {
    if (this.#intervalMs === 0 || this.#stopped) return;
    this.#timer = this.#clock.setTimer(() => void this.check().finally(() => this.#arm()), this.#intervalMs);
  }

  async #check(): Promise<PostgresHealth> {
    const start = this.#clock.now();
    let error: Error | undefined;
    try {
      await this.#query();
    } catch (thrown) {
      error = thrown instanceof Error ? thrown : new Error(String(thrown));
    }
    const durationMs = this.#clock.now() - start;
    const stats = this.#getStats();
    const health = Object.freeze({ healthy: !error, ...(error ? { error } : {}), durationMs, stats });
    if (this.#stopped) return health;
    this.#hub.emit("healthCheck", health);
    if (error) {
      this.down();
      this.#hub.emit("healthCheckFailed", error);
    } else this.up();
    return health;
  }
}
