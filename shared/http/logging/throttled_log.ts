/**
 * The log of failed requests.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import { type Clock, codeOf, systemClock } from "../../resilience/mod.ts";
import { type LogEntry, logError, type LogSink } from "./log.ts";

/** Minimum interval between two lines with the same event and code, in ms. */
const THROTTLE_MS = 1_000;

/** Maximum number of events and codes that are tracked: a database may make up codes of its own. */
const MAX_TRACKED = 100;

/** The time of the last line, and the number of failures suppressed since. */
interface LastLogged {
  readonly atMs: number;
  suppressed: number;
}

/**
 * Logs failures. Those that come in floods are logged once per second and code;
 * `count` of a line is the number of failures that it stands for, including
 * those suppressed since the line before.
 */
export class ThrottledLog {
  readonly #sink: LogSink;
  readonly #clock: Clock;
  /** By event and code. */
  readonly #lastLogged = new Map<string, LastLogged>();
  #setupFailure: { readonly error: unknown } | undefined = undefined;

  /** @param clock Default: the isolate's own time. */
  constructor(sink: LogSink, clock: Clock = systemClock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /** Logs a failure. */
  log(event: string, error: unknown, entry?: LogEntry): void {
    logError(event, error, this.#sink, entry);
  }

  /**
   * Logs a request that failed with `status`. A status below 500 is the caller's error and is not logged. A pool
   * under load or shutting down, and a project that is down or slow, are throttled.
   */
  logResponse(status: number, error: unknown, secrets: Iterable<string> = []): void {
    if (status < 500) return;
    const rejected = status === 503 && error instanceof PoolError;
    if (rejected) this.logThrottled("request_refused", error, { level: "warn", secrets });
    else if (isOutage(status, error)) this.logThrottled("request_failed", error, { secrets });
    else this.log("request_failed", error, { secrets });
  }

  /** Logs why no request can be served: each error once, however many requests meet it. */
  logSetupFailure(error: unknown): void {
    if (this.#setupFailure && this.#setupFailure.error === error) return;
    this.#setupFailure = { error };
    this.logThrottled("request_failed", error);
  }

  /** Logs the first of many failures with the same event and code. */
  logThrottled(event: string, error: unknown, entry: LogEntry = {}): void {
    const atMs = this.#clock.now();
    const key = `${event} ${codeOf(error) ?? ""}`;
    const last = this.#lastLogged.get(key);
    if (last !== undefined && atMs - last.atMs < THROTTLE_MS) {
      last.suppressed++;
      return;
    }
    if (last === undefined && this.#lastLogged.size >= MAX_TRACKED) this.#lastLogged.clear();
    this.#lastLogged.set(key, { atMs, suppressed: 0 });
    this.log(event, error, { ...entry, count: 1 + (last?.suppressed ?? 0) });
  }
}

/** Returns whether the project is down or slow: every request then fails alike. */
function isOutage(status: number, error: unknown): boolean {
  return status === 503 || status === 504 || (status === 502 && ["", "UPSTREAM_FAILED"].includes(codeOf(error) ?? ""));
}
