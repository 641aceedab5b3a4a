/**
 * Statements that are sent together and stand or fall together: whatever fails,
 * nothing behind it runs, since one Sync ends them all (PostgreSQL,
 * "Extended Query", pipelining).
 *
 * @module
 */
import {
  type CommandCompleteMessage,
  type DataRowMessage,
  message,
  type RowDescriptionMessage,
  type Wire,
} from "./driver.ts";
import { ConnectionError, PostgresError, redacted } from "../errors/errors.ts";
import type { Flight, Running, SessionStatus } from "./flight.ts";
import type { QueryResult, Row, Statement } from "./query_result.ts";
import { type Encoded, encoded } from "./statement_encoding.ts";
import { NO_ROWS, type Prepared, RowReader, type StatementCache } from "./statement_cache.ts";

/** SQLSTATE `query_canceled`. */
export const CANCELED = "57014";
/** SQLSTATE of a statement that the server has not, or no more. */
const UNKNOWN_STATEMENT = "26000";
/** SQLSTATE of a statement whose columns are others than when it was prepared ("cached plan must not change result type"). */
const CHANGED_RESULT = "0A000";
/** The class of SQLSTATEs of what does not fit the tables and types that there are (PostgreSQL, appendix A). */
const NO_FIT = "42";
/** SQLSTATE of that class that says nothing of tables: the role has no right to it. */
const NO_RIGHT = "42501";

/** One statement of a batch, on its way. */
interface Step {
  readonly prepared: Prepared | undefined;
  reader: RowReader | undefined;
  readonly rows: Row[];
  tag: string | undefined;
}

/** Splits a command tag (PostgreSQL, "Message Formats", CommandComplete): `INSERT 0 1`, `SELECT 5`, `CREATE TABLE`. */
function resultOf({ reader = NO_ROWS, rows, tag = "" }: Step): QueryResult {
  const last = tag.slice(tag.lastIndexOf(" ") + 1);
  const rowCount = /^\d+$/.test(last) ? Number(last) : null;
  return { rows, rowCount, command: tag.split(" ", 1)[0] ?? "", fields: reader.columns };
}

/** Statements under one Sync. */
export class Batch implements Flight, Running {
  readonly results: Promise<QueryResult[]>;
  failure: object | undefined = undefined;
  failedAt = -1;
  error: Error | undefined = undefined;
  runs = false;
  readonly sent = true;
  over = false;
  after: SessionStatus | undefined = undefined;

  readonly #statements: readonly Encoded[];
  readonly #cache: StatementCache;
  readonly #steps: Step[] = [];
  /** Statements that the server is to keep, in the order in which they were sent. */
  readonly #parsing: Prepared[] = [];
  /** How many statements the server is to drop. */
  #closing = 0;
  /** What the server is still to parse: what it is to keep, or nothing of that kind. */
  #unparsed: (Prepared | undefined)[] | undefined = undefined;
  readonly #resolve: (results: QueryResult[]) => void;
  readonly #reject: (error: unknown) => void;
  #at = 0;
  /** How many the server has bound to their values: before that, nothing of one has run. */
  #bound = 0;
  #repeatable = false;
  /** A value that could not be read. */
  #fault: { readonly error: unknown } | undefined = undefined;

