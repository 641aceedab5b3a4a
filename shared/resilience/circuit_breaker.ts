/**
 * A circuit breaker: calls to a target that fails are rejected at once, until a few probes have succeeded.
 *
 * @module
 */
import { backoffDelayMs } from "./backoff.ts";
import { type Clock, MAX_TIMER_MS, systemClock } from "./clock.ts";
import { type HttpDescription, SERVICE_UNAVAILABLE } from "./error_class.ts";
import { EventHub, type Listener } from "./event_hub.ts";
import type { FailureKind } from "./failure_table.ts";
import { SlidingCounts } from "./sliding_counts.ts";
import { textOf } from "./unknown.ts";

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

interface ClosedCircuit {
  readonly state: "closed";
  /** The permit of every call of this generation. */
  readonly permit: CircuitPermit;
  /** The failures since the last success. */
  consecutive: number;
  /** The instant of the last failure, in ms of the clock. */
  failedAt: number;
}

interface OpenCircuit {
  readonly state: "open";
  /** From this instant on, a probe is admitted; in ms of the clock. */
  readonly until: number;
}

interface HalfOpenCircuit {
  readonly state: "half-open";
  /** The probes under way, the earliest first, with the instants at which they began, in ms of the clock. */
  readonly probes: Map<CircuitPermit, number>;
  /** The probes that have succeeded. */
  successes: number;
}

type Circuit = ClosedCircuit | OpenCircuit | HalfOpenCircuit;

/** The maximum number of probes under way that are late: a target that never responds must not use up the memory. */
const MAX_LATE_PROBES = 64;

/** The permit of calls whose results do not count. */
const UNCOUNTED: CircuitPermit = Object.freeze({ generation: 0 });

/**
 * Rejects calls to a target that fails.
 *
 * The circuit is *closed* while calls succeed. It *opens* after `consecutiveFailures` failures in a row, or when the
 * share of failures reaches `failureRatio`. After `openMs` it is *half open*: at most `maxProbes` calls at once are
 * sent as probes. When `successesToClose` of them have succeeded it closes; the first that fails opens it again. One that
 * does not settle within `probeTimeoutMs` makes room for another, and still counts when it does.
 *
 * Each call carries the generation in which it began. The result of a call that began before the last change of state
 * changes nothing. There are no timers: time is read with each call, so that an isolate that was frozen for minutes
 * goes on at once.
 *
 * Source of the states: Michael Nygard, "Release It!", 2nd ed., section 5.2. Source of the generations: Polly, issues
 * 216 to 219.
 *
 * @example
 * ```ts
 * const breaker = new CircuitBreaker({ target: "billing" });
 * const response = await breaker.run(() => fetch("https://billing.example.com/"));
 * ```
 */
export class CircuitBreaker {
  readonly #options: Required<Omit<CircuitBreakerOptions, "seed">>;
  readonly #window: SlidingCounts;
  readonly #hub = new EventHub<CircuitEvents>({ listenerError: (error) => ({ error }) });
  #generation = 0;
  #circuit: Circuit;
  /** The instant at which the circuit last opened from closed, in ms of the clock. */
  #openedAt = 0;
  #forced: "open" | "closed" | undefined = undefined;

  /**
   * Creates a breaker, closed unless it is seeded.
   *
   * @throws {RangeError} when an option is out of range, naming it.
   */
  constructor(options: CircuitBreakerOptions) {
    const { target, seed, clock = systemClock, random = Math.random } = options;
    const { consecutiveFailures = 10, failureRatio = 0.5, minimumCalls = 20, windowMs = 10_000 } = options;
    const { openMs = 500, maxProbes = 1, successesToClose = 1, probeTimeoutMs = 1_000 } = options;
    const counts = { consecutiveFailures, minimumCalls, maxProbes, successesToClose };
    const times = { windowMs, openMs, probeTimeoutMs };
    checkRanges(counts, Number.isSafeInteger, Number.MAX_SAFE_INTEGER, "a whole number from 1");
    checkRanges(times, Number.isFinite, MAX_TIMER_MS, `a number from 1 to ${MAX_TIMER_MS.toLocaleString("en")}`);
    if (!(failureRatio > 0 && failureRatio <= 1)) {
      throw new RangeError(`failureRatio must be above 0 and at most 1: it is ${failureRatio}`);
    }
    this.#options = { target, clock, random, failureRatio, ...counts, ...times };
    this.#window = new SlidingCounts(windowMs);
    this.#circuit = this.#begin(seed);
  }

  /** The name of the target. */
  get target(): string {
    return this.#options.target;
  }

