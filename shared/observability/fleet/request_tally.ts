/**
 * The requests of an isolate, counted for its reports.
 *
 * @module
 */
import { nameOf } from "./parse.ts";
import type { FleetInterval } from "./types.ts";

/** A request that has been answered. */
export interface ObservedRequest {
  /** The status of the response. */
  readonly status: number;
  /** The code of the error, if the response is one. */
  readonly code?: string | undefined;
  /** The time that the request waited for slots, in ms. */
  readonly waitMs: number;
}

/** Maximum number of codes that are counted apart; the errors beyond are counted as `OTHER`. */
const MAX_CODES = 50;

const NOTHING: FleetInterval = Object.freeze({ calls: 0, errors: 0, maxWaitMs: 0 });

/** Counts requests: all of them, and failed ones by code. */
export class RequestTally {
  #calls = 0;
  #failed = 0;
  #maxWaitMs = 0;
  readonly #errors = new Map<string, number>();

  /** The failed requests since the isolate started, by code. */
  get errors(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#errors);
  }

  /** Counts a request. A status of 500 or more is a failure. */
  add({ status, code, waitMs }: ObservedRequest): void {
    this.#calls++;
    if (waitMs > this.#maxWaitMs) this.#maxWaitMs = waitMs;
    if (status >= 500) this.#addError(code ?? `HTTP_${status}`);
  }

  /** Returns what happened since the last call, and counts from zero again. */
  take(): FleetInterval {
    const interval = { calls: this.#calls, errors: this.#failed, maxWaitMs: this.#maxWaitMs };
    ({ calls: this.#calls, errors: this.#failed, maxWaitMs: this.#maxWaitMs } = NOTHING);
    return interval;
  }

  /** Adds what was taken for a report that was not stored. */
  restore({ calls, errors, maxWaitMs }: FleetInterval): void {
    this.#calls += calls;
    this.#failed += errors;
    this.#maxWaitMs = Math.max(this.#maxWaitMs, maxWaitMs);
  }

  #addError(code: string): void {
    this.#failed++;
    const name = nameOf(code);
    const key = this.#errors.has(name) || this.#errors.size < MAX_CODES ? name : "OTHER";
    this.#errors.set(key, (this.#errors.get(key) ?? 0) + 1);
  }
}
