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
import { Cohort, combined, type LatencyLevel } from "./cohort.ts";
import { LimitMemory } from "./limit_memory.ts";
import type { LimitedCall, LimitMode, LimitOutcome, Probe } from "./limit_mode.ts";
import { LimitRefusals } from "./limit_refusals.ts";
import {
  callsFor,
  callsOf,
  firstStep,
  higherLimit,
  lowerLimit,
  MAX_STEP,
  MIN_COHORT,
  nextStepDown,
  nextStepUp,
  restMs,
} from "./limit_steps.ts";

export type { LimitedCall, LimitOutcome };

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

/** The factor of a decrease after an overload signal. */
const DECREASE = 0.7;

/** The calls of the first level, and of one after an overload. */
const FIRST_COHORT = 20;

/** The part of the time between experiments that is waited after a change. It grows while nothing changes. */
const MIN_PATIENCE = 0.125;

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
  #mode: LimitMode = { kind: "measure", step: 1 };
  #cohort = new Cohort(FIRST_COHORT);
  /** The latency at the limit in force; `undefined` until the first calls have ended. */
  #level: LatencyLevel | undefined = undefined;
  /** The variance of single calls. */
  #variance = 0.02;
  readonly #memory = new LimitMemory();
  readonly #refusals = new LimitRefusals();
  #decreasedAt = -Infinity;
  /** The limit before latency rose by itself, until it is tried again. */
  #beforeRise = 0;
  #wasUp = false;
  #patience = MIN_PATIENCE;

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
    if (this.#limit <= this.#max) return;
    this.#limit = this.#max;
    this.#startOver();
  }

  /**
   * Notes that a call begins. A limit that is not reached says nothing: the latencies of such calls are not used.
   *
   * @param now The instant, in ms of a clock that does not go back.
   * @param inFlight The number of calls under way, this one included.
   * @param hasWaiters True when others wait for the limit.
   */
  begin(now: number, inFlight: number, hasWaiters: boolean): LimitedCall {
    const isReached = hasWaiters || inFlight >= this.#limit * 0.95;
    return { at: now, inFlight, cohort: isReached && this.#cohort.begin(now) ? this.#cohort : undefined };
  }

  /**
   * Notes that a call has ended. The limit may change.
   *
   * @param now The instant, in ms of the clock of {@linkcode begin}.
   */
  end(call: LimitedCall, now: number, outcome: LimitOutcome): void {
    const cohort = this.#cohort;
    if (outcome !== "ignored" && call.at > this.#decreasedAt) {
      this.#refusals.count(call.inFlight, outcome === "overload", now);
    }
    if (outcome === "overload") this.#onOverload(call, now);
    else if (call.cohort === cohort) this.#add(cohort, now - call.at, outcome);
    if (this.#cohort !== cohort || cohort.ended === 0) return;
    // No call counts as slower than those that have not ended by now.
    const slowest = (this.#level ?? cohort.level).mean + this.#maxDeviation();
    if (cohort.isFull && now - cohort.lastStartAt >= Math.exp(slowest)) cohort.complete(slowest);
    const mode = this.#mode;
    switch (mode.kind) {
      case "measure":
        if (cohort.isComplete) this.#measure(mode.step, cohort, now);
        break;
      case "hold":
        // Slow calls end last: until all have ended, a cohort can only look too fast.
        if (this.#change(cohort) > 0) this.#doubt(mode.until);
        else if (cohort.isComplete) this.#hold(mode.until, cohort, now);
        break;
      case "doubt":
        if (this.#isSlow(cohort)) this.#followRise(cohort, now);
        else if (cohort.isComplete) this.#hold(mode.until, cohort, now);
        break;
      case "probe":
        if (!mode.isShift && this.#isUnexplained(mode, cohort)) this.#giveUp(mode, now);
        else if (cohort.isComplete) this.#judge(mode, cohort, now);
    }
  }

  /** Adds a call that was not refused. */
  #add(cohort: Cohort, latencyMs: number, outcome: LimitOutcome): void {
    const latency = Math.log(Math.max(0.01, latencyMs));
    const usual = this.#level?.mean ?? (cohort.ended === 0 ? latency : cohort.mean);
    // An aborted call would have taken at least this long. If that is short, it says nothing.
    if (outcome === "ignored" && latency < usual) return cohort.drop();
    const mode = this.#mode;
    // Latency may rise by any amount, and fall as far again.
    const highest = mode.kind === "doubt" ? Infinity : usual + this.#maxDeviation();
    const lowest = mode.kind === "probe" && mode.isShift ? -Infinity : usual - MAX_DEVIATION;
    cohort.end(Math.max(lowest, Math.min(highest, latency)));
  }

  /** Returns by how much slower than usual a call may count: more where a higher limit may slow all calls. */
  #maxDeviation(): number {
    const mode = this.#mode;
    return MAX_DEVIATION + (mode.kind === "probe" && mode.isUp ? Math.log(this.#limit / mode.from) : 0);
  }

  /** Decreases the limit, once per round: what began before the last decrease says nothing about the limit since. */
  #onOverload(call: LimitedCall, now: number): void {
    const roundMs = this.#level ? Math.exp(this.#level.mean) : 0;
    const isNews = call.at > this.#decreasedAt && now - this.#decreasedAt >= roundMs;
    // Far below the limit, a lower one would not have helped.
    if (!isNews || call.inFlight < this.#limit / 2 || this.#refusals.isUsual(call.inFlight, now)) {
      if (call.cohort === this.#cohort) call.cohort.drop();
      return;
    }
    const mode = this.#mode;
    this.#decreasedAt = now;
    if (mode.kind === "probe" && mode.isUp && call.inFlight > mode.from) {
      // Those that were not refused tell how far it may go.
      this.#limit = Math.max(mode.from, Math.floor((Math.min(this.#limit, call.inFlight) - 1) * 0.95));
      return this.#rest(mode.before, now);
    }
    this.#refusals.lowered(this.#limit);
    this.#limit = this.#clamp(Math.floor(Math.min(this.#limit, call.inFlight) * DECREASE));
    this.#startOver();
  }

  /** Measures the latency at a limit that has changed for another reason than an experiment. */
  #startOver(): void {
    this.#patience = MIN_PATIENCE;
    this.#mode = { kind: "measure", step: this.#firstStep() };
    this.#cohort = new Cohort(FIRST_COHORT);
  }

  /** Takes the latency of a cohort as that of the limit, and begins an experiment with a higher limit. */
  #measure(step: number, cohort: Cohort, now: number): void {
    this.#probe(true, step, this.#setLevel(cohort), now);
  }

  #hold(until: number, cohort: Cohort, now: number): void {
    if (this.#change(cohort) < 0) {
      this.#patience = MIN_PATIENCE;
      return this.#measure(this.#firstStep(), cohort, now);
    }
    // The level follows, and more calls make it more exact.
    this.#variance += (cohort.variance - this.#variance) * 0.3;
    const { mean } = this.#level ?? cohort.level;
    const error = Math.sqrt(this.#variance / cohort.size * 0.18);
    const level = this.#level = { mean: mean + (cohort.mean - mean) * 0.3, error };
    this.#memory.age(this.#limit, level, now);
    if (now >= until) return this.#experiment(level, now);
    this.#mode = { kind: "hold", until };
    this.#cohort = new Cohort(cohort.size);
  }

  /** Returns by how much the latency of a cohort differs from the level, 0 where noise explains it. */
  #change(cohort: Cohort): number {
    if (!this.#level || (cohort.ended < MIN_COHORT && !cohort.isComplete)) return 0;
    return cohort.changeFrom(this.#level, this.#variance);
  }

  /**
   * Latency has risen though the limit has not. A pause of the isolate or of the target slows all calls that are under
   * way at once, however many they are: only if those that begin from now on are slow as well, it is a trend.
   */
  #doubt(until: number): void {
    this.#mode = { kind: "doubt", until };
    this.#cohort = new Cohort(callsOf(2, this.#limit), 0, (this.#level?.mean ?? 0) + 0.1);
  }

  /** Returns whether latency has risen though the limit is lower, or in a whole round by far more than the limit. */
  #isUnexplained({ from, isUp }: Probe, cohort: Cohort): boolean {
    if (isUp && cohort.ended < this.#limit) return false;
    return this.#change(cohort) > (isUp ? 2 * Math.log(this.#limit / from) : 0);
  }

  /** Latency has risen for another reason: the limit returns. */
  #giveUp({ from, before }: Probe, now: number): void {
    this.#limit = this.#clamp(from);
    this.#level = before;
    this.#doubt(now);
  }

  /** Returns whether calls are slow one after another, and not those of one more pause. */
  #isSlow(cohort: Cohort): boolean {
    const change = this.#change(cohort);
    const isRound = cohort.ended >= this.#limit || cohort.isComplete;
    return change > Math.log(8) || (change > 0 && isRound && cohort.fastShare <= 0.25);
  }

  /** Latency has risen though the limit has not: tries a limit that is lower by as much. */
  #followRise(cohort: Cohort, now: number): void {
    const step = Math.min(MAX_STEP, Math.exp(cohort.mean - (this.#level?.mean ?? 0)) - 1);
    this.#beforeRise = Math.max(this.#beforeRise, this.#limit);
    this.#patience = MIN_PATIENCE;
    const error = Math.sqrt(this.#variance / cohort.ended);
    this.#probe(false, step, { mean: cohort.mean, error }, now, true);
  }

  /** Begins the next experiment: up and down in turn. */
  #experiment(level: LatencyLevel, now: number): void {
    const back = Math.min(1, this.#beforeRise / this.#limit - 1);
    this.#beforeRise = 0;
    // If a pause was why latency rose, the limit before is still right. If not, twice the limit is enough to see it.
    if (back > 0.1) return this.#probe(true, back, level, now);
    this.#wasUp = !this.#wasUp;
    this.#probe(this.#wasUp, this.#firstStep(), level, now);
  }

  /** Begins an experiment: a limit that is higher or lower by `step`, a fraction, beside the latency before. */
  #probe(isUp: boolean, step: number, before: LatencyLevel, now: number, isShift = false): void {
    const from = this.#limit;
    const to = this.#clamp(isUp ? higherLimit(from, step, this.#memory.peak) : lowerLimit(from, step));
    if (to === from) return this.#rest(before, now);
    if (isUp) this.#refusals.raised(to);
    this.#limit = to;
    this.#level = before;
    this.#mode = { kind: "probe", from, before, isUp, isShift, isRepeated: false };
    // The calls that begin at once, until a higher limit is reached, are faster than those after them.
    this.#cohort = new Cohort(callsFor(from, to, this.#variance), Math.max(0, to - from));
  }

  /** Ends an experiment, or goes on with it. */
  #judge(probe: Probe, cohort: Cohort, now: number): void {
    const { from, before, isUp, isShift, isRepeated } = probe;
    const elasticity = (cohort.mean - before.mean) / Math.log(this.#limit / from);
    const brake = this.#memory.brake(Math.max(before.mean, cohort.mean));
    // Noise and rounded corners raise small elasticities: the square counts them less.
    const below = 1 - Math.max(0, Math.min(1, elasticity + brake)) ** 2;
    if (isUp ? below > 0.8 : below < 0.2 && !isShift) return this.#goOn(probe, cohort, now);
    if (isUp && !isRepeated && this.#memory.mayHold(this.#limit)) {
      // A pause may have slowed these calls: those that begin from now on decide.
      this.#mode = { ...probe, isRepeated: true };
      this.#cohort = new Cohort(Math.max(cohort.size, this.#limit));
      return;
    }
    // The limit is not why latency is above its floor. Another limit, which changed meanwhile, may have looked like this.
    if (elasticity < 0.1) this.#memory.raise(Math.min(before.mean, cohort.mean), isShift ? 0.5 : 0.3);
    const [low, high] = isUp ? [from, this.#limit] : [this.#limit, from];
    this.#limit = this.#clamp(Math.round(low * (high / low) ** below));
    const mean = before.mean + elasticity * Math.log(this.#limit / from);
    this.#rest({ mean, error: cohort.level.error }, now);
  }

  /** A step up had no effect on latency, or a step down its full one: takes the next step, twice as large. */
  #goOn({ from, before, isUp }: Probe, cohort: Cohort, now: number): void {
    this.#patience = MIN_PATIENCE;
    const next = isUp ? nextStepUp(from, this.#limit, this.#memory.peak) : nextStepDown(from, this.#limit);
    const level = this.#setLevel(cohort);
    this.#probe(isUp, Math.max(this.#firstStep(), next), isUp ? combined(before, level) : level, now);
  }

  /** Waits until the next experiment. */
  #rest(level: LatencyLevel, now: number): void {
    this.#level = level;
    this.#memory.age(this.#limit, level, now);
    if (this.#beforeRise > 0) return this.#experiment(level, now);
    const ms = restMs(this.#limit, this.#firstStep(), this.#variance, Math.exp(level.mean), this.#memory.peak);
    this.#mode = { kind: "hold", until: now + ms * this.#patience * (0.75 + this.#random() / 2) };
    this.#patience = Math.min(1, this.#patience * 1.5);
    this.#cohort = new Cohort(callsOf(2, this.#limit));
  }

  #setLevel(cohort: Cohort): LatencyLevel {
    this.#variance = cohort.variance;
    this.#memory.note(cohort.level);
    return this.#level = cohort.level;
  }

  #firstStep(): number {
    return firstStep(this.#limit, this.#variance, this.#random());
  }

  #clamp(limit: number): number {
    return Math.max(this.#min, Math.min(this.#max, limit));
  }
}
