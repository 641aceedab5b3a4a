/**
 * The rejection by a circuit breaker.
 *
 * @module
 */
import { type HttpDescription, SERVICE_UNAVAILABLE } from "./error_class.ts";
import type { FailureKind } from "./failure_table.ts";

/**
 * The circuit breaker of a target is open: the call was not sent, because calls to the target failed a moment ago.
 *
 * @cause The target (the project or its database) failed again and again, or an operator has opened the circuit.
 * @fix Send the request again after `Retry-After`. Calls resume by themselves once a probe succeeds.
 * @sample new CircuitOpenError("https://abc.supabase.co", 750)
 */
export class CircuitOpenError extends Error {
  /** The code in logs and responses. */
  static readonly code = "CIRCUIT_OPEN";
  /** The retry class. */
  static readonly retry = "transient";
  /** The response to a request that fails with it. */
  static readonly http: HttpDescription & { readonly detail: string } = {
    ...SERVICE_UNAVAILABLE,
    detail: "A service that this one depends on is failing",
  };

  /** Stable across releases. */
  readonly code: string = CircuitOpenError.code;
  /** The name of the class. */
  override readonly name = "CircuitOpenError";
  /** The time until a call may be sent again, in ms; `undefined` if an operator decides. */
  readonly retryAfterMs: number | undefined;

  /**
   * Creates the error.
   *
   * @param target The name of the target.
   * @param retryAfterMs The time until a call may be sent again, in ms; `undefined` if an operator decides.
   */
  constructor(target: string, retryAfterMs: number | undefined, options?: ErrorOptions) {
    const advice = retryAfterMs === undefined
      ? "it was opened by hand: close it, or restore its rules"
      : `try again in ${Math.ceil(retryAfterMs)} ms`;
    super(`Cannot call ${target}: its circuit breaker is open; ${advice}`, options);
    this.retryAfterMs = retryAfterMs;
  }

  /** The retry class, as `classifyFailure` reads it. */
  get retry(): FailureKind {
    return CircuitOpenError.retry;
  }

  /** The HTTP response to the error. */
  get http(): HttpDescription {
    const seconds = Math.max(1, Math.ceil((this.retryAfterMs ?? 1_000) / 1_000));
    return { ...CircuitOpenError.http, retryAfterSeconds: seconds };
  }
}
