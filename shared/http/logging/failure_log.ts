/**
 * Which failed requests the log tells of.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import { type Clock, systemClock } from "../../resilience/mod.ts";
import { type LogEntry, logError, type LogSink } from "./log.ts";

/** So long the log keeps silent about a code, in ms, once it has told of it. */
export const QUIET_MS = 1_000;

/** Of so many kinds of failure it is known when they were told of last. A database may make up codes of its own. */
const MAX_KINDS = 100;

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
  /** By event and code. */
  readonly #told = new Map<string, Told>();
  #keepsAll: { readonly error: unknown } | undefined = undefined;

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
   * the caller's own doing. A pool under load or shutting down, and a project
   * that is down or slow, say so once for many.
   */
  answered(status: number, error: unknown, secrets: Iterable<string> = []): void {
    if (status < 500) return;
    const refused = status === 503 && error instanceof PoolError;
    if (refused) this.seldom("request_refused", error, { level: "warn", secrets });
    else if (isOfTheMoment(status, error)) this.seldom("request_failed", error, { secrets });
    else this.write("request_failed", error, { secrets });
  }

  /** Tells of what keeps every request from being served: of one error once, whoever meets it again. */
  notReady(error: unknown): void {
    if (this.#keepsAll && this.#keepsAll.error === error) return;
    this.#keepsAll = { error };
    this.seldom("request_failed", error);
  }

  /** Writes a line for the first of many errors with the same code. */
  seldom(event: string, error: unknown, entry: LogEntry = {}): void {
    const nowMs = this.#clock.now();
    const kind = `${event} ${codeOf(error)}`;
    const told = this.#told.get(kind);
    if (told !== undefined && nowMs - told.atMs < QUIET_MS) {
      told.unheard++;
      return;
    }
    if (told === undefined && this.#told.size >= MAX_KINDS) this.#told.clear();
    this.#told.set(kind, { atMs: nowMs, unheard: 0 });
    this.write(event, error, { ...entry, count: 1 + (told?.unheard ?? 0) });
  }
}

function codeOf(error: unknown): string {
  try {
    const code: unknown = typeof error === "object" && error !== null ? Reflect.get(error, "code") : undefined;
    return typeof code === "string" ? code : "";
  } catch {
    return ""; // what can be thrown can be anything
  }
}

/** Whether it is the project that is down or slow: then every request says the same. */
function isOfTheMoment(status: number, error: unknown): boolean {
  return status === 503 || status === 504 || (status === 502 && ["", "UPSTREAM_FAILED"].includes(codeOf(error)));
}
