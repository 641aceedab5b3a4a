/**
 * The waits of a request, and the errors that end it early.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import { type HttpDescription, UPSTREAM_TIMEOUT } from "../../resilience/mod.ts";

/**
 * A request had no response by its deadline; its work on the pools was aborted.
 *
 * @cause Queueing, retries, calls and response bodies took longer than `deadlineMs` together.
 * @fix Make the handler faster, or raise `deadlineMs` (`POOL_DEADLINE_MS`).
 * @sample new DeadlineExceededError(30_000)
 */
export class DeadlineExceededError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "DEADLINE_EXCEEDED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = {
    ...UPSTREAM_TIMEOUT,
    detail: "The request had no response in time",
  };

  /**
   * Creates the error.
   *
   * @param deadlineMs The deadline of the request, in ms.
   */
  constructor(deadlineMs: number) {
    super(
      `The request had no response within ${deadlineMs} ms (deadlineMs, POOL_DEADLINE_MS): queueing, retries and ` +
        "response bodies count",
    );
  }
}

/**
 * The caller disconnected before the response. The status is the one that web servers log for it.
 *
 * @cause The client closed the connection or timed out.
 * @fix None on the server. If it is frequent, make the function faster.
 * @sample new CallerLeftError()
 */
export class CallerLeftError extends Error {
  static readonly code = "CLIENT_CLOSED_REQUEST";
  static readonly retry = "permanent";
  static readonly http: HttpDescription = { status: 499, title: "Client closed request" };

  readonly code = CallerLeftError.code;
  readonly http = CallerLeftError.http;
  override readonly name = "CallerLeftError";

  constructor() {
    super("The caller disconnected");
  }
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
