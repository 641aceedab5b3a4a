/**
 * Calls whose latencies are compared together.
 *
 * @module
 */

/** Calls that began one after another. All of them count, the slow ones too, which end last. */
export class Cohort {
  /** The number of calls that complete it. */
  readonly size: number;
  #started = 0;
  #ended = 0;
  #lastStartAt = 0;
  #mean = 0;
  #squares = 0;
  /** The sum of the instants at which those under way began, and of the latencies of those that ended, as they were. */
  #starts = 0;
  #latencies = 0;

  constructor(size: number) {
    this.size = size;
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

  /** Notes that a call begins. */
  begin(now: number): void {
    this.#started++;
    this.#lastStartAt = now;
    this.#starts += now;
  }

  /** Takes a call out that began at `at` and says nothing. */
  drop(at: number): void {
    this.#started--;
    this.#starts -= at;
  }

  /**
   * Notes that a call has ended.
   *
   * @param at The instant at which it began, in ms.
   * @param latency The logarithm of its latency in ms.
   * @param value The logarithm that counts: no call counts as an extreme.
   */
  end(at: number, latency: number, value: number): void {
    this.#starts -= at;
    this.#latencies += latency;
    this.#add(value);
  }

  /** Completes it: those that have not ended count as `value`. */
  complete(value: number): void {
    while (!this.isComplete) this.#add(value);
  }

  /** Returns the mean of latencies as they were: those under way count with the time they have taken until `now`. */
  rawMean(now: number): number {
    const underWay = this.#started - this.#ended;
    if (underWay <= 0) return this.#latencies / this.#ended;
    const elapsed = Math.log(Math.max(0.01, now - this.#starts / underWay));
    return (this.#latencies + underWay * elapsed) / this.#started;
  }

  #add(value: number): void {
    this.#ended++;
    const delta = value - this.#mean;
    this.#mean += delta / this.#ended;
    this.#squares += delta * (value - this.#mean);
  }
}
