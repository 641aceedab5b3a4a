/**
 * The refusals that an adaptive limit has to follow, and those that it must not.
 *
 * A target that has too many calls refuses one after another, and none once there are fewer. Some refuse a share of the
 * calls however many there are: those of a user with a rate limit, or those of one function that fails. A limit that
 * followed these would fall to its least, and keep all other calls waiting for nothing. Which of the two it is, the calls
 * after a decrease show.
 *
 * @module
 */

/** The calls of a bucket. Refusals are judged by their number in the present bucket and the one before. */
const BUCKET_CALLS = 50;

/** The part of a limit up to which calls show what a decrease from it has left. */
const LOWERED = 0.75;

/** The calls before and after a refusal without another one that show that it was alone. */
const APART = 6;

/** The calls without a refusal that the usual share begins with: one refusal among a few is not a share. */
const PRIOR_CALLS = 300;

/** The calls after which those before them count half for the usual share. */
const MEMORY_CALLS = 3_000;

/** The highest usual share: of more refusals, a lower limit is right whatever the reason is. */
const MAX_SHARE = 0.05;

/** The usual share from which on one refusal alone never lowers the limit. */
const SINGLE_SHARE = 0.005;

/** The time after the latest usual refusal for which the share holds, in ms. */
const USUAL_MS = 60_000;

/** Tells refusals that a lower limit may end from those that it does not. */
export class LimitRefusals {
  /** The calls in the two buckets, and the refusals among them. */
  #calls = 0;
  #refused = 0;
  #callsBefore = 0;
  #refusedBefore = 0;
  /** The number of calls that the buckets count as at least. */
  #least = 0;
  /** The number of calls under way up to which the limit is still low after a decrease; 0 once it has grown again. */
  #lowered = 0;
  #usualCalls = PRIOR_CALLS;
  #usualRefused = 0;
  #usualUntil = Infinity;
  /** The calls since the latest refusal while the limit was low. */
  #answered = 0;
  /** True if there was none shortly before that refusal. */
  #isAlone = false;

  /** Counts a call that has ended, and that began since the latest decrease with `inFlight` under way. */
  count(inFlight: number, isRefused: boolean, now: number): void {
    if (++this.#calls > BUCKET_CALLS) {
      this.#callsBefore = this.#calls;
      this.#refusedBefore = this.#refused;
      this.#calls = this.#refused = 0;
    }
    if (isRefused) this.#refused++;
    if (inFlight <= this.#lowered) this.#countUsual(isRefused, now);
  }

  /** Returns whether the refusal that was counted last, of a call with `inFlight` under way, is no reason for a lower limit. */
  isUsual(inFlight: number, now: number): boolean {
    // The calls after it show whether it remains alone.
    if (this.#isAlone && inFlight <= this.#lowered) return true;
    if (now >= this.#usualUntil) {
      this.#usualCalls = PRIOR_CALLS;
      this.#usualRefused = 0;
      this.#usualUntil = Infinity;
    }
    const share = Math.min(MAX_SHARE, this.#usualRefused / this.#usualCalls);
    const expected = share * Math.max(this.#least, this.#calls + this.#callsBefore);
    const most = 2 * expected + 3 * Math.sqrt(expected) + (share >= SINGLE_SHARE ? 1 : 0);
    return this.#refused + this.#refusedBefore <= most;
  }

  /** Notes that a limit is lowered because of refusals. */
  lowered(limit: number): void {
    this.#lowered = Math.max(1, limit * LOWERED);
    this.#isAlone = false;
    this.#restart(BUCKET_CALLS / 2);
  }

  /** Notes that a higher limit is tried. */
  raised(limit: number): void {
    if (limit > this.#lowered) this.#lowered = 0;
    this.#restart(0);
  }

  #restart(least: number): void {
    this.#least = least;
    this.#calls =
      this.#refused =
      this.#callsBefore =
      this.#refusedBefore =
        0;
  }

  #countUsual(isRefused: boolean, now: number): void {
    if (++this.#usualCalls >= MEMORY_CALLS) {
      this.#usualCalls /= 2;
      this.#usualRefused /= 2;
    }
    if (isRefused) {
      this.#isAlone = this.#answered >= APART;
      this.#answered = 0;
    } else if (++this.#answered === APART && this.#isAlone) {
      this.#usualRefused++;
      this.#usualUntil = now + USUAL_MS;
    }
  }
}
