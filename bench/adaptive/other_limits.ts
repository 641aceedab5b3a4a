/**
 * The algorithms that the limit was chosen over, with the defaults of their origins, for the comparison in
 * docs/adaptive-limit.md.
 *
 * @module
 */
import type { Limiter } from "./simulation.ts";

interface Started {
  readonly at: number;
  readonly inFlight: number;
}

/** A limit that changes with each sample. */
abstract class SampledLimit implements Limiter {
  protected estimate = 20;

  get limit(): number {
    return Math.max(1, Math.min(200, Math.floor(this.estimate)));
  }

  begin(now: number, inFlight: number): Started {
    return { at: now, inFlight };
  }

  end(call: Started, now: number, outcome: "ok" | "overload"): void {
    const next = this.next(now - call.at, call.inFlight, outcome === "overload", now);
    this.estimate = Math.max(1, Math.min(200, next));
  }

  /** Returns the limit after a call of `rttMs`. */
  protected abstract next(rttMs: number, inFlight: number, isDropped: boolean, now: number): number;
}

/** Additive increase, multiplicative decrease (0.9) on overload, and on calls of 5 s. */
export class AimdLimit extends SampledLimit {
  protected next(rttMs: number, inFlight: number, isDropped: boolean): number {
    if (isDropped || rttMs > 5_000) return this.estimate * 0.9;
    return inFlight * 2 >= this.estimate ? this.estimate + 1 : this.estimate;
  }
}

/** Vegas: the queue is estimated from the lowest latency, which is measured again every 30 limits of calls. */
export class VegasLimit extends SampledLimit {
  #lowestMs = Infinity;
  #calls = 0;

  protected next(rttMs: number, inFlight: number, isDropped: boolean): number {
    const limit = this.estimate;
    if (++this.#calls >= 30 * limit) {
      this.#calls = 0;
      this.#lowestMs = rttMs;
      return limit;
    }
    if (rttMs < this.#lowestMs) {
      this.#lowestMs = rttMs;
      return limit;
    }
    const log = Math.max(1, Math.log10(limit));
    if (isDropped) return limit - log;
    if (inFlight * 2 < limit) return limit;
    const queue = Math.ceil(limit * (1 - this.#lowestMs / rttMs));
    if (queue <= log) return limit + 6 * log;
    if (queue < 3 * log) return limit + log;
    return queue > 6 * log ? limit - log : limit;
  }
}

/** Gradient2: the ratio of a long mean of latency to the last one, with a tolerance of 1.5 and a queue of 4. */
export class Gradient2Limit extends SampledLimit {
  #longMs = NaN;
  #calls = 0;

  protected next(rttMs: number, inFlight: number): number {
    const factor = this.#calls++ < 10 ? 1 / this.#calls : 2 / 601;
    this.#longMs = this.#calls === 1 ? rttMs : this.#longMs + (rttMs - this.#longMs) * factor;
    if (this.#longMs / rttMs > 2) this.#longMs *= 0.95;
    if (inFlight < this.estimate / 2) return this.estimate;
    const gradient = Math.max(0.5, Math.min(1, 1.5 * this.#longMs / rttMs));
    return Math.max(20, this.estimate * 0.8 + (this.estimate * gradient + 4) * 0.2);
  }
}

/**
 * Envoy's gradient controller: every 60 s the limit is 3 for 50 calls, whose mean is the lowest latency; each 100 ms
 * the median decides, with a buffer of 25 % and a headroom of the square root.
 */
export class EnvoyLimit extends SampledLimit {
  #lowestMs = NaN;
  #measured: number[] | undefined = [];
  #samples: number[] = [];
  #windowAt = 0;
  #measureAt = 60_000;
  #before = 20;

  override get limit(): number {
    return this.#measured ? 3 : super.limit;
  }

  protected next(rttMs: number, _inFlight: number, _isDropped: boolean, now: number): number {
    if (this.#measured) {
      this.#measured.push(rttMs);
      if (this.#measured.length < 50) return this.estimate;
      this.#lowestMs = this.#measured.reduce((sum, ms) => sum + ms, 0) / this.#measured.length;
      this.#measured = undefined;
      this.#measureAt = now + 60_000;
      this.#windowAt = now;
      this.#samples = [];
      return this.#before;
    }
    if (now >= this.#measureAt) {
      this.#before = this.estimate;
      this.#measured = [];
      return this.estimate;
    }
    this.#samples.push(rttMs);
    if (now - this.#windowAt < 100 || this.#samples.length < 5) return this.estimate;
    const median = this.#samples.sort((a, b) => a - b)[this.#samples.length >> 1] ?? rttMs;
    this.#samples = [];
    this.#windowAt = now;
    const gradient = Math.max(0.5, Math.min(2, this.#lowestMs * 1.25 / median));
    const next = this.estimate * gradient;
    return next + Math.sqrt(next);
  }
}
