/**
 * The memory of an adaptive limit.
 *
 * @module
 */
import type { LatencyLevel } from "./cohort.ts";

const HALF_LIFE_MS = 300_000;

/** Several limits on one target push each other up, each seeing a part of the effect: at this latency they stop. */
const BRAKE_FULL_AT = Math.log(6);

/** The lowest latency and the highest limit of the last minutes. Both expire. */
export class LimitMemory {
  #floor = Infinity;
  #peak = 0;
  #agedAt: number | undefined = undefined;

  /** The highest limit at which another one was no better. */
  get peak(): number {
    return this.#peak;
  }

  /** Returns whether a limit is one that has held of late, or none has. */
  mayHold(limit: number): boolean {
    return this.#peak === 0 || limit <= this.#peak;
  }

  /** Returns the brake at a latency, given as its logarithm: 0 at the lowest latency, 1 at 6 times as much. */
  brake(latency: number): number {
    return Math.max(0, latency - this.#floor) / BRAKE_FULL_AT;
  }

  /** Notes the latency of calls. */
  note({ mean, error }: LatencyLevel): void {
    this.#floor = Math.min(this.#floor, mean + error);
  }

  /** Raises the lowest latency by a share of its distance from `latency`, the logarithm of one that no limit changes. */
  raise(latency: number, share: number): void {
    if (latency > this.#floor) this.#floor += (latency - this.#floor) * share;
  }

  /** Notes a limit that holds and its latency, and has what was before expire. */
  age(limit: number, level: LatencyLevel, now: number): void {
    const kept = 0.5 ** ((now - (this.#agedAt ?? now)) / HALF_LIFE_MS);
    this.#agedAt = now;
    this.note(level);
    this.#floor += (level.mean - this.#floor) * (1 - kept);
    this.#peak = Math.max(limit, this.#peak * kept);
  }
}
