/**
 * Statements under one Sync: after the first that fails, none runs (PostgreSQL, "Extended Query", pipelining).
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
import type { PendingResult, SessionStatus, WireRequest } from "./wire_request.ts";
import type { QueryResult, Row, Statement } from "./query_result.ts";
import { type Encoded, encodeStatement } from "./statement_encoding.ts";
import { NO_ROWS, type Prepared, RowReader, type StatementCache } from "./statement_cache.ts";

/** SQLSTATE `query_canceled`. */
export const CANCELED = "57014";
/** SQLSTATE of a prepared statement that the server does not have. */
const UNKNOWN_STATEMENT = "26000";
/** SQLSTATE of a statement whose columns changed since it was prepared ("cached plan must not change result type"). */
const CHANGED_RESULT = "0A000";
/** The class of SQLSTATEs of statements that do not fit the existing tables and types (PostgreSQL, appendix A). */
const DOES_NOT_FIT = "42";
/** The SQLSTATE of that class that does not concern the schema: the role lacks a privilege. */
const INSUFFICIENT_PRIVILEGE = "42501";

/** One statement of a batch. */
interface Step {
  readonly prepared: Prepared | undefined;
  reader: RowReader | undefined;
  readonly rows: Row[];
  tag: string | undefined;
}

/** Reads a command tag (PostgreSQL, "Message Formats", CommandComplete): `INSERT 0 1`, `SELECT 5`, `CREATE TABLE`. */
function resultOf({ reader = NO_ROWS, rows, tag = "" }: Step): QueryResult {
  const last = tag.slice(tag.lastIndexOf(" ") + 1);
  const rowCount = /^\d+$/.test(last) ? Number(last) : null;
  return { rows, rowCount, command: tag.split(" ", 1)[0] ?? "", fields: reader.columns };
}

/** Statements under one Sync. */
export class Batch implements WireRequest, PendingResult {
  readonly results: Promise<QueryResult[]>;
  failure: object | undefined = undefined;
  failedAt = -1;
  error: Error | undefined = undefined;
  running = false;
  readonly sent = true;
  settled = false;
  statusAfter: SessionStatus | undefined = undefined;

  readonly #statements: readonly Encoded[];
  readonly #cache: StatementCache;
  readonly #steps: Step[] = [];
  /** Statements for the server to keep, in the order in which they were sent. */
  readonly #parsing: Prepared[] = [];
  /** How many statements it asks the server to close. */
  #closing = 0;
  /** One entry per statement that the server has yet to parse; `undefined` for one it does not keep. */
  #unparsed: (Prepared | undefined)[] | undefined = undefined;
  readonly #resolve: (results: QueryResult[]) => void;
  readonly #reject: (error: unknown) => void;
  #at = 0;
  /** How many statements the server has bound to their values: before that, nothing of a statement has run. */
  #bound = 0;
  #safeToResend = false;
  /** The error of a value that could not be read. */
  #readError: { readonly error: unknown } | undefined = undefined;

  /** @throws {StatementError} when a statement cannot be sent: then none is. */
  constructor(statements: readonly Statement[], cache: StatementCache) {
    this.#statements = statements.map(encodeStatement);
    this.#cache = cache;
    const { promise, resolve, reject } = Promise.withResolvers<QueryResult[]>();
    this.results = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  encode(out: Uint8Array[]): void {
    const toClose = this.#cache.drainToClose();
    this.#closing = toClose.length;
    for (const name of toClose) out.push(message.close({ type: "S", name }));
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
    // Another batch has just sent it, and its parsing may still fail.
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
    if (!step || this.#readError) return;
    try {
      step.rows.push((step.reader ?? NO_ROWS).read(fields));
    } catch (error) {
      this.#readError = { error };
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

  /** The server has taken later requests for the data of the COPY, so that answers no longer match requests. */
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

  onStart(): void {
    this.running = true;
  }

  onParsed(): void {
    const prepared = this.#unparsed?.shift();
    if (prepared) this.#cache.markPrepared(prepared);
  }

  onBound(): void {
    this.#bound++;
  }

  onComplete(status: SessionStatus, canceling: boolean): void {
    this.running = false;
    this.settled = true;
    this.statusAfter = status;
    this.#cache.markClosed(this.#closing);
    if (this.#parsing.length > 0) {
      for (const prepared of this.#parsing) if (!prepared.parsed) this.#cache.forget(prepared);
    }
    if (this.failure) {
      const code = codeOf(this.failure);
      const stale = this.#staleAt(code);
      this.#safeToResend = stale !== undefined || (canceling && code === CANCELED);
      if (stale && code === UNKNOWN_STATEMENT) this.#cache.clear();
      else if (stale) this.#cache.forget(stale);
      this.#fail(redacted(this.failure));
    } else if (this.#at < this.#steps.length) {
      this.#fail(new ConnectionError("PROTOCOL_ERROR", "The server sent no result for a statement"));
    } else if (this.#readError) this.#reject(this.#readError.error);
    else this.#resolve(this.#steps.map(resultOf));
  }

  /** Records how long the server took, in ms. */
  recordDuration(ms: number): void {
    const prepared = this.#steps.length === 1 ? this.#steps[0]?.prepared : undefined;
    if (prepared) this.#cache.recordDuration(prepared, ms);
  }

  isSafeToResend(error: unknown): boolean {
    return this.#safeToResend && error === this.error;
  }

  detach(reason: unknown): void {
    this.#reject(reason);
  }

  /** False where the server reports errors in another language: then only the cancel request can show it. */
  get canceled(): boolean {
    const { error } = this;
    return error instanceof PostgresError && error.code === CANCELED && error.message.includes("user request");
  }

  onLost(error: Error): void {
    this.running = false;
    this.settled = true;
    this.#fail(error);
  }

  #fail(error: Error): void {
    this.error = error;
    this.#reject(error);
  }

  /**
   * Returns the statement that failed, if the reason may be that it was prepared earlier: the server has closed it, or
   * tables have changed. It has not run then. The error of an EXECUTE inside it comes later, and does not count.
   */
  #staleAt(code: unknown): Prepared | undefined {
    const prepared = this.#steps[this.failedAt]?.prepared;
    if (prepared === undefined || this.#bound !== this.failedAt || this.#parsing.includes(prepared)) return undefined;
    if (typeof code !== "string" || code === INSUFFICIENT_PRIVILEGE) return undefined;
    return code === UNKNOWN_STATEMENT || code === CHANGED_RESULT || code.startsWith(DOES_NOT_FIT)
      ? prepared
      : undefined;
  }
}

function codeOf(failure: object): unknown {
  return Reflect.get(failure, "code");
}
