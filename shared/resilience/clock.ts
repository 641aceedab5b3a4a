/**
 * Time as the rest of `shared/` sees it: one instant, one timer. Everything
 * that waits takes a {@linkcode Clock}, so that a test can hold time still.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";

/** A pending timer, of whichever kind the runtime makes. */
export interface Timer {
  /** Drops the timer. Calling it twice, or after it fired, does nothing. */
  cancel(): void;
}

/** Options of {@linkcode Clock.setTimer}. */
export interface TimerOptions {
  /** Whether the timer keeps the process alive. Default: `false`. */
  readonly keepAlive?: boolean;
}

/** A source of time. */
export interface Clock {
  /** Milliseconds since an arbitrary origin; never goes back. */
  now(): number;
  /**
   * Calls `callback` once, `delayMs` milliseconds from now. The timer keeps no
   * isolate alive unless asked to: hosted isolates are retired when idle, and a
   * pool must not be the reason that one is not.
   */
  setTimer(callback: () => void, delayMs: number, options?: TimerOptions): Timer;
}

/** The longest delay a timer holds (a signed 32-bit number of ms); longer ones fire at once. */
export const MAX_TIMER_MS = 2_147_483_647;

/**
 * Runs a function outside of every async context. A timer here serves many requests: in the context of the one that
 * happened to need it first, it would keep all that belongs to that one, and others' work would pass for its own.
 */
const inNoContext = AsyncLocalStorage.snapshot();

function unref(id: unknown): void {
  if (typeof id === "object" && id !== null && "unref" in id && typeof id.unref === "function") id.unref();
  else if (typeof id === "number" && typeof Deno !== "undefined") Deno.unrefTimer(id);
}

/**
 * The isolate's own time.
 *
 * Instants come from `Date.now()`, which goes on while an isolate is frozen
 * and costs half of `performance.now()`. When the wall clock is set back, the
 * difference is taken up into an offset: time here only moves forward.
 */
export function createSystemClock(): Clock {
  // Small whole numbers: an engine keeps them in place, where an instant of the calendar takes an object of its own.
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
      const id = inNoContext(setTimeout, callback, Math.min(Math.max(delayMs, 0), MAX_TIMER_MS));
      if (!keepAlive) unref(id);
      return { cancel: () => clearTimeout(id) };
    },
  };
}

/** The {@linkcode Clock} used wherever none is given. */
export const systemClock: Clock = createSystemClock();
