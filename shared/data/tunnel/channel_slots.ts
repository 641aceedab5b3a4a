/**
 * The limit of channels that are open at once.
 *
 * @module
 */
import type { Clock } from "../../resilience/mod.ts";
import { TunnelChannelLimitError } from "./errors.ts";

/** The channels beyond the limit that requests to cancel a statement may use: they last a moment. */
const RESERVE = 2;

/** Options of {@linkcode ChannelSlots.take}. */
export interface TakeOptions {
  /** The longest wait for a channel that is free, in ms. */
  readonly waitMs: number;
  /** True for what may use the reserve. */
  readonly isUrgent: boolean;
  /** Ends the wait. */
  readonly signal: AbortSignal | undefined;
}

/** One that waits for a channel. */
interface Waiter {
  readonly admit: () => void;
}

/** Counts channels, and lets callers wait for one in the order in which they came. */
export class ChannelSlots {
  readonly #limit: number;
  readonly #clock: Clock;
  readonly #waiters = new Set<Waiter>();
  #used = 0;

  constructor(limit: number, clock: Clock) {
    this.#limit = limit;
    this.#clock = clock;
  }

  /** The channels that are open or opening. */
  get used(): number {
    return this.#used;
  }

  /** The callers that wait for a channel. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /**
   * Takes a channel. Call the result once to release it.
   *
   * @throws {TunnelChannelLimitError} when none becomes free in time.
   */
  async take({ waitMs, isUrgent, signal }: TakeOptions): Promise<() => void> {
    signal?.throwIfAborted();
    const hasRoom = this.#used < this.#limit + (isUrgent ? RESERVE : 0) && (isUrgent || this.#waiters.size === 0);
    if (hasRoom) this.#used++;
    else if (waitMs > 0) await this.#wait(waitMs, signal);
    else throw new TunnelChannelLimitError(this.#limit);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#release();
    };
  }

  #release(): void {
    this.#used--;
    if (this.#used >= this.#limit) return;
    const [next] = this.#waiters;
    next?.admit();
  }

  async #wait(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = {
      admit: () => {
        this.#used++;
        this.#waiters.delete(waiter);
        resolve();
      },
    };
    // From then on it cannot be admitted.
    const leave = (reason: unknown) => {
      this.#waiters.delete(waiter);
      reject(reason);
    };
    const onAbort = () => leave(signal?.reason);
    this.#waiters.add(waiter);
    signal?.addEventListener("abort", onAbort, { once: true });
    const timer = this.#clock.setTimer(() => leave(new TunnelChannelLimitError(this.#limit)), waitMs);
    try {
      await promise;
    } finally {
      timer.cancel();
      signal?.removeEventListener("abort", onAbort);
    }
  }
}
