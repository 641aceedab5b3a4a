/**
 * `delay` of `jsr:@std/async`.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";

/** Options for {@linkcode delay}. */
export interface DelayOptions {
  /** Rejects the delay with its reason when it aborts. */
  signal?: AbortSignal;
  /** Keeps the process alive while waiting. Default: `true`. */
  persistent?: boolean;
}

/** The longest delay of one timer, in ms. */
const MAX_TIMER_MS = 2_147_483_647;

/**
 * Resolves after `ms` milliseconds.
 *
 * @throws {unknown} The reason of `options.signal`, if it aborts first.
 */
export async function delay(ms: number, options: DelayOptions = {}): Promise<void> {
  const { signal, persistent = true } = options;
  signal?.throwIfAborted();
  try {
    for (let restMs = ms; restMs > 0 || restMs === ms; restMs -= MAX_TIMER_MS) {
      await sleep(Math.min(restMs, MAX_TIMER_MS), undefined, { ref: persistent, ...(signal ? { signal } : {}) });
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}
