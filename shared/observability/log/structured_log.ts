/**
 * The log: one JSON object a line, bounded in length and in number.
 *
 * @module
 */
import { type Clock, codeOf, observe, systemClock, textOf } from "../../resilience/mod.ts";
import { describeError, type ErrorDescription } from "./describe_error.ts";
import { LogBudget, LogThrottle } from "./log_budget.ts";
import { plainData } from "./plain_data.ts";
import { cut, printableJson } from "./redact.ts";

/** Writes one line of the log. What it throws or rejects with is ignored. */
export type LogSink = (line: string) => void;

/** The levels, the least severe first. */
export type LogLevel = "debug" | "info" | "warn" | "error";

const SEVERITY: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** The event of a line: those of the specification, those of this library, and any other stable words joined by `_`. */
export type LogEvent =
  | "connection_acquired"
  | "connection_released"
  | "health_check"
  | "connection_error"
  | "request_failed"
  | "request_refused"
  | "background_work_failed"
  | "response_body_failed"
  | "unhandled_rejection"
  | "call_refused"
  | "lease_forgotten"
  | "log_suppressed"
  | "log_failed"
  | (string & Record<never, never>);

/** The data of a line. */
export interface LogData extends Partial<ErrorDescription> {
  /** The connection that the line is about. */
  readonly connectionId?: string;
  /** The number of connections of the pool. */
  readonly poolSize?: number;
  /** The message of an error. */
  readonly error?: string;
  /** The number of occurrences that the line stands for: those that were suppressed since the line before count. */
  readonly count?: number;
  /** More data. Nested values are cut, and members with names such as `password` are hidden. */
  readonly [member: string]: unknown;
}

/** One line of the log, parsed. */
export interface LogFormat {
  /** The wall clock, as ISO 8601 in UTC. */
  readonly timestamp: string;
  /** The request that the line belongs to, by {@linkcode correlationIdOf}; else the log itself. */
  readonly correlationId: string;
  readonly level: LogLevel;
  readonly event: LogEvent;
  readonly data?: LogData;
}

/** The contents of a line besides its level and event. */
export interface LogEntry {
  /** The correlation id; a function is called only if the line is written. Default: one of the log. */
  readonly correlationId?: string | (() => string) | undefined;
  /** Default: none. */
  readonly data?: LogData | undefined;
  /** A thrown value; `data` gets its description. Default: none. */
  readonly error?: unknown;
  /** Values to remove from `error`, besides texts that look like credentials. Default: none. */
  readonly secrets?: Iterable<string> | undefined;
  /** Maximum number of lines with the same event, code and name of error in a second. Default: no limit of its own. */
  readonly perSecond?: number | undefined;
}

/** Options for {@linkcode StructuredLog}. */
export interface StructuredLogOptions {
  /** Writes the lines. Default: `console.error`. */
  readonly sink?: LogSink | undefined;
  /** The least severe level that is written. Default: `info`. */
  readonly level?: LogLevel | undefined;
  /** Default: the isolate's own time. */
  readonly clock?: Clock | undefined;
}

/** Maximum length of a line, in characters: the hosted platform cuts longer ones. Source: Supabase, "Edge Functions: Logging". */
export const MAX_LINE_LENGTH = 10_000;

/** Maximum length of an event and of a correlation id, in characters. */
const MAX_LABEL_LENGTH = 128;

/** The members of a description that a line loses, in this order, while it is too long. */
const EXPENDABLE: readonly (keyof LogData)[] = ["stack", "causes", "hint"];

/** Maximum length of each part of a key, in characters. */
const MAX_KEY_PART = 64;

/** Returns the key by which lines are limited: any of its parts may come from outside. */
function keyOf(event: string, error: unknown): string {
  const parts = [event, codeOf(error), textOf(error, "name")];
  return parts.map((part) => (part ?? "").slice(0, MAX_KEY_PART)).join(" ");
}

/** The budget of each sink, by its clock: handlers that share a sink share its limits. */
const budgets = new WeakMap<Clock, WeakMap<LogSink, LogBudget>>();

function budgetOf(sink: LogSink, clock: Clock): LogBudget {
  let bySink = budgets.get(clock);
  if (!bySink) budgets.set(clock, bySink = new WeakMap());
  let budget = bySink.get(sink);
  if (!budget) bySink.set(sink, budget = new LogBudget(clock));
  return budget;
}

/**
 * Writes lines in the form of {@linkcode LogFormat}.
 *
 * A line has at most {@linkcode MAX_LINE_LENGTH} characters and no character that affects a terminal. A sink gets at
 * most 100 lines in 10 s, as the hosted platform takes; a line `log_suppressed` says how many were not written. No method
 * throws, whatever is logged and whatever the sink does.
 *
 * @example
 * ```ts
 * const log = new StructuredLog({ level: "debug" });
 * log.info("report_created", { correlationId: "42", data: { rows: 20 } });
 * // {"timestamp":"2026-01-02T03:04:05.678Z","correlationId":"42","level":"info","event":"report_created","data":{"rows":20}}
 * ```
 */
