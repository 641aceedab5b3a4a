/**
 * Which failed requests the log tells of.
 *
 * @module
 */
import { PoolError } from "../pool/mod.ts";
import { type Clock, systemClock } from "../resilience/mod.ts";
import { type LogEntry, logError, type LogSink } from "./log.ts";

/** So long the log keeps silent about a code, in ms, once it has told of it. */
export const QUIET_MS = 1_000;

/** When a code was last told of, and how often it came since. */
interface Told {
  atMs: number;
  unheard: number;
}

/**
 * Writes a line for each failure. What comes in floods is told of at most once
 * in {@linkcode QUIET_MS} per code; `count` of a line is how many it stands
 * for, those since the line before included.
 */
export class FailureLog {
  readonly #sink: LogSink;
  readonly #clock: Clock;
  readonly #told = new Map<string, Told>();

  /** @param clock Default: the isolate's own time. */
  constructor(sink: LogSink, clock: Clock = systemClock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /** Writes a line, whatever came before it. */
  write(event: string, error: unknown, entry?: LogEntry): void {
    logError(event, error, this.#sink, entry);
  }

  /**
   * Tells of a request that was answered `status`: nothing below 500, which is
   * the caller's own doing. A pool under load or shutting down (503) says so
   * once for many.
   */
  answered(status: number, error: unknown, secrets: Iterable<string> = []): void {
    if (status < 500) return;
    if (status === 503 && error instanceof PoolError) {
      this.seldom("request_refused", error, { level: "warn", secrets });
    } else this.write("request_failed", error, { secrets });
  }

  /** Writes a line for the first of many errors with the same code. */
  seldom(event: string, error: Error & { readonly code: string }, entry: LogEntry = {}): void {
    const nowMs = this.#clock.now();
    const told = this.#told.get(error.code);
    if (told !== undefined && nowMs - told.atMs < QUIET_MS) {
      told.unheard++;
      return;
    }
    this.#told.set(error.code, { atMs: nowMs, unheard: 0 });
    this.write(event, error, { ...entry, count: 1 + (told?.unheard ?? 0) });
  }
}