  /** @throws {StatementError} when a statement cannot be sent. Nothing is, then. */
  constructor(statements: readonly Statement[], cache: StatementCache) {
    this.#statements = statements.map(encoded);
    this.#cache = cache;
    const { promise, resolve, reject } = Promise.withResolvers<QueryResult[]>();
    this.results = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  encode(out: Uint8Array[]): void {
    const doomed = this.#cache.takeDoomed();
    this.#closing = doomed.length;
    for (const name of doomed) out.push(message.close({ type: "S", name }));
    for (const statement of this.#statements) this.#encode(out, statement);
    out.push(message.sync());
  }

  #encode(out: Uint8Array[], { text, values, unprepared }: Encoded): void {
    const prepared = unprepared ? undefined : this.#prepare(out, text);
    const statement = prepared?.name ?? "";
    if (!prepared) {
      (this.#unparsed ??= []).push(undefined);
      out.push(message.parse({ text, name: "" }));
    }
    out.push(message.bind({ statement, values }));
    const step: Step = { prepared, reader: prepared?.reader, rows: [], tag: undefined };
    if (!step.reader) out.push(message.describe({ type: "P", name: "" }));
    out.push(message.execute());
    this.#steps.push(step);
  }

  #prepare(out: Uint8Array[], text: string): Prepared | undefined {
    if (!this.#cache.enabled) return undefined;
    const known = this.#cache.find(text);
    // One that another batch has just sent may never come to be.
    if (known) return known.parsed || this.#parsing.includes(known) ? known : undefined;
    const prepared = this.#cache.add(text);
    this.#parsing.push(prepared);
    (this.#unparsed ??= []).push(prepared);
    out.push(message.parse({ text, name: prepared.name }));
    return prepared;
  }

  submit(): void {}

  handleRowDescription({ fields }: RowDescriptionMessage): void {
    const step = this.#steps[this.#at];
    if (!step) return;
    step.reader = new RowReader(fields);
  }

  handleDataRow({ fields }: DataRowMessage): void {
    const step = this.#steps[this.#at];
    if (!step || this.#fault) return;
    try {
      step.rows.push((step.reader ?? NO_ROWS).read(fields));
    } catch (error) {
      this.#fault = { error };
    }
  }

  handleCommandComplete({ text }: CommandCompleteMessage): void {
    const step = this.#steps[this.#at++];
    if (!step) return;
    step.tag = text;
    step.reader ??= NO_ROWS;
    if (step.prepared) {
      step.prepared.parsed = true;
      step.prepared.reader ??= step.reader;
    }
  }

  handleEmptyQuery(): void {
    this.handleCommandComplete({ text: "" });
  }

  handlePortalSuspended(): void {}

  /** What was sent behind it has been taken for its data: nobody knows any more which answer is whose. */
  handleCopyInResponse({ stream }: Wire): void {
    stream.destroy();
  }

  handleCopyData(): void {}

  handleError(error: unknown): void {
    if (this.failure !== undefined) return;
    this.failedAt = this.#at;
    this.failure = typeof error === "object" && error !== null ? error : new Error(String(error));
  }

  handleReadyForQuery(): void {}

  begun(): void {
    this.runs = true;
  }

  parsed(): void {
    const prepared = this.#unparsed?.shift();
    if (prepared) this.#cache.keep(prepared);
  }

  bound(): void {
    this.#bound++;
  }

  done(status: SessionStatus, cancelling: boolean): void {
    this.runs = false;
    this.over = true;
    this.after = status;
    this.#cache.dropped(this.#closing);
    if (this.#parsing.length > 0) {
      for (const prepared of this.#parsing) if (!prepared.parsed) this.#cache.forget(prepared);
    }
    if (this.failure) {
      const code = codeOf(this.failure);
      const stale = this.#staleAt(code);
      this.#repeatable = stale !== undefined || (cancelling && code === CANCELED);
      if (stale && code === UNKNOWN_STATEMENT) this.#cache.clear();
      else if (stale) this.#cache.forget(stale);
      this.#fail(redacted(this.failure));
    } else if (this.#at < this.#steps.length) {
      this.#fail(new ConnectionError("PROTOCOL_ERROR", "The server left a statement without an answer"));
    } else if (this.#fault) this.#reject(this.#fault.error);
    else this.#resolve(this.#steps.map(resultOf));
  }

  /** Notes how long the server was at it, in ms. */
  took(ms: number): void {
    const prepared = this.#steps.length === 1 ? this.#steps[0]?.prepared : undefined;
    if (prepared) this.#cache.note(prepared, ms);
  }

  /** Whether it failed with this error through no fault of its own, and had no effect. */
  mayRepeat(error: unknown): boolean {
    return this.#repeatable && error === this.error;
  }

  leave(reason: unknown): void {
    this.#reject(reason);
  }

  /** Where the server speaks another language, the request itself has to tell. */
  get canceled(): boolean {
    const { error } = this;
    return error instanceof PostgresError && error.code === CANCELED && error.message.includes("user request");
  }

  lost(error: Error): void {
    this.runs = false;
    this.over = true;
    this.#fail(error);
  }

  #fail(error: Error): void {
    this.error = error;
    this.#reject(error);
  }

  /**
   * The statement that failed, if that may be since it was prepared earlier: it is gone, or tables have changed
   * since. It has not run then. What an EXECUTE in it says of another one comes later, and is no such failure.
   */
  #staleAt(code: unknown): Prepared | undefined {
    const prepared = this.#steps[this.failedAt]?.prepared;
    if (prepared === undefined || this.#bound !== this.failedAt || this.#parsing.includes(prepared)) return undefined;
    if (typeof code !== "string" || code === NO_RIGHT) return undefined;
    return code === UNKNOWN_STATEMENT || code === CHANGED_RESULT || code.startsWith(NO_FIT) ? prepared : undefined;
  }
}

function codeOf(failure: object): unknown {
  return Reflect.get(failure, "code");
}
