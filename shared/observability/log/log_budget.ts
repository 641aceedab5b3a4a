/**
 * The limits of a log: the number of lines that one cause, and all of them together, may write.
 *
 * @module
 */
import type { Clock } from "../../resilience/mod.ts";

/** Maximum number of keys that are tracked: a caller may cause ever new ones. */
const MAX_TRACKED = 100;
/** The window of {@linkcode LogBudget.take}, in ms. */
const WINDOW_MS = 1_000;

/** The lines with one key. */
interface Track {
  /** The beginning of its window. */
  fromMs: number;
  lines: number;
  suppressed: number;
}

/** Limits the lines with one key to a number per second, and counts those that are suppressed. */
export class LogThrottle {
  readonly #clock: Clock;
  readonly #tracks = new Map<string, Track>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Returns the number of occurrences that a line with `key` stands for: 1, and those suppressed since the line before.
   * 0 if it is suppressed itself.
   *
   * @param perSecond The number of lines in a second.
   */
  take(key: string, perSecond: number): number {
    const nowMs = this.#clock.now();
    const track = this.#tracks.get(key);
    if (track === undefined) {
      if (this.#tracks.size >= MAX_TRACKED) this.#tracks.clear();
      this.#tracks.set(key, { fromMs: nowMs, lines: 1, suppressed: 0 });
      return 1;
    }
    if (nowMs - track.fromMs >= WINDOW_MS) {
      track.fromMs = nowMs;
      track.lines = 0;
    }
    if (track.lines >= perSecond) {
      track.suppressed++;
      return 0;
    }
    track.lines++;
    const count = 1 + track.suppressed;
    track.suppressed = 0;
    return count;
  }

  /** Notes that the line that {@linkcode take} allowed was not written: the next one stands for its `count`, too. */
  suppress(key: string, count: number): void {
    const track = this.#tracks.get(key);
    if (track) track.suppressed += count;
  }
}

/** The time in which the hosted platform takes {@linkcode MAX_LINES} lines of a function, in ms. */
const LIMIT_MS = 10_000;
/** Lines beyond these are lost on the hosted platform, whichever they are. Source: Supabase, "Edge Functions: Logging". */
const MAX_LINES = 100;

/** Lines of all keys: never more than {@linkcode MAX_LINES} within {@linkcode LIMIT_MS}. */
export class LogBudget {
  readonly #clock: Clock;
  /** A bucket that holds half of the lines and gets the other half back within the time: so no interval has more. */
  #lines = MAX_LINES / 2;
  #atMs: number;
  #suppressed = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#atMs = clock.now();
  }

  /** Takes one line. Returns `undefined` if none is left, else the number of those suppressed since the last. */
  take(): number | undefined {
    if (this.suppress()) return undefined;
    const suppressed = this.#suppressed;
    this.#lines -= suppressed > 0 ? 2 : 1;
    this.#suppressed = 0;
    return suppressed;
  }

  /** Counts one line as suppressed if none is left. Returns whether it did. */
  suppress(): boolean {
    const nowMs = this.#clock.now();
    const refilled = (nowMs - this.#atMs) * (MAX_LINES / 2) / LIMIT_MS;
    this.#lines = Math.min(this.#lines + refilled, MAX_LINES / 2);
    this.#atMs = nowMs;
    // The line that counts the suppressed ones is a line, too.
    if (this.#lines >= (this.#suppressed > 0 ? 2 : 1)) return false;
    this.#suppressed++;
    return true;
  }
}
