/**
 * Whether the database answers, asked now and then.
 *
 * @module
 */
import type { Clock, Timer } from "../../resilience/mod.ts";
import type { PoolStats } from "../../pool/mod.ts";
import type { ManagerHub, PostgresHealth } from "../events.ts";

/** How long an answer is kept, in ms: a flood of checks costs one question a second. */
const KEPT_MS = 1_000;

/** What a monitor needs of its manager. */
export interface HealthSubject {
  /** Asks the database something trivial. Rejects when it does not answer. */
  readonly ask: () => Promise<unknown>;
  readonly getStats: () => PoolStats;
}

/** Asks one question at a time. */
export class HealthMonitor {
  readonly #subject: HealthSubject;
  readonly #hub: ManagerHub;
  readonly #clock: Clock;
  readonly #intervalMs: number;
  #timer: Timer | undefined = undefined;
  #answer: Promise<PostgresHealth> | undefined = undefined;
  #answeredAt = -Infinity;
  #downSince: number | undefined = undefined;
  #stopped = false;

  /** @param intervalMs How often it asks by itself, in ms; 0 for never. */
  constructor(subject: HealthSubject, hub: ManagerHub, clock: Clock, intervalMs: number) {
    this.#subject = subject;
    this.#hub = hub;
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#arm();
  }

  /** The latest answer, if it is new, or another one. Never rejects. */
  check(): Promise<PostgresHealth> {
    if (!this.#answer || this.#clock.now() - this.#answeredAt >= KEPT_MS) {
      this.#answeredAt = Infinity; // under way: whoever asks meanwhile shares it
      this.#answer = this.#ask().finally(() => this.#answeredAt = this.#clock.now());
    }
    return this.#answer;
  }

  /** Something else has found that the database does not answer. */
  down(): void {
    this.#downSince ??= this.#clock.now();
  }

  /** Something else has found that it answers. */
  up(): void {
    if (this.#downSince === undefined) return;
    const downMs = this.#clock.now() - this.#downSince;
    this.#downSince = undefined;
    this.#hub.emit("recovered", { downMs });
  }

  /** Asks nothing more by itself. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #arm(): void {
    if (this.#intervalMs === 0 || this.#stopped) return;
    this.#timer = this.#clock.setTimer(() => void this.check().finally(() => this.#arm()), this.#intervalMs);
  }

  async #ask(): Promise<PostgresHealth> {
    const start = this.#clock.now();
    let error: Error | undefined;
    try {
      await this.#subject.ask();
    } catch (thrown) {
      error = thrown instanceof Error ? thrown : new Error(String(thrown));
    }
    const durationMs = this.#clock.now() - start;
    const stats = this.#subject.getStats();
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
