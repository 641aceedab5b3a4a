/**
 * Time: the current instant and timers. Everything that waits takes a
 * {@linkcode Clock}, so that tests can control time.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";

/** A pending timer. */
export interface Timer {
  /** Cancels the timer. Does nothing if it has fired or been cancelled. */
  cancel(): void;
}

/** Options for {@linkcode Clock.setTimer}. */
export interface TimerOptions {
  /** True if the timer keeps the process alive. Default: `false`. */
  readonly keepAlive?: boolean;
}

/** A source of time. */
export interface Clock {
  /** Returns the time since an arbitrary origin, in ms. It never decreases. */
  now(): number;
  /**
   * Calls `callback` once, `delayMs` milliseconds from now. By default the timer
   * does not keep the isolate alive: hosted isolates are retired when idle, and a
   * pool must not prevent that.
   */
  setTimer(callback: () => void, delayMs: number, options?: TimerOptions): Timer;
}

/** The longest delay of a timer, in ms (a signed 32-bit number); longer ones would fire at once. */
export const MAX_TIMER_MS = 2_147_483_647;

/**
 * Calls a function outside of every async context, if this module was loaded outside of any. A timer serves many
 * requests: in the context of the request that set it, it would retain that request, and work for other requests would
 * run in its context.
 */
export const withoutContext: <A extends unknown[], R>(call: (...args: A) => R, ...args: A) => R = AsyncLocalStorage
  .snapshot();

function unref(id: unknown): void {
  if (typeof id === "object" && id !== null && "unref" in id && typeof id.unref === "function") id.unref();
  else if (typeof id === "number" && typeof Deno !== "undefined") Deno.unrefTimer(id);
}

/**
 * Creates a clock of the isolate's own time.
 *
 * It reads `Date.now()`, which advances while an isolate is frozen and costs half
 * of `performance.now()`. When the wall clock is set back, an offset absorbs the
 * difference, so that this clock never goes back.
 */
export function createSystemClock(): Clock {
  // Small integers are stored inline by the engine; an instant since 1970 would need an object.
  let offset = -Date.now();
  let latest = 0;
  return {
    now(): number {
      let now = Date.now() + offset;
      if (now < latest) {
        offset += latest - now;
        now = latest;
      }
      latest = now;
      return now;
    },
    setTimer(callback: () => void, delayMs: number, { keepAlive = false }: TimerOptions = {}): Timer {
      const id = withoutContext(setTimeout, callback, Math.min(Math.max(delayMs, 0), MAX_TIMER_MS));
      if (!keepAlive) unref(id);
      return { cancel: () => clearTimeout(id) };
    },
  };
}

/** The default {@linkcode Clock}. */
export const systemClock: Clock = createSystemClock();
