/**
 * How long a request waits, and the errors that end it early.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";

/** A request was not answered by its deadline; what it did on the pools has been aborted. */
export class DeadlineExceededError extends PoolError {
  /** @param deadlineMs The handler's `deadlineMs`. */
  constructor(deadlineMs: number) {
    super(
      "DEADLINE_EXCEEDED",
      `The request was not answered within ${deadlineMs} ms (deadlineMs, POOL_DEADLINE_MS): queueing, retries and ` +
        "response bodies count",
    );
  }
}

/** The caller disconnected: no response will be read. */
export class CallerLeftError extends Error {
  override readonly name = "CallerLeftError";
}

/**
 * Waits for `work`, for as long as a request may. The work goes on when the wait
 * is rejected.
 */
export type RequestWait = <T>(work: Promise<T>) => Promise<T>;

/** Waits for as long as it takes. */
export function waitForever<T>(work: Promise<T>): Promise<T> {
  return work;
}