export class StructuredLog {
  readonly #sink: LogSink;
  readonly #level: number;
  readonly #throttle: LogThrottle;
  readonly #budget: LogBudget;
  #ownId: string | undefined = undefined;

  /** @throws {RangeError} when the level is not one of {@linkcode LogLevel}. */
  constructor({ sink = console.error, level = "info", clock = systemClock }: StructuredLogOptions = {}) {
    if (!Object.hasOwn(SEVERITY, level)) {
      throw new RangeError(`level must be one of ${Object.keys(SEVERITY).join(", ")}: it is ${level}`);
    }
    this.#sink = sink;
    this.#level = SEVERITY[level];
    this.#throttle = new LogThrottle(clock);
    this.#budget = budgetOf(sink, clock);
  }

  /** Returns whether lines of a level are written. */
  isWritten(level: LogLevel): boolean {
    return SEVERITY[level] >= this.#level;
  }

  /**
   * Counts a line as suppressed if the limit of all lines is reached, and returns whether it did: the caller then need not
   * put the line together.
   */
  suppress(): boolean {
    return this.#budget.suppress();
  }

  /** Writes a line of level `debug`. */
  debug(event: LogEvent, entry?: LogEntry): void {
    this.write("debug", event, entry);
  }

  /** Writes a line of level `info`. */
  info(event: LogEvent, entry?: LogEntry): void {
    this.write("info", event, entry);
  }

  /** Writes a line of level `warn`. */
  warn(event: LogEvent, entry?: LogEntry): void {
    this.write("warn", event, entry);
  }

  /** Writes a line of level `error`. */
  error(event: LogEvent, entry?: LogEntry): void {
    this.write("error", event, entry);
  }

  /** Writes a line, if its level and the limits allow it. */
  write(level: LogLevel, event: LogEvent, entry: LogEntry = {}): void {
    if (!this.isWritten(level)) return;
    // An entry of unknown origin may have getters that throw, and an event may have no text.
    observe(() => this.#write(level, event, entry), (error) => {
      if (this.#take()) this.#emit(level, "log_failed", this.#id(undefined), { ...describeError(error) });
    });
  }

  #write(level: LogLevel, event: LogEvent, entry: LogEntry): void {
    const { perSecond, data, error, secrets } = entry;
    // The limits come first: a suppressed line costs little.
    const key = perSecond === undefined ? "" : keyOf(event, error);
    const count = perSecond === undefined ? undefined : this.#throttle.take(key, perSecond);
    if (count === 0) return;
    if (!this.#take()) {
      if (count !== undefined) this.#throttle.suppress(key, count);
      return;
    }
    const all = {
      ...(data && plainData(data)),
      ...("error" in entry ? describeError(error, secrets) : {}),
      ...(count === undefined ? {} : { count }),
    };
    this.#emit(level, event, this.#id(entry.correlationId), all);
  }

  /** Takes a line of the budget, if one is left, and says first how many were not written. */
  #take(): boolean {
    const suppressed = this.#budget.take();
    if (suppressed === undefined) return false;
    if (suppressed > 0) this.#emit("warn", "log_suppressed", this.#id(undefined), { count: suppressed });
    return true;
  }

  #id(id: LogEntry["correlationId"]): string {
    try {
      const text = typeof id === "function" ? id() : id;
      if (text !== undefined) return cut(String(text), MAX_LABEL_LENGTH);
    } catch {
      // The line matters more than its id.
    }
    return this.#ownId ??= crypto.randomUUID();
  }

  #emit(level: LogLevel, event: LogEvent, correlationId: string, data: LogData): void {
    const line = lineOf({ timestamp: new Date().toISOString(), correlationId, level, event, data });
    // A failing log must not fail the request, and there is no other log to report it to.
    observe(() => this.#sink(line), () => {});
  }
}

/** Returns a line of at most {@linkcode MAX_LINE_LENGTH} characters. */
function lineOf({ data = {}, event, ...rest }: LogFormat): string {
  const shown: Record<string, unknown> = { ...data };
  const write = (members: Record<string, unknown> | undefined) =>
    printableJson(JSON.stringify({ ...rest, event: cut(String(event), MAX_LABEL_LENGTH), data: members }));
  let line = write(Object.keys(shown).length === 0 ? undefined : shown);
  for (const member of EXPENDABLE) {
    if (line.length <= MAX_LINE_LENGTH) return line;
    delete shown[member];
    line = write(shown);
  }
  if (line.length <= MAX_LINE_LENGTH) return line;
  // Escapes may take six characters for one.
  const { error, count } = data;
  return write({
    error: cut(typeof error === "string" ? error : "the data of this line is too long", 1_000),
    ...(typeof count === "number" && { count }),
  });
}
