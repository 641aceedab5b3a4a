/**
 * A limit on concurrent calls that finds the capacity of what it guards.
 *
 * Each change of the limit is an experiment. A cohort, calls that began one after another at the new limit, is compared
 * with the latency before. Below the capacity of a backend more calls do not slow it down: latency stays. Above it they
 * only wait there: latency grows as the limit does. The elasticity between the two, `log(latency ratio) / log(limit
 * ratio)`, is the part of the step that lies above the capacity, and the limit moves to where the step crossed it.
 *
 * docs/adaptive-limit.md compares this with Vegas, Gradient2, AIMD and Envoy's gradient controller.
 *
 * @module
 */
import { Cohort } from "./cohort.ts";

/** The result of a call, as a limit judges it. */
export type LimitOutcome =
  /** It took the time it needed, whatever its result. */
  | "ok"
  /** The target refused it for lack of capacity, or did not respond in time. */
  | "overload"
  /** It was aborted, or says nothing about the target. */
  | "ignored";

/** A call under way, as {@linkcode AdaptiveLimit.begin} returned it. */
export interface LimitedCall {
  /** The instant at which it began, in ms. */
  readonly at: number;
  /** The number of calls under way when it began, including it. */
  readonly inFlight: number;
  /** The calls it is compared with; `undefined` where it says nothing about the limit. */
  readonly cohort: Cohort | undefined;
}

/** Options of an {@linkcode AdaptiveLimit}. */
export interface AdaptiveLimitOptions {
  /** The limit to begin with. Default: 10. */
  readonly initial?: number;
  /** The lowest limit. Default: 1. */
  readonly min?: number;
  /** The highest limit. Default: 200. */
  readonly max?: number;
  /** Yields numbers in `[0, 1)`, which keep the experiments of several limits apart. Default: `Math.random`. */
  readonly random?: () => number;
}

/** Latencies are logarithms, and no call counts as more than 4 times as slow as usual: one slow query is not a trend. */
const MAX_DEVIATION = Math.log(4);

/** The largest step down, once latency has risen by itself: a tenth. */
const MAX_STEP_DOWN = 9;

/** The factor of a decrease after an overload signal. */
const DECREASE = 0.7;

/** The calls of a cohort: enough to see a difference at all, and not more than is worth waiting for. */
const MIN_COHORT = 10;
const MAX_COHORT = 400;

/** The standard error of an elasticity that decides. */
const PRECISION = 0.2;

/**
 * The time between two experiments with a higher limit, in rounds. So they concern about 0.8 % of the calls, and even
 * the 99th percentile of latency does not show them.
 */
const ROUNDS_PER_EXPERIMENT = 125;
const MIN_INTERVAL_MS = 500;
const MAX_INTERVAL_MS = 15_000;
/** Below half of a recent limit, what was lost may return at any time. */
const MAX_RECOVERY_INTERVAL_MS = 3_000;

/** The half-lives of what is remembered of the lowest latency and of the highest limit, in ms. */
const FLOOR_HALF_LIFE_MS = 300_000;
const PEAK_HALF_LIFE_MS = 300_000;

/** Several limits on one target push each other up, each seeing a part of the effect: from here on, they stop. */
const BRAKE_FULL_AT = Math.log(5);

/** A measurement at one limit: the mean logarithm of latencies, and its standard error. */
interface Level {
  readonly mean: number;
  readonly error: number;
}

/** The state of a limit. */
type Mode =
  /** Takes the latency to compare with. `step` is that of the first experiment. */
  | { readonly kind: "measure"; readonly step: number }
  /** Stays until the next experiment is due, or latency has changed. `isDoubted`: latency rose in the calls before. */
  | { readonly kind: "hold"; readonly until: number; readonly isDoubted: boolean }
  /** Compares a changed limit with the one before. `isShift`: since latency had risen by itself. */
  | {
    readonly kind: "probe";
    readonly from: number;
    readonly before: Level;
    readonly isUp: boolean;
    readonly step: number;
    readonly isShift: boolean;
  };

/**
 * A limit on concurrent calls that adapts to the latency of calls and to overload signals. It has no timer and reads no
 * clock: it changes when calls end.
 *
 * @example
 * ```ts
 * const limit = new AdaptiveLimit({ max: 200 });
 * const call = limit.begin(performance.now(), 1, false);
 * const response = await fetch("https://example.com");
 * limit.end(call, performance.now(), response.status === 503 ? "overload" : "ok");
 * ```
 */
