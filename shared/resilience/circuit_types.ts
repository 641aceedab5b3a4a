/**
 * The options, states and events of a circuit breaker. It has types only, so that no function loads it.
 *
 * @module
 */
import type { Clock } from "./clock.ts";

/** Options for {@linkcode CircuitBreaker}. */
export interface CircuitBreakerOptions {
  /** The name of the target, for errors and events. */
  readonly target: string;
  /** The number of failures in a row that opens the circuit. Default: 10. */
  readonly consecutiveFailures?: number;
  /** The share of failed calls, above 0 and at most 1, that opens the circuit. Default: 0.5. */
  readonly failureRatio?: number;
  /** The number of calls in the window from which on the share counts. Default: 20. */
  readonly minimumCalls?: number;
  /** The length of the window that the share is taken over, in ms. Default: 10,000. */
  readonly windowMs?: number;
  /** The time for which an open circuit rejects calls, in ms; lengthened at random by up to a half. Default: 500. */
  readonly openMs?: number;
  /** The number of probes that may be under way at once while the circuit is half open. Default: 1. */
  readonly maxProbes?: number;
  /** The number of probes that must succeed before the circuit closes. Default: 1. */
  readonly successesToClose?: number;
  /**
   * The time after which a probe that has not settled makes room for another, in ms: a target that does not respond must
   * not keep the circuit half open. Its result still counts: a target may be slower than this. Default: 1,000.
   */
  readonly probeTimeoutMs?: number;
  /** The state to begin in, as another breaker's {@linkcode CircuitBreaker.snapshot} returned it. Default: closed. */
  readonly seed?: CircuitSnapshot;
  /** Default: the isolate's own time. */
  readonly clock?: Clock;
  /** Returns numbers in `[0, 1)`. Default: `Math.random`. */
  readonly random?: () => number;
}

/** The state of a circuit breaker, as plain data. */
export type CircuitSnapshot =
  | { readonly state: "closed"; readonly forced?: boolean }
  /** `retryAfterMs`: the time until a probe may be sent, in ms; 0 once it may; `undefined` if forced. */
  | { readonly state: "open"; readonly retryAfterMs?: number | undefined; readonly forced?: boolean }
  /** `probes`: the number of probes under way, late ones included. */
  | { readonly state: "half-open"; readonly probes: number };

/** The outcome of a call. `ignored`: it says nothing about the target, for example because its caller aborted it. */
export type CallOutcome = "succeeded" | "failed" | "ignored";

/** The right to send one call. */
export interface CircuitPermit {
  /** The generation in which the call began: it grows when the circuit becomes half open, and when it closes. */
  readonly generation: number;
}

/** The cause that opened a circuit. */
export type OpenReason = "consecutive failures" | "failure ratio" | "probe failed" | "forced";

/** The events of a {@linkcode CircuitBreaker}. */
export interface CircuitEvents {
  /** The circuit opened: calls are rejected. */
  readonly opened: { readonly target: string; readonly reason: OpenReason; readonly retryAfterMs: number | undefined };
  /** The first probe was admitted. */
  readonly halfOpened: { readonly target: string };
  /** The circuit closed: calls are sent. `openMs`: the time since it opened, in ms. */
  readonly closed: { readonly target: string; readonly openMs: number };
  /** A listener failed. */
  readonly error: { readonly error: unknown };
}

/** A settled call. */
export type SettledCall<T> = { readonly value: T } | { readonly error: unknown };

/** Returns the outcome of a settled call for the breaker. */
export type CallJudge<T> = (settled: SettledCall<T>) => CallOutcome;
