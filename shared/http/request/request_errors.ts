/**
 * The errors of a request: of its end before a response, and of its use after it.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import { type HttpDescription, INTERNAL_ERROR, UPSTREAM_TIMEOUT } from "../../resilience/mod.ts";

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
 * The handler returned without releasing leases. Only the log shows it.
 *
 * @cause A lease was neither released nor declared with `await using`, or background work kept it.
 * @fix Take leases with `await using`, and pass work that goes on after the response to `ctx.waitUntil`.
 * @sample new LeaseForgottenError(2)
 */
export class LeaseForgottenError extends PoolError {
  static override readonly code = "LEASE_FORGOTTEN";
  static override readonly retry = "permanent";
  static override readonly http = INTERNAL_ERROR;

  constructor(count: number) {
    super(
      `The handler returned without releasing ${count} lease(s); they were released for it. Take leases with ` +
        "`await using`, and pass work that goes on after the response to ctx.waitUntil",
    );
  }
}

/**
 * A client or pool of a request was used after the request had ended. Only the log shows it: the call itself fails with
 * `LEASE_RELEASED`, or with the reason that ended the request.
 *
 * @cause A timer, an event listener or work that was not awaited outlived the response and its body.
 * @fix Give that work to `ctx.waitUntil` (or `EdgeRuntime.waitUntil`) before the handler returns.
 * @sample new RequestEndedError(undefined)
 */
export class RequestEndedError extends PoolError {
  static override readonly code = "REQUEST_ENDED";
  static override readonly retry = "permanent";
  static override readonly http = INTERNAL_ERROR;

  /** @param cause The error of the call. */
  constructor(cause: unknown) {
    super(
      "A call through ctx was refused: its request has ended. Give work that goes on after the response to " +
        "ctx.waitUntil, or to EdgeRuntime.waitUntil, before the handler returns",
      { cause },
    );
  }
}