export class AdaptiveLimit {
  readonly #min: number;
  #max: number;
  readonly #random: () => number;
  #limit: number;
  #mode: Mode = { kind: "measure", step: 1 };
  #cohort = new Cohort(20);
  /** The latency at the limit in force. */
  #level: Level = { mean: NaN, error: 0 };
  /** The variance of single calls. */
  #variance = 0.02;
  /** The lowest latency of late, and the highest limit. Both expire. */
  #floor = Infinity;
  #peak = 0;
  #agedAt = 0;
  /** The mean of the last few latencies, as they were. */
  #recent = 0;
  #decreasedAt = -Infinity;
  #goesUp = true;
  /** The part of the interval between experiments that is waited. It grows while nothing changes. */
  #patience = 0.125;

  constructor({ initial = 10, min = 1, max = 200, random = Math.random }: AdaptiveLimitOptions = {}) {
    this.#min = min;
    this.#max = Math.max(min, max);
    this.#limit = this.#clamp(initial);
    this.#random = random;
  }

  /** The number of calls that may be under way. */
  get limit(): number {
    return this.#limit;
  }

  /** The highest limit. */
  get max(): number {
    return this.#max;
  }

  set max(max: number) {
    this.#max = Math.max(this.#min, max);
    this.#limit = this.#clamp(this.#limit);
  }

