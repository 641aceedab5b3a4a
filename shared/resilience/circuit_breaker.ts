/**
 * A circuit breaker: calls to a target that fails are rejected at once, until a few probes have succeeded.
 *
 * @module
 */
import { backoffDelayMs } from "./backoff.ts";
import { CircuitOpenError } from "./circuit_open_error.ts";
import type {
  CallJudge,
  CallOutcome,
  CircuitBreakerOptions,
  CircuitEvents,
  CircuitPermit,
  CircuitSnapshot,
  OpenReason,
  SettledCall,
} from "./circuit_types.ts";
import { MAX_TIMER_MS, systemClock } from "./clock.ts";
import { EventHub, type Listener } from "./event_hub.ts";
import { SlidingCounts } from "./sliding_counts.ts";
import { memberOf, textOf } from "./unknown.ts";

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
  /** The instant from which on calls were no longer admitted without a bound, in ms of the clock. */
  #openedAt = 0;
  /** The cause that last opened the circuit by its rules. */
  #reason: OpenReason = "consecutive failures";
  #forced: "open" | "closed" | undefined = undefined;

  /**
   * Creates a breaker, closed unless it is seeded.
   *
   * @throws {RangeError} when an option is out of range, naming it, or the seed is not a state.
   */
  constructor(options: CircuitBreakerOptions) {
    const { target, seed, clock = systemClock, random = Math.random } = options;
    const { consecutiveFailures = 10, failureRatio = 0.5, minimumCalls = 20, windowMs = 10_000 } = options;
    const { openMs = 500, maxProbes = 1, successesToClose = 1, probeTimeoutMs = 1_000 } = options;
    const counts = { consecutiveFailures, minimumCalls, maxProbes, successesToClose };
    const times = { windowMs, openMs, probeTimeoutMs };
    checkRanges(counts, Number.isSafeInteger, Number.MAX_SAFE_INTEGER, "a whole number");
    checkRanges(times, Number.isFinite, MAX_TIMER_MS, "a number");
    if (!(failureRatio > 0 && failureRatio <= 1)) {
      throw new RangeError(`failureRatio must be above 0 and at most 1: it is ${failureRatio}`);
    }
    this.#options = { target, clock, random, failureRatio, ...counts, ...times };
    this.#window = new SlidingCounts(windowMs);
    if (seed !== undefined) checkSnapshot(seed);
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
        return { state: "open", retryAfterMs: this.#leftMs(this.#now()) };
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
   * @param judge Returns the outcome of a settled call; if it throws, the call is not counted, and the breaker emits
   * `error`. Default: a rejection is a failure, unless it is an `AbortError`.
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
      this.settle(permit, this.#judge(settled, judge));
    }
  }

  /**
   * Opens or closes the circuit, whatever the results are, until it is called with `undefined`: then its rules go on with
   * the results in between. Events are emitted when calls are rejected that were sent before, and the reverse.
   *
   * @throws {RangeError} when `state` is another one.
   */
  force(state: "open" | "closed" | undefined): void {
    if (state !== undefined && !isForced(state)) {
      throw new RangeError(`Cannot force the circuit of ${this.target}: the state must be open, closed or undefined`);
    }
    if (state === this.#forced) return;
    const wasClosed = this.isClosed;
    this.#forced = state;
    const now = this.#now();
    if (wasClosed) this.#openedAt = now;
    if (state === "open") this.#emitOpened("forced", undefined);
    else if (wasClosed && !this.isClosed) this.#emitOpened(this.#reason, this.#leftMs(now));
    else if (!wasClosed && this.isClosed) this.#emitClosed(now);
  }

  /**
   * Puts the circuit into the state that another breaker's {@linkcode snapshot} returned, in a generation of its own: the
   * results of calls under way do not count. It emits no event.
   *
   * @throws {RangeError} when `state` is not a state; nothing is changed then.
   */
  restore(state: CircuitSnapshot): void {
    checkSnapshot(state);
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

  /** Returns the time for which an open circuit rejects calls, in ms. */
  #leftMs(now: number): number {
    return this.#circuit.state === "open" ? Math.max(0, this.#circuit.until - now) : 0;
  }

  #judge<T>(settled: SettledCall<T> | undefined, judge: CallJudge<T>): CallOutcome {
    try {
      return settled ? judge(settled) : "ignored";
    } catch (error) {
      this.#hub.emit("error", { error });
      return "ignored";
    }
  }

  #begin(seed: CircuitSnapshot | undefined): Circuit {
    const now = this.#openedAt = this.#now();
    if (seed?.state === "half-open") {
      this.#generation++;
      return { state: "half-open", probes: new Map(), successes: 0 };
    }
    if (seed?.forced) this.#forced = seed.state;
    if (seed?.state !== "open" || seed.forced) return this.#newClosed();
    const { openMs } = this.#options;
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
    if (this.isClosed) this.#openedAt = now;
    if (this.#circuit.state === "closed") this.#reason = reason;
    this.#circuit = { state: "open", until: now + delayMs };
    if (!this.#forced) this.#emitOpened(reason, delayMs);
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
    if (!this.#forced) this.#emitClosed(this.#now());
  }

  #emitOpened(reason: OpenReason, retryAfterMs: number | undefined): void {
    this.#hub.emit("opened", { target: this.target, reason, retryAfterMs });
  }

  #emitClosed(now: number): void {
    this.#hub.emit("closed", { target: this.target, openMs: now - this.#openedAt });
  }
}

function judgeByRejection(settled: SettledCall<unknown>): CallOutcome {
  if (!("error" in settled)) return "succeeded";
  return textOf(settled.error, "name") === "AbortError" ? "ignored" : "failed";
}

function checkRanges(
  options: Readonly<Record<string, number>>,
  isValid: (value: number) => boolean,
  most: number,
  kind: string,
): void {
  for (const [name, value] of Object.entries(options)) {
    if (isValid(value) && value >= 1 && value <= most) continue;
    const limit = most === Number.MAX_SAFE_INTEGER ? "" : ` to ${most.toLocaleString("en")}`;
    throw new RangeError(`${name} must be ${kind} from 1${limit}: it is ${value}`);
  }
}

function isForced(state: unknown): state is "open" | "closed" {
  return state === "open" || state === "closed";
}

/** Throws unless a value is a state: seeds come from another isolate, through a store. */
function checkSnapshot(value: unknown): asserts value is CircuitSnapshot {
  const [state, forced] = [memberOf(value, "state"), memberOf(value, "forced")];
  const isState = isForced(state) ? forced === undefined || typeof forced === "boolean" : state === "half-open";
  if (!isState) throw new RangeError("Cannot restore a circuit: the seed must be what snapshot() returned");
}
