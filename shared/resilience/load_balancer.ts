/**
 * The choice of a target by load: the power of two choices on calls in flight and latency (peak EWMA).
 *
 * Two targets drawn at random are compared, and the one with the lower cost is chosen. That needs no scan, and callers
 * that decide at once do not all run to the same target (Mitzenmacher, "The Power of Two Choices in Randomized Load
 * Balancing"). The cost of a target is its latency times its calls in flight. A slower response counts at once, a faster
 * one with time, as in Finagle's `PeakEwma`. A call that is not answered counts with its age, so that a target that hangs
 * is avoided before anything has failed.
 *
 * @module
 */

/** The time in which the weight of what was measured falls to 1/e, in ms. */
const DECAY_MS = 10_000;

/** The least latency, in ms: below the resolution of the clock, the calls in flight decide. */
const FLOOR_MS = 0.5;

/** The latency that a failed call counts as, in ms: a target that rejects at once is not a fast one. */
const FAILURE_MS = 1_000;

/** A call to a target. */
export interface TargetCall {
  /** The time at which it began, in ms. */
  readonly since: number;
}

/** The load of one target. All times are in ms, of one clock. */
export class TargetLoad {
  /** The calls in flight, the oldest first. */
  readonly #calls = new Set<TargetCall>();
  #latencyMs = 0;
  #measuredAt = 0;

  /** The number of calls in flight. */
  get inFlight(): number {
    return this.#calls.size;
  }

  /** The time at which the oldest call in flight began; `undefined` if there is none. */
  get oldestSince(): number | undefined {
    for (const { since } of this.#calls) return since;
    return undefined;
  }

  /** Notes that a call begins. Returns what {@linkcode end} takes. */
  begin(now: number): TargetCall {
    const call = { since: now };
    this.#calls.add(call);
    return call;
  }

  /**
   * Notes that a call has ended. Does nothing if that is known.
   *
   * @param failed True if the target did not respond as it should: its time does not count as a response.
   */
  end(call: TargetCall, now: number, failed = false): void {
    if (!this.#calls.delete(call)) return;
    const measuredMs = Math.max(0, now - call.since);
    this.#note(failed ? Math.max(measuredMs, FAILURE_MS) : measuredMs, now);
  }

  /**
   * Notes that a call has ended before the target had responded: its caller has aborted it, for example. Its response would
   * have taken at least that long, so that its time counts only where it is more than the latency.
   */
  abort(call: TargetCall, now: number): void {
    if (!this.#calls.delete(call)) return;
    const measuredMs = now - call.since;
    if (measuredMs > this.latencyMs(now)) this.#note(measuredMs, now);
  }

  /** Notes that a call has ended, and that its time says nothing: the target was away. */
  drop(call: TargetCall): void {
    this.#calls.delete(call);
  }

  /** Returns the latency as of now, in ms. It decays, so that a target that was slow is tried again. */
  latencyMs(now: number): number {
    return this.#latencyMs * this.#weight(now);
  }

  /** Returns the cost of one more call. */
  cost(now: number): number {
    const { oldestSince = now } = this;
    return Math.max(FLOOR_MS, this.latencyMs(now), now - oldestSince) * (this.#calls.size + 1);
  }

  #note(sample: number, now: number): void {
    const weight = this.#weight(now);
    const current = this.#latencyMs * weight;
    this.#latencyMs = sample > current ? sample : current + sample * (1 - weight);
    this.#measuredAt = now;
  }

  #weight(now: number): number {
    return Math.exp(-Math.max(0, now - this.#measuredAt) / DECAY_MS);
  }
}

/** A target with a load. */
export interface LoadedTarget {
  readonly load: TargetLoad;
}

/**
 * Chooses a target: of two drawn at random, the one with the lower cost.
 *
 * @param targets The targets that may be chosen.
 * @param random Yields numbers in `[0, 1)`.
 * @returns `undefined` if there is none.
 */
export function chooseTarget<T extends LoadedTarget>(
  targets: readonly T[],
  now: number,
  random: () => number,
): T | undefined {
  const count = targets.length;
  if (count < 2) return targets[0];
  const first = Math.floor(random() * count);
  const second = (first + 1 + Math.floor(random() * (count - 1))) % count;
  const [one, other] = [targets[first], targets[second]];
  return one && other && other.load.cost(now) < one.load.cost(now) ? other : one;
}
