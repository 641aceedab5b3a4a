/**
 * The log of failed requests.
 *
 * @module
 */
import {
  correlationIdOf,
  type LogData,
  type LogLevel,
  type LogSink,
  StructuredLog,
} from "../../observability/log/mod.ts";
import { type Clock, codeOf, systemClock } from "../../resilience/mod.ts";
import { poolErrorBehind } from "../../services/mod.ts";

/** Lines in a second about failures that come in floods: each says the same. */
const FLOOD_LINES = 1;
/** Lines in a second about other failures with one event and code: any caller may be able to repeat one. */
const FAILURE_LINES = 5;

/** More about a failure. */
export interface FailureEntry {
  /** Default: `error`. */
  readonly level?: LogLevel;
  /** Values to remove, besides texts that look like credentials. Default: none. */
  readonly secrets?: Iterable<string>;
  /** The request that failed. Default: the line belongs to none. */
  readonly request?: Request | undefined;
}

/**
 * Logs failures. Those that come in floods are logged once per second and code, others at most five times; `count` of a
 * line is the number of failures that it stands for, including those suppressed since the line before.
 */
export class ThrottledLog {
  readonly #sink: LogSink;
  readonly #clock: Clock;
  #log: StructuredLog;
  #setupFailure: { readonly error: unknown } | undefined = undefined;

  /** @param clock Default: the isolate's own time. */
  constructor(sink: LogSink, clock: Clock = systemClock) {
    this.#sink = sink;
    this.#clock = clock;
    this.#log = new StructuredLog({ sink, clock });
  }

  /** Writes lines of `level` and more severe ones from now on, and returns the log behind this one. */
  setLevel(level: LogLevel): StructuredLog {
    return this.#log = new StructuredLog({ sink: this.#sink, clock: this.#clock, level });
  }

  /** Logs a failure. */
  log(event: string, error: unknown, entry?: FailureEntry): void {
    this.#write(event, error, FAILURE_LINES, entry);
  }

  /**
   * Logs a request that failed with `status`. A status below 500 is the caller's error and is not logged.
   *
   * @returns Whether the failure is one to log; it may stand for others.
   */
  logResponse(status: number, error: unknown, entry: FailureEntry = {}): boolean {
    if (status < 500) return false;
    const rejection = status === 503 ? poolErrorBehind(error) : undefined;
    if (rejection) this.logThrottled("request_refused", rejection, { ...entry, level: "warn" });
    else if (isOutage(status, error)) this.logThrottled("request_failed", error, entry);
    else this.log("request_failed", error, entry);
    return true;
  }

  /** Logs an event that is not a failure. */
  logEvent(level: LogLevel, event: string, data: LogData): void {
    this.#log.write(level, event, { data });
  }

  /** Logs why no request can be served: each error once, however many requests meet it. */
  logSetupFailure(error: unknown, entry?: FailureEntry): void {
    if (this.#setupFailure && this.#setupFailure.error === error) return;
    this.#setupFailure = { error };
    this.logThrottled("request_failed", error, entry);
  }

  /** Logs the first of many failures with the same event and code. */
  logThrottled(event: string, error: unknown, entry?: FailureEntry): void {
    this.#write(event, error, FLOOD_LINES, entry);
  }

  #write(event: string, error: unknown, perSecond: number, entry: FailureEntry = {}): void {
    const { level = "error", secrets, request } = entry;
    const correlationId = request && (() => correlationIdOf(request));
    this.#log.write(level, event, { error, secrets, correlationId, perSecond });
  }
}

/** Returns whether the project is down or slow: every request then fails alike. */
function isOutage(status: number, error: unknown): boolean {
  return status === 503 || status === 504 || (status === 502 && ["", "UPSTREAM_FAILED"].includes(codeOf(error) ?? ""));
}
