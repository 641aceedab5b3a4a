/**
 * Calls whose latencies are compared together.
 *
 * @module
 */

/** The mean logarithm of the latencies of several calls, and its standard error. */
export interface LatencyLevel {
  readonly mean: number;
  readonly error: number;
}

/** Returns the mean of two levels where noise explains their difference, otherwise the second. */
export function combined(first: LatencyLevel, second: LatencyLevel): LatencyLevel {
  const variance = first.error ** 2 + second.error ** 2;
  if ((second.mean - first.mean) ** 2 > 4 * variance) return second;
  const weight = first.error ** 2 / variance;
  return { mean: first.mean + (second.mean - first.mean) * weight, error: second.error * Math.sqrt(weight) };
}

/** Calls that began one after another. All of them count, the slow ones too, which end last. */
export class Cohort {
  /** The number of calls that complete it. */
  readonly size: number;
  readonly #usual: number;
  #skipped: number;
  #started = 0;
  #ended = 0;
  #fast = 0;
  #lastStartAt = 0;
  #mean = 0;
  #squares = 0;

  /**
   * @param size The number of calls that complete it.
   * @param skipped The number of calls before its first. Default: 0.
   * @param usual The highest value of a call that is as fast as usual. Default: none is.
   */
  constructor(size: number, skipped = 0, usual = -Infinity) {
    this.size = size;
    this.#skipped = skipped;
    this.#usual = usual;
  }

  /** True once all its calls have begun. */
  get isFull(): boolean {
    return this.#started >= this.size;
  }

  /** True once all its calls have ended. */
  get isComplete(): boolean {
    return this.#ended >= this.size;
  }

  /** The number of calls that have ended. */
  get ended(): number {
    return this.#ended;
  }

  /** The share of the calls that have ended that were as fast as usual. */
  get fastShare(): number {
    return this.#fast / this.#ended;
  }

  /** The instant at which the last call began, in ms. */
  get lastStartAt(): number {
    return this.#lastStartAt;
  }

  /** The mean of the values. */
  get mean(): number {
    return this.#mean;
  }

  /** The variance of the values. Never 0. */
  get variance(): number {
    return this.#ended > 1 ? Math.max(1e-8, this.#squares / (this.#ended - 1)) : 1e-8;
  }

  /** The mean of the values, and its standard error. */
  get level(): LatencyLevel {
    return { mean: this.#mean, error: Math.sqrt(this.variance / this.#ended) };
  }

  /**
   * Returns by how much its mean differs from a level, 0 where noise explains it.
   *
   * @param variance The variance of single calls as it has been; that of its own may be too low by chance.
   */
  changeFrom({ mean, error }: LatencyLevel, variance: number): number {
    const noise = Math.sqrt(Math.max(variance, this.variance) / this.#ended + error ** 2);
    const change = this.#mean - mean;
    return Math.abs(change) > Math.max(0.1, 4 * noise) ? change : 0;
  }

  /** Notes that a call begins. Returns whether the call belongs to it. */
  begin(now: number): boolean {
    if (this.isFull || this.#skipped-- > 0) return false;
    this.#started++;
    this.#lastStartAt = now;
    return true;
  }

  /** Takes a call out that says nothing. */
  drop(): void {
    this.#started--;
  }

  /**
   * Notes that a call has ended.
   *
   * @param value The logarithm of its latency in ms.
   */
  end(value: number): void {
    this.#ended++;
    if (value <= this.#usual) this.#fast++;
    const delta = value - this.#mean;
    this.#mean += delta / this.#ended;
    this.#squares += delta * (value - this.#mean);
  }

  /** Completes it: those that have not ended count as `value`. */
  complete(value: number): void {
    while (!this.isComplete) this.end(value);
  }
}