  /** Returns the state, as plain data. Reading it changes nothing. */
  snapshot(): CircuitSnapshot {
    if (this.#forced) return { state: this.#forced, forced: true };
    const circuit = this.#circuit;
    switch (circuit.state) {
      case "closed":
        return { state: "closed" };
      case "open":
        return { state: "open", retryAfterMs: Math.max(0, circuit.until - this.#now()) };
      case "half-open":
        return { state: "half-open", probes: circuit.probes.size };
    }
  }

  /** True while every call is admitted. */
  get isClosed(): boolean {
    return this.#forced === undefined ? this.#circuit.state === "closed" : this.#forced === "closed";
  }

  /**
   * Checks that {@linkcode admit} would admit a call now. Changes nothing.
   *
   * @throws {CircuitOpenError} as `admit` does.
   */
  check(): void {
    if (this.#circuit.state !== "closed" || this.#forced) this.#check(this.#circuit, this.#now());
  }

  /**
   * Admits a call. {@linkcode settle} its permit in any case.
   *
   * @throws {CircuitOpenError} when the circuit is open, or half open with enough probes under way.
   */
  admit(): CircuitPermit {
    const circuit = this.#circuit;
    if (circuit.state === "closed" && !this.#forced) return circuit.permit;
    const now = this.#now();
    this.#check(circuit, now);
    if (this.#forced || circuit.state === "closed") return this.#closedPermit(circuit);
    return this.#probe(circuit.state === "half-open" ? circuit : this.#halfOpen(), now);
  }

  /**
   * Admits a call whatever the state, for calls that something else paces, such as attempts to connect with pauses of
   * their own. In a circuit that is not closed it is a probe, however many are under way. {@linkcode settle} its permit.
   */
  admitPaced(): CircuitPermit {
    const circuit = this.#circuit;
    if (this.#forced || circuit.state === "closed") return this.#closedPermit(circuit);
    return this.#probe(circuit.state === "half-open" ? circuit : this.#halfOpen(), this.#now());
  }

  /** Throws if the circuit rejects calls at `now`. */
  #check(circuit: Circuit, now: number): void {
    if (this.#forced === "open") throw new CircuitOpenError(this.target, undefined);
    if (this.#forced === "closed" || circuit.state === "closed") return;
    const until = circuit.state === "open" ? circuit.until : this.#roomAt(circuit, now);
    if (now < until) throw new CircuitOpenError(this.target, until - now);
  }

  /** Returns the instant from which on another probe may be sent. */
  #roomAt({ probes }: HalfOpenCircuit, now: number): number {
    const { maxProbes, probeTimeoutMs } = this.#options;
    // A probe that is late makes room for another.
    const timely = [...probes.values()].filter((begun) => now < begun + probeTimeoutMs);
    return timely.length < maxProbes ? now : Math.min(...timely) + probeTimeoutMs;
  }

  /**
   * Notes the outcome of a call. A second outcome of a probe, and that of an earlier generation, changes nothing.
   *
   * @param now The current time of the clock, or an earlier one that the caller has read for the call. Default: it is
   * read.
   */
  settle(permit: CircuitPermit, outcome: CallOutcome, now?: number): void {
    const circuit = this.#circuit;
    if (circuit.state === "closed") {
      if (permit === circuit.permit && outcome !== "ignored") {
        this.#count(circuit, outcome === "failed", now ?? this.#now());
      }
    } else if (circuit.state === "half-open" && circuit.probes.delete(permit)) {
      if (outcome === "failed") this.#open("probe failed", this.#now());
      else if (outcome === "succeeded" && ++circuit.successes >= this.#options.successesToClose) this.#close();
    }
  }

  /**
   * Runs one call.
   *
   * @param call Called once, unless the circuit is open.
   * @param judge Returns the outcome of a settled call. Default: a rejection is a failure, unless it is an `AbortError`.
   * @throws {CircuitOpenError} when the circuit is open. Otherwise the promise settles as `call` does.
   */
  async run<T>(call: () => PromiseLike<T> | T, judge: CallJudge<T> = judgeByRejection): Promise<T> {
    const permit = this.admit();
    let settled: SettledCall<T> | undefined;
    try {
      const value = await call();
      settled = { value };
      return value;
    } catch (error) {
      settled = { error };
      throw error;
    } finally {
      this.settle(permit, settled ? judge(settled) : "ignored");
    }
  }

  /** Opens or closes the circuit, whatever the results are, until it is called with `undefined`. */
  force(state: "open" | "closed" | undefined): void {
    if (state === this.#forced) return;
    this.#forced = state;
    if (state === "open") this.#emitOpened("forced", undefined);
    else if (state === "closed") this.#emitClosed(this.#now());
  }

  /**
   * Puts the circuit into the state that another breaker's {@linkcode snapshot} returned, in a generation of its own: the
   * results of calls under way do not count. It emits no event.
   */
  restore(state: CircuitSnapshot): void {
    this.#forced = undefined;
    this.#window.clear();
    this.#circuit = this.#begin(state);
  }

  /** Calls `listener` with each event of that name until the returned subscription is disposed of. */
  on<K extends keyof CircuitEvents>(name: K, listener: Listener<CircuitEvents[K]>): Disposable {
    return this.#hub.on(name, listener);
  }

  #now(): number {
    return this.#options.clock.now();
  }

  #begin(seed: CircuitSnapshot | undefined): Circuit {
    if (seed?.state === "half-open") {
      this.#generation++;
      this.#openedAt = this.#now();
      return { state: "half-open", probes: new Map(), successes: 0 };
    }
    if (seed?.forced) this.#forced = seed.state;
    if (seed?.state !== "open" || seed.forced) return this.#newClosed();
    const { openMs } = this.#options;
    const now = this.#openedAt = this.#now();
    // The clock of another isolate, or an old record, must not keep this circuit open for longer than its own would.
    const askedMs = seed.retryAfterMs ?? openMs;
    return { state: "open", until: now + (askedMs >= 0 ? Math.min(askedMs, openMs * 1.5) : openMs) };
  }

  #newClosed(): ClosedCircuit {
    const permit = Object.freeze({ generation: ++this.#generation });
    return { state: "closed", permit, consecutive: 0, failedAt: -Infinity };
  }

  /** Returns the permit of a call whose result counts if the circuit is closed by itself, and else does not. */
  #closedPermit(circuit: Circuit): CircuitPermit {
    return circuit.state === "closed" ? circuit.permit : UNCOUNTED;
  }

  #count(circuit: ClosedCircuit, failed: boolean, now: number): void {
    this.#window.add(1, failed ? 1 : 0, now);
    if (!failed) {
      circuit.consecutive = 0;
      return;
    }
    const { consecutiveFailures, failureRatio, minimumCalls, windowMs } = this.#options;
    // Failures of long ago do not belong to this outage.
    circuit.consecutive = now - circuit.failedAt > windowMs ? 1 : circuit.consecutive + 1;
    circuit.failedAt = now;
    const { total: calls, marked: failures } = this.#window;
    if (circuit.consecutive >= consecutiveFailures) this.#open("consecutive failures", now);
    else if (calls >= minimumCalls && failures / calls >= failureRatio) this.#open("failure ratio", now);
  }

  #open(reason: OpenReason, now: number): void {
    const { openMs, random } = this.#options;
    const delayMs = backoffDelayMs(0, { baseMs: openMs, capMs: openMs * 1.5 }, random);
    if (this.#circuit.state === "closed") this.#openedAt = now;
    this.#circuit = { state: "open", until: now + delayMs };
    this.#emitOpened(reason, delayMs);
  }

  #halfOpen(): HalfOpenCircuit {
    this.#generation++;
    const circuit: HalfOpenCircuit = { state: "half-open", probes: new Map(), successes: 0 };
    this.#circuit = circuit;
    this.#hub.emit("halfOpened", { target: this.target });
    return circuit;
  }

  #probe(circuit: HalfOpenCircuit, now: number): CircuitPermit {
    const permit = Object.freeze({ generation: this.#generation });
    circuit.probes.set(permit, now);
    const [earliest] = circuit.probes.keys();
    if (earliest && circuit.probes.size > this.#options.maxProbes + MAX_LATE_PROBES) circuit.probes.delete(earliest);
    return permit;
  }

  #close(): void {
    this.#window.clear();
    this.#circuit = this.#newClosed();
    this.#emitClosed(this.#now());
  }

  #emitOpened(reason: OpenReason, retryAfterMs: number | undefined): void {
    this.#hub.emit("opened", { target: this.target, reason, retryAfterMs });
  }

  #emitClosed(now: number): void {
    this.#hub.emit("closed", { target: this.target, openMs: now - this.#openedAt });
  }
}

/** A settled call. */
export type SettledCall<T> = { readonly value: T } | { readonly error: unknown };

/** Returns the outcome of a settled call for the breaker. It must not throw. */
export type CallJudge<T> = (settled: SettledCall<T>) => CallOutcome;

function judgeByRejection(settled: SettledCall<unknown>): CallOutcome {
  if (!("error" in settled)) return "succeeded";
  return textOf(settled.error, "name") === "AbortError" ? "ignored" : "failed";
}

function checkRanges(
  options: Readonly<Record<string, number>>,
  isValid: (value: number) => boolean,
  most: number,
  rule: string,
): void {
  for (const [name, value] of Object.entries(options)) {
    if (!(isValid(value) && value >= 1 && value <= most)) {
      throw new RangeError(`${name} must be ${rule}: it is ${value}`);
    }
  }
}
