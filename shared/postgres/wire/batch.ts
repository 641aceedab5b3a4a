/**
 * Statements under one Sync: after the first that fails, none runs (PostgreSQL, "Extended Query", pipelining).
 *
 * @module
 */
import { codeOf, messageOf, toError } from "../../resilience/mod.ts";
import type { Buffer } from "node:buffer";
import { prepareValue } from "./driver.ts";
import { ConnectionError, PostgresError, redacted, StatementError } from "../errors/errors.ts";
import { type EncodedValue, type MessageWriter, unsendable } from "./message_writer.ts";
import type { ColumnMessage } from "./messages.ts";
import { RowReader } from "./row_reader.ts";
import type { PendingResult, SessionStatus, WireRequest } from "./wire_request.ts";
import type { QueryResult, Row, Statement } from "./query_result.ts";
import type { Prepared, StatementCache } from "./statement_cache.ts";
import { traitsOf } from "./statement_traits.ts";

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

/** A statement whose values are ready to be sent. */
interface Encoded {
  readonly text: string;
  readonly values: readonly EncodedValue[];
  readonly unprepared: boolean;
}

/** The most values of one statement: the protocol counts them in 16 bits. */
const MAX_VALUES = 65_535;

/**
 * Checks a statement and encodes its values.
 *
 * @throws {StatementError} when the protocol cannot carry the statement as what it is.
 */
function encodeStatement({ text, values = [], unprepared = false }: Statement): Encoded {
  const { copies } = traitsOf(text);
  if (!Array.isArray(values) || values.length > MAX_VALUES) {
    throw new StatementError(`The values of a statement must be an array of at most ${MAX_VALUES} elements`);
  }
  // The server would take what follows in the same write for the data of the COPY.
  if (copies) {
    throw new StatementError(
      "COPY FROM STDIN and COPY TO STDOUT are not supported: insert from arrays (unnest), or select in pages",
    );
  }
  const fault = unsendable(text);
  if (fault !== undefined) throw new StatementError(`Cannot send the statement: ${fault}`);
  return { text, values: values.map(encodeValue), unprepared };
}

function encodeValue(value: unknown, index: number): EncodedValue {
  let encoded: EncodedValue;
  try {
    encoded = prepareValue(value);
  } catch (error) {
    throw new StatementError(`Cannot encode the value of $${index + 1}: ${messageOf(error)}`);
  }
  const fault = typeof encoded === "string" ? unsendable(encoded) : undefined;
  if (fault !== undefined) throw new StatementError(`Cannot send the value of $${index + 1}: ${fault}`);
  return encoded;
}

/** The reader of a statement that returns no rows. */
const NO_ROWS = new RowReader([]);

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
  failure: Error | undefined = undefined;
  failedAt = -1;
  error: Error | undefined = undefined;
  boundStatements = 0;
  readonly sent = true;
  settled = false;
  statusAfter: SessionStatus | undefined = undefined;

  readonly #cache: StatementCache;
  readonly #steps: Step[] = [];
  /** Statements for the server to keep, in the order in which they were sent. */
  readonly #parsing: Prepared[] = [];
  /** The number of statements that it asks the server to close. */
  #closing = 0;
  /** One entry per statement that the server has yet to parse; `undefined` for one it does not keep. */
  #unparsed: (Prepared | undefined)[] | undefined = undefined;
  readonly #resolve: (results: QueryResult[]) => void;
  readonly #reject: (error: unknown) => void;
  #at = 0;
  #safeToResend = false;
  /** The error of a value that could not be read. */
  #readError: { readonly error: unknown } | undefined = undefined;

  /**
   * Appends what to send to `out`.
   *
   * @throws {StatementError} when a statement cannot be sent: then none is.
   */
  constructor(statements: readonly Statement[], cache: StatementCache, out: MessageWriter) {
    const all: Encoded[] = [];
    for (const statement of statements) all.push(encodeStatement(statement));
    this.#cache = cache;
    const { promise, resolve, reject } = Promise.withResolvers<QueryResult[]>();
    this.results = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    if (cache.hasToClose) {
      const toClose = cache.drainToClose();
      this.#closing = toClose.length;
      for (const name of toClose) out.closeStatement(name);
    }
    for (const statement of all) this.#encode(out, statement);
    out.sync();
  }

  #encode(out: MessageWriter, { text, values, unprepared }: Encoded): void {
    const prepared = unprepared ? undefined : this.#prepare(out, text);
    const statement = prepared?.name ?? "";
    if (!prepared) {
      (this.#unparsed ??= []).push(undefined);
      out.parse("", text);
    }
    out.bind(statement, values);
    const step: Step = { prepared, reader: prepared?.reader, rows: [], tag: undefined };
    if (!step.reader) out.describePortal();
    out.execute();
    this.#steps.push(step);
  }

  #prepare(out: MessageWriter, text: string): Prepared | undefined {
    if (!this.#cache.enabled) return undefined;
    const known = this.#cache.find(text);
    // Another batch has just sent it, and its parsing may still fail.
    if (known) return known.parsed || this.#parsing.includes(known) ? known : undefined;
    const prepared = this.#cache.add(text);
    this.#parsing.push(prepared);
    (this.#unparsed ??= []).push(prepared);
    out.parse(prepared.name, text);
    return prepared;
  }

  handleRowDescription(columns: readonly ColumnMessage[]): void {
    const step = this.#steps[this.#at];
    if (step) step.reader = new RowReader(columns);
  }

  handleDataRow(bytes: Buffer, start: number, end: number): void {
    const step = this.#steps[this.#at];
    if (!step || this.#readError) return;
    try {
      step.rows.push((step.reader ?? NO_ROWS).read(bytes, start, end));
    } catch (error) {
      if (error instanceof ConnectionError) throw error;
      this.#readError = { error };
    }
  }

  handleCommandComplete(tag: string): void {
    const step = this.#steps[this.#at++];
    if (!step) return;
    step.tag = tag;
    step.reader ??= NO_ROWS;
    if (step.prepared) {
      step.prepared.parsed = true;
      step.prepared.reader ??= step.reader;
    }
  }

  handleError(error: Error): void {
    if (this.failure !== undefined) return;
    this.failedAt = this.#at;
    this.failure = error;
  }

  handleParseComplete(): void {
    const prepared = this.#unparsed?.shift();
    if (prepared) this.#cache.markPrepared(prepared);
  }

  onComplete(status: SessionStatus, canceling: boolean, durationMs: number): void {
    this.settled = true;
    this.statusAfter = status;
    if (this.#closing > 0) this.#cache.markClosed(this.#closing);
    const alone = this.#steps.length === 1 ? this.#steps[0]?.prepared : undefined;
    if (alone) this.#cache.recordDuration(alone, durationMs);
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
    } else if (this.#readError) this.#reject(toError(this.#readError.error));
    else {
      const results: QueryResult[] = [];
      for (const step of this.#steps) results.push(resultOf(step));
      this.#resolve(results);
    }
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
    if (prepared === undefined || this.boundStatements !== this.failedAt || this.#parsing.includes(prepared)) {
      return undefined;
    }
    if (typeof code !== "string" || code === INSUFFICIENT_PRIVILEGE) return undefined;
    return code === UNKNOWN_STATEMENT || code === CHANGED_RESULT || code.startsWith(DOES_NOT_FIT)
      ? prepared
      : undefined;
  }
}
