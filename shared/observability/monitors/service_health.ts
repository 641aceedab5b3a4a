/**
 * The health of one service: its checks and their results.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { type Clock, timeoutSignal, toError } from "../../resilience/mod.ts";
import { describeError } from "../log/mod.ts";
import type { CheckedService } from "./health_sources.ts";

/** The status of a service. `unknown`: it was not checked, or not for so long that the latest check says little. */
export type HealthStatus = "healthy" | "unhealthy" | "unknown";

/** The health of a service. */
export interface ServiceHealth {
  readonly status: HealthStatus;
  /** The wall clock at the end of the check, as ISO 8601 in UTC; absent before the first one. */
  readonly checkedAt?: string;
  /** The duration of the check, in ms; absent before the first one. */
  readonly durationMs?: number;
  /** The reason why it is unhealthy, without credentials and values of rows. */
  readonly error?: string;
}

/** The result of one check. */
export interface CheckOutcome {
  readonly health: ServiceHealth;
  readonly previousHealth: ServiceHealth;
  /** The failure; `undefined` for a service that responded. */
  readonly error: Error | undefined;
}

/** The bounds of the checks of a service. */
export interface CheckBounds {
  /** The longest that a check may take, in ms. */
  readonly timeoutMs: number;
  /** The number of results that are kept. */
  readonly historySize: number;
  readonly clock: Clock;
}

/** The health before the first check. */
const NOT_CHECKED: ServiceHealth = Object.freeze({ status: "unknown" });

/** A check that fails later than this many times its deadline was frozen with the isolate. */
const FROZEN_FACTOR = 2;

/** The end of a check: an error, unless the service responded. */
interface Attempt {
  readonly error?: Error;
}

/** Returns a thrown value as an error, with a text of its own if it has none. */
function errorOf(thrown: unknown, otherwise: string): Error {
  try {
    return thrown === undefined || thrown === null ? new Error(otherwise) : toError(thrown);
  } catch {
    return new Error(otherwise);
  }
}

/** Checks one service, one check at a time, and keeps the latest results. */
export class ServiceChecks {
  readonly #service: CheckedService;
  readonly #bounds: CheckBounds;
  readonly #history: ServiceHealth[] = [];
  #latest = NOT_CHECKED;
  #latestMs = -Infinity;
  /** The check that has not settled: it may outlast its deadline. */
  #pending: Promise<unknown> | undefined = undefined;

  constructor(service: CheckedService, bounds: CheckBounds) {
    this.#service = service;
    this.#bounds = bounds;
  }

  /** The latest results, the earliest first. */
  get history(): readonly ServiceHealth[] {
    return [...this.#history];
  }

  /** True once a check has ended. */
  get wasChecked(): boolean {
    return this.#latest !== NOT_CHECKED;
  }

  /** Returns the latest result; `unknown` if it is older than `maxAgeMs`. */
  current(maxAgeMs: number): ServiceHealth {
    const isOld = this.#bounds.clock.now() - this.#latestMs > maxAgeMs;
    return isOld && this.wasChecked ? Object.freeze({ ...this.#latest, status: "unknown" }) : this.#latest;
  }

  /**
   * Checks the service. Never rejects. A failure that came long after the deadline counts for nothing.
   *
   * @param isWanted Returns whether the result still counts, at its end.
   */
  async check(isWanted: () => boolean): Promise<CheckOutcome> {
    const { clock, timeoutMs } = this.#bounds;
    const startMs = clock.now();
    const { error } = await this.#attempt();
    const tookMs = clock.now() - startMs;
    const isFrozen = error !== undefined && tookMs >= timeoutMs * FROZEN_FACTOR;
    return isFrozen || !isWanted()
      ? { health: this.#latest, previousHealth: this.#latest, error: undefined }
      : this.#record(error, tookMs);
  }

  /** Returns what a check fails with, in an object: what is thrown may be a promise. */
  async #attempt(): Promise<Attempt> {
    const { clock, timeoutMs } = this.#bounds;
    if (this.#pending) return { error: new Error(`The check before it has not ended within ${timeoutMs} ms`) };
    using timeout = timeoutSignal(timeoutMs, clock, () => new Error(`The check did not end within ${timeoutMs} ms`));
    try {
      const pending = Promise.resolve(this.#service.healthCheck());
      const settled = () => void (this.#pending = undefined);
      this.#pending = pending;
      pending.then(settled, settled);
      const { healthy, error } = await abortable(pending, timeout.signal);
      return healthy === true ? {} : { error: errorOf(error, "The service is unhealthy") };
    } catch (error) {
      return { error: errorOf(error, "The check failed") };
    }
  }

  #record(error: Error | undefined, durationMs: number): CheckOutcome {
    const previousHealth = this.#latest;
    const health: ServiceHealth = Object.freeze({
      status: error ? "unhealthy" : "healthy",
      checkedAt: new Date().toISOString(),
      durationMs,
      ...(error && { error: describeError(error).error }),
    });
    this.#latest = health;
    this.#latestMs = this.#bounds.clock.now();
    if (this.#history.push(health) > this.#bounds.historySize) this.#history.shift();
    return { health, previousHealth, error };
  }
}