  /**
   * Notes that a call begins. A limit that is not reached says nothing: the latencies of such calls are not used.
   *
   * @param now The instant, in ms of a clock that does not go back.
   * @param inFlight The number of calls under way, this one included.
   * @param hasWaiters True when others wait for the limit.
   */
  begin(now: number, inFlight: number, hasWaiters: boolean): LimitedCall {
    const cohort = this.#cohort;
    if (cohort.isFull || (!hasWaiters && inFlight < this.#limit * 0.95)) {
      return { at: now, inFlight, cohort: undefined };
    }
    cohort.begin(now);
    return { at: now, inFlight, cohort };
  }

  /**
   * Notes that a call has ended. The limit may change.
   *
   * @param now The instant, in ms of the clock of {@linkcode begin}.
   */
  end(call: LimitedCall, now: number, outcome: LimitOutcome): void {
    const cohort = this.#cohort;
    if (outcome === "overload") this.#onOverload(call, now);
    else if (call.cohort === cohort) this.#add(cohort, call.at, now, outcome);
    if (this.#cohort !== cohort || cohort.ended === 0) return;
    const raw = cohort.rawMean(now);
    // No call counts as slower than those that have not ended by now.
    if (this.#isLate(cohort, now)) cohort.complete(this.#usual(cohort) + MAX_DEVIATION);
    const mode = this.#mode;
    // Slow calls end last: until all have ended, a cohort can only look too fast.
    const mayRise = mode.kind === "hold" || (mode.kind === "probe" && !mode.isUp && !mode.isShift);
    if (mayRise && this.#change(cohort) > 0) {
      if (mode.kind !== "hold" || !mode.isDoubted) this.#doubt(mode, now);
      else this.#followRise(Math.max(cohort.mean, raw, this.#recent), cohort, now);
    } else if (!cohort.isComplete) return;
    else if (mode.kind === "hold") this.#hold(mode.until, cohort, now);
    else if (mode.kind === "probe") this.#judge(mode, cohort, now);
    else {
      this.#setLevel(cohort);
      this.#probe(true, mode.step, false, now);
    }
  }

  /** Returns by how much the latency of a cohort differs from the level, 0 where noise explains it. */
  #change(cohort: Cohort): number {
    if (cohort.ended < MIN_COHORT && !cohort.isComplete) return 0;
    const { mean, error } = this.#level;
    const noise = Math.sqrt(Math.max(this.#variance, cohort.variance) / cohort.ended + error ** 2);
    const change = cohort.mean - mean;
    return Math.abs(change) > Math.max(0.1, 4 * noise) ? change : 0;
  }

  /**
   * Latency has risen though the limit has not. A pause of the isolate or of the target slows all calls that are under
   * way at once, however many they are: only if those that begin from now on are slow as well, it is a trend.
   */
  #doubt(mode: Mode, now: number): void {
    if (mode.kind === "probe") {
      this.#limit = mode.from;
      this.#level = mode.before;
    }
    this.#mode = { kind: "hold", until: mode.kind === "hold" ? mode.until : now, isDoubted: true };
    this.#cohort = this.#roundsOf(2);
  }

  /** Returns a cohort for that many rounds of calls. */
  #roundsOf(rounds: number): Cohort {
    return new Cohort(Math.max(20, Math.min(MAX_COHORT, this.#limit * rounds)));
  }

  /** Latency has risen though the limit has not: tries a limit that is lower by as much. */
  #followRise(latency: number, cohort: Cohort, now: number): void {
    const step = Math.min(MAX_STEP_DOWN, Math.exp(latency - this.#level.mean) - 1);
    this.#level = { mean: latency, error: Math.sqrt(this.#variance / cohort.ended) };
    this.#patience = 0.125;
    this.#probe(false, step, true, now);
  }

  /** Returns whether what a cohort lacks has been under way for longer than any call counts. */
  #isLate(cohort: Cohort, now: number): boolean {
    return cohort.isFull && now - cohort.lastStartAt >= Math.exp(this.#usual(cohort) + MAX_DEVIATION);
  }

  #usual(cohort: Cohort): number {
    return Number.isNaN(this.#level.mean) ? cohort.mean : this.#level.mean;
  }

  #add(cohort: Cohort, at: number, now: number, outcome: LimitOutcome): void {
    const latency = Math.log(Math.max(0.01, now - at));
    const usual = cohort.ended === 0 && Number.isNaN(this.#level.mean) ? latency : this.#usual(cohort);
    // An aborted call would have taken at least this long. If that is short, it says nothing.
    if (outcome === "ignored" && latency < usual) return cohort.drop(at);
    this.#recent += (latency - this.#recent) * 0.3;
    // After a shift, latency may fall as far as it rose.
    const isShift = this.#mode.kind === "probe" && this.#mode.isShift;
    const lowest = isShift ? -Infinity : usual - MAX_DEVIATION;
    cohort.end(at, latency, Math.max(lowest, Math.min(usual + MAX_DEVIATION, latency)));
  }

  /** Decreases the limit, once per round: what began before the last decrease says nothing about the limit since. */
  #onOverload(call: LimitedCall, now: number): void {
    const roundMs = Number.isNaN(this.#level.mean) ? 0 : Math.exp(this.#level.mean);
    const isNews = call.at > this.#decreasedAt && now - this.#decreasedAt >= roundMs;
    // Far below the limit, a lower one would not have helped.
    if (!isNews || call.inFlight < this.#limit / 2) {
      if (call.cohort === this.#cohort) call.cohort.drop(call.at);
      return;
    }
    const mode = this.#mode;
    this.#decreasedAt = now;
    if (mode.kind === "probe" && mode.isUp && call.inFlight > mode.from) {
      // Those that were not refused tell how far it may go.
      this.#limit = Math.max(mode.from, Math.floor((Math.min(this.#limit, call.inFlight) - 1) * 0.95));
      this.#level = mode.before;
      return this.#rest(now);
    }
    this.#limit = this.#clamp(Math.floor(Math.min(this.#limit, call.inFlight) * DECREASE));
    this.#patience = 0.125;
    this.#mode = { kind: "measure", step: this.#step() };
    this.#cohort = new Cohort(20);
  }

  #hold(until: number, cohort: Cohort, now: number): void {
    if (this.#change(cohort) < 0) {
      this.#patience = 0.125;
      this.#setLevel(cohort);
      return this.#probe(true, Math.max(0.25, this.#step()), false, now);
    }
    // The level follows, and more calls make it more exact.
    this.#variance += (cohort.variance - this.#variance) * 0.3;
    const { mean } = this.#level;
    this.#level = { mean: mean + (cohort.mean - mean) * 0.3, error: Math.sqrt(this.#variance / cohort.size * 0.18) };
    this.#age(now);
    if (now >= until) {
      this.#goesUp = !this.#goesUp;
      this.#probe(this.#goesUp, this.#step(), false, now);
    } else {
      this.#mode = { kind: "hold", until, isDoubted: false };
      this.#cohort = new Cohort(cohort.size);
    }
  }

  /** Begins an experiment. */
  #probe(isUp: boolean, step: number, isShift: boolean, now: number): void {
    const from = this.#limit;
    const to = this.#clamp(
      isUp ? Math.max(from + 1, Math.round(from * (1 + step))) : Math.min(from - 1, Math.round(from / (1 + step))),
    );
    if (to === from) return this.#rest(now);
    this.#mode = { kind: "probe", from, before: this.#level, isUp, step, isShift };
    this.#limit = to;
    this.#cohort = new Cohort(this.#callsFor(Math.abs(Math.log(to / from))));
  }

  /** Ends an experiment. */
  #judge(mode: Mode & { kind: "probe" }, cohort: Cohort, now: number): void {
    const { from, before, isUp } = mode;
    const elasticity = (cohort.mean - before.mean) / Math.log(this.#limit / from);
    const above = Math.max(0, Math.max(before.mean, cohort.mean) - this.#floor) / BRAKE_FULL_AT;
    // Noise and rounded corners raise small elasticities: the square counts them less.
    const below = 1 - Math.max(0, Math.min(1, elasticity + above)) ** 2;
    if (isUp ? below > 0.8 : below < 0.2) {
      this.#setLevel(cohort);
      return this.#probe(isUp, mode.isShift ? this.#step() : Math.min(1, mode.step * 2), false, now);
    }
    // The limit is not why latency is above its floor. Another limit, which changed meanwhile, may have looked like this.
    const lower = Math.min(before.mean, cohort.mean);
    if (elasticity < 0.1 && lower > this.#floor) this.#floor += (lower - this.#floor) * (mode.isShift ? 0.5 : 0.3);
    const [low, high] = isUp ? [from, this.#limit] : [this.#limit, from];
    const knee = this.#clamp(Math.round(low * (high / low) ** below));
    this.#level = {
      mean: before.mean + elasticity * Math.log(knee / from),
      error: Math.sqrt(cohort.variance / cohort.ended),
    };
    this.#limit = knee;
    this.#rest(now);
  }

  /** Waits until the next experiment. */
  #rest(now: number): void {
    this.#age(now);
    const limit = this.#limit;
    const rounds = ROUNDS_PER_EXPERIMENT * (1 + this.#callsFor(Math.log(1 + this.#step())) / limit);
    const max = limit < this.#peak / 2 ? MAX_RECOVERY_INTERVAL_MS : MAX_INTERVAL_MS;
    const intervalMs = Math.max(MIN_INTERVAL_MS, Math.min(max, rounds * Math.exp(this.#level.mean))) / 2;
    this.#mode = {
      kind: "hold",
      until: now + intervalMs * this.#patience * (0.75 + this.#random() / 2),
      isDoubted: false,
    };
    this.#patience = Math.min(1, this.#patience * 1.5);
    this.#cohort = this.#roundsOf(2);
  }

  #setLevel(cohort: Cohort): void {
    this.#variance = cohort.variance;
    this.#level = { mean: cohort.mean, error: Math.sqrt(cohort.variance / cohort.ended) };
    this.#lowerFloor();
  }

  #lowerFloor(): void {
    this.#floor = Math.min(this.#floor, this.#level.mean + this.#level.error);
  }

  /** Has what is remembered expire. */
  #age(now: number): void {
    const elapsed = this.#agedAt === 0 ? 0 : now - this.#agedAt;
    this.#agedAt = now;
    this.#lowerFloor();
    this.#floor += (this.#level.mean - this.#floor) * (1 - 0.5 ** (elapsed / FLOOR_HALF_LIFE_MS));
    this.#peak = Math.max(this.#limit, this.#peak * 0.5 ** (elapsed / PEAK_HALF_LIFE_MS));
  }

  /** Returns the number of calls that tell elasticities apart by a step, given as the logarithm of its factor. */
  #callsFor(logStep: number): number {
    const calls = 2 * (Math.sqrt(this.#variance) / (PRECISION * logStep)) ** 2;
    return Math.round(Math.max(MIN_COHORT, Math.min(MAX_COHORT, calls)));
  }

  /** Returns the smallest step, as a fraction, that about two rounds of calls can judge. */
  #step(): number {
    const calls = Math.max(20, Math.min(MAX_COHORT, this.#limit * 2));
    const step = Math.exp(Math.sqrt(2 * this.#variance / calls) / PRECISION) - 1;
    return Math.min(0.5, Math.max(0.05, 0.4 / Math.sqrt(this.#limit), step));
  }

  #clamp(limit: number): number {
    return Math.max(this.#min, Math.min(this.#max, limit));
  }
}
