/**
 * Statements under one Sync: after the first that fails, none runs (PostgreSQL, "Extended Query", pipelining).
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { codeOf, textOf, toError } from "../../resilience/mod.ts";
import { ConnectionError } from "../errors/connection_error.ts";
import { PostgresError, redacted } from "../errors/server_error.ts";
import type { MessageWriter, WriterMark } from "./message_writer.ts";
import type { ColumnMessage } from "./messages.ts";
import { wrongCount } from "./parameters.ts";
import type { QueryResult, Statement } from "./query_result.ts";
import { noteStale, staleKind } from "./stale_statement.ts";
import type { Prepared } from "./statement_cache.ts";
import { type StatementSession, Step } from "./step.ts";
import { TypeLoad } from "./type_load.ts";
import type { PendingResult, SessionStatus, WireRequest } from "./wire_request.ts";

/** The advice for a transaction that a change of the schema has ended. */
const STALE_HINT = "The schema may have changed since the statement was prepared: run the transaction again (retries)";

/** SQLSTATE `query_canceled`. */
export const CANCELED = "57014";

/** SQLSTATE `protocol_violation`, which the server uses for a wrong number of values, and poolers for much else. */
const PROTOCOL_VIOLATION = "08P01";

/** The connection, as a batch uses it. */
export interface BatchSession extends StatementSession {
  /** Continues to send a batch that waited for a description. */
  resume(): void;
  /** The number of requests that are not answered. */
  readonly inFlight: number;
  /** True if a statement has changed the schema in the open transaction: others see it when that is committed. */
  definesSchema: boolean;
  /** Loads types from the catalog. */
  loadTypes(oids: readonly number[]): Promise<void>;
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
  onTooLarge: ((error: Error) => void) | undefined = undefined;

  readonly #session: BatchSession;
  readonly #isTransaction: boolean;
  readonly #steps: Step[] = [];
  /** The prepared statements that it uses. */
  readonly #inUse = new Set<Prepared>();
  /** Statements for the server to keep, in the order in which they were sent. */
  readonly #parsing: Prepared[] = [];
  /** The statements that it asks the server to close. */
  #closing: readonly string[] = [];
  /** One entry per statement that the server has yet to parse; `undefined` for one it does not keep. */
  readonly #unparsed: (Prepared | undefined)[] = [];
  /** The steps that the server has yet to describe. */
  readonly #undescribed: Step[] = [];
  readonly #resolve: (results: QueryResult[]) => void;
  readonly #reject: (error: unknown) => void;
  /** The step to send next. */
  #next = 0;
  /** True once only a part of it was sent. */
  #partial = false;
  /** The types that are loaded before it continues. */
  #load: TypeLoad | undefined = undefined;
  /** True once nothing but its Sync is to be sent. */
  #ended = false;
  /** The key of the names in effect behind it. */
  #namesAfter = "";
  /** The verification of composites, which is sent right behind it. */
  #verified: Promise<void> | undefined = undefined;
  /** The step whose response comes next. */
  #at = 0;
  #safeToResend = false;
  /** True if others were in flight when it was sent. */
  #follows = false;
  /** The error of a value that could not be sent. */
  #sendError: Error | undefined = undefined;
  /** True once its caller has left. */
  #detached = false;
  /** The error of a value that could not be read. */
  #readError: { readonly error: unknown } | undefined = undefined;

  /**
   * @param isTransaction Whether a COMMIT follows in any case: where one of them cannot be sent, all are undone.
   * @throws {StatementError} when a statement cannot be sent.
   */
  constructor(statements: readonly Statement[], session: BatchSession, isTransaction = false) {
    this.#session = session;
    this.#isTransaction = isTransaction;
    for (const statement of statements) this.#steps.push(new Step(statement));
    const { promise, resolve, reject } = Promise.withResolvers<QueryResult[]>();
    this.results = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /**
   * Encodes what can be sent now.
   *
   * @param withdrawable Whether it is removed if a value cannot be sent. Otherwise what precedes that value is sent.
   * @returns whether that is all of it. Otherwise the session is resumed, and nothing else may be sent before.
   * @throws {StatementError} when a value cannot be sent, and it was removed.
   */
  send(out: MessageWriter, withdrawable: boolean): boolean {
    const start = out.mark();
    const { names } = this.#session;
    const namesBefore = names.mark();
    if (!this.#partial) {
      this.#follows = this.#session.inFlight > 0;
      this.#begin(out);
    }
    while (!this.#ended && this.#next < this.#steps.length) {
      const mark = out.mark();
      const unparsed = this.#unparsed.length;
      try {
        if (!this.#sendStep(this.#steps[this.#next] as Step, out)) {
          this.#partial = true;
          out.flush();
          return false;
        }
        this.#next++;
      } catch (error) {
        if (withdrawable && !this.#partial) {
          this.#withdraw(out, start);
          names.rewind(namesBefore);
          throw error;
        }
        out.rewind(mark);
        this.#unparsed.length = unparsed;
        this.#sendError = toError(error);
        this.failedAt = this.#next;
        this.#ended = true;
        if (this.#next > 0) this.#undo(out);
      }
    }
    this.#ended = true;
    out.sync();
    this.#namesAfter = names.current.key;
    names.endRequest();
    return true;
  }

  /** Undoes what precedes a value that cannot be sent, unless its transaction goes on. */
  #undo(out: MessageWriter): void {
    const { names } = this.#session;
    if (names.inTransaction) return this.#isTransaction ? names.fail() : undefined;
    this.#onParse(undefined);
    out.parse("", "ROLLBACK");
    out.bind("", []);
    out.execute();
  }

  #begin(out: MessageWriter): void {
    const { statements, schema } = this.#session;
    statements.clearUnless(schema.version);
    if (!statements.hasToClose) return;
    this.#closing = statements.drainToClose();
    for (const name of this.#closing) out.closeStatement(name);
  }

  /** Removes all traces of a batch that is not sent. */
  #withdraw(out: MessageWriter, start: WriterMark): void {
    const { statements } = this.#session;
    out.rewind(start);
    statements.closeLater(this.#closing);
    for (const prepared of this.#parsing) statements.forget(prepared);
  }

  /** Returns whether all of the step was encoded, and not only what describes it or loads its types. */
  #sendStep(step: Step, out: MessageWriter): boolean {
    const session = this.#session;
    if (step.isDescribed) {
      const oids = step.typesToLoad();
      if (oids.length > 0 && !step.hasLoaded) {
        this.#load = new TypeLoad(oids, session.schema.types, out);
        step.onLoad();
        return false;
      }
      step.sendDescribed(out, this.#onParse);
      return true;
    }
    step.plan(session, this.#inUse);
    if (step.isNew && step.prepared) this.#parsing.push(step.prepared);
    const all = step.send(out, session, this.#onParse);
    if (step.isDescribing) this.#undescribed.push(step);
    return all;
  }

  readonly #onParse = (prepared: Prepared | undefined): void => void this.#unparsed.push(prepared);

  /** Sends what verifies composites in its rows, right behind it. */
  verifyComposites(): void {
    const oids = new Set<number>();
    for (const { reader } of this.#steps) for (const oid of reader?.composites ?? []) oids.add(oid);
    if (oids.size > 0) this.#verified = this.#session.loadTypes([...oids]);
    // The results await it.
    this.#verified?.catch(() => {});
  }

  handleParseComplete(): void {
    if (this.#load) return;
    const prepared = this.#unparsed.shift();
    if (prepared) this.#session.statements.markPrepared(prepared);
  }

  handleParameterDescription(oids: readonly number[]): void {
    this.#undescribed[0]?.onParameters(oids, this.#session);
  }

  handleRowDescription(columns: readonly ColumnMessage[]): void {
    if (this.#load) return this.#load.onColumns(columns);
    const step = this.#undescribed.shift();
    if (!step) return;
    step.onColumns(columns, this.#session);
    if (step.isDescribed) this.#session.resume();
  }

  handleNoData(): void {
    this.handleRowDescription([]);
  }

  handleDataRow(bytes: Buffer, start: number, end: number): void {
    if (this.#load) return this.#load.onRow(bytes, start, end);
    const step = this.#steps[this.#at];
    if (!step || this.#readError) return;
    try {
      step.onRow(bytes, start, end);
    } catch (error) {
      if (error instanceof ConnectionError) throw error;
      this.#readError = { error };
    }
  }

  handleTooLarge(error: Error): boolean {
    if (!this.onTooLarge || this.#load) return false;
    this.#readError ??= { error };
    for (const step of this.#steps) step.dropRows();
    this.onTooLarge(error);
    return true;
  }

  handleCommandComplete(tag: string): void {
    if (this.#load) {
      // Its statement is not one of the batch.
      this.boundStatements--;
      this.#load.finish();
      this.#load = undefined;
      return this.#session.resume();
    }
    // The rollback of what precedes a value that cannot be sent.
    if (this.#sendError && this.#at >= this.failedAt) return;
    this.#steps[this.#at++]?.onEnd(tag, this.#session);
  }

  handleError(error: Error): void {
    if (this.failure !== undefined) return;
    this.failedAt = this.#at;
    this.failure = error;
    if (this.#ended) return;
    // The server skips everything up to a Sync.
    this.#ended = true;
    this.#load = undefined;
    this.#session.resume();
  }

  onComplete(status: SessionStatus, canceling: boolean, durationMs: number): void {
    this.settled = true;
    this.statusAfter = status;
    const { statements, names } = this.#session;
    if (this.#closing.length > 0) statements.markClosed(this.#closing.length);
    const alone = this.#steps.length === 1 ? this.#steps[0]?.prepared : undefined;
    if (alone) statements.recordDuration(alone, durationMs, this.#follows);
    // One that was forgotten before the server had parsed it would never be closed there.
    for (const each of this.#parsing) if (!each.parsed || !statements.has(each)) statements.forget(each);
    names.check(this.#namesAfter);
    this.#noteSchema(status);
    if (this.failure) {
      this.#safeToResend = this.#forgetStale(this.failure) || (canceling && codeOf(this.failure) === CANCELED);
      this.#fail(this.#errorOf(this.failure));
    } else if (this.#sendError) this.#fail(this.#sendError);
    else if (this.#readError) this.#reject(toError(this.#readError.error));
    // A detached result has no reader, and its connection may serve another caller by now: no types are loaded on it.
    else if (this.#detached) return;
    else if (this.#steps.some(({ raw }) => raw)) void this.#readLater();
    else this.#resolveResults();
  }

  /** Notes what statements have defined: uncommitted, it changes what is prepared on this connection already. */
  #noteSchema(status: SessionStatus): void {
    const session = this.#session;
    let changed = session.definesSchema && status === "idle";
    if (changed) session.definesSchema = false;
    for (let index = 0; index < this.#at; index++) {
      if (!this.#steps[index]?.traits.definesSchema) continue;
      changed = true;
      session.definesSchema = status !== "idle";
    }
    if (changed) session.schema.changed();
  }

  #resolveResults(): void {
    const results: QueryResult[] = [];
    for (const step of this.#steps) results.push(step.result());
    this.#resolve(results);
  }

  /** Reads rows whose types have to be loaded first. */
  async #readLater(): Promise<void> {
    const waiting = this.#steps.filter(({ raw }) => raw);
    try {
      await this.#verified;
      for (const step of waiting) if (this.#verified) step.renewReader();
      const oids = new Set(
        waiting.flatMap(({ reader }) => [...reader?.missing ?? [], ...this.#verified ? [] : reader?.composites ?? []]),
      );
      if (oids.size > 0) await this.#session.loadTypes([...oids]);
      for (const step of waiting) step.readRows();
      this.#resolveResults();
    } catch (error) {
      this.#reject(toError(error));
    }
  }

  isSafeToResend(error: unknown): boolean {
    return this.#safeToResend && error === this.error;
  }

  detach(reason: unknown): void {
    this.#detached = true;
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

  /** Returns the error for the caller. */
  #errorOf(failure: Error): Error {
    const step = this.#steps[this.failedAt];
    const expected = step?.paramTypes?.length;
    const wrong = step && expected !== undefined && expected !== step.valueCount;
    if (wrong && codeOf(failure) === PROTOCOL_VIOLATION) return wrongCount(expected, step.valueCount);
    const kind = this.#safeToResend ? staleKind(failure) : undefined;
    // A value is mostly wrong by itself.
    const hint = kind === undefined || kind === "value" ? undefined : STALE_HINT;
    const error = redacted(hint ? Object.assign(failure, { hint: textOf(failure, "hint") ?? hint }) : failure);
    if (kind !== undefined) noteStale(error);
    return error;
  }

  /**
   * Forgets what a failure shows to be wrong, and returns whether that may be its reason: the server has closed a
   * prepared statement, or the schema has changed. Then the statement has not run. The error of an EXECUTE inside it
   * comes later, and does not count.
   */
  #forgetStale(failure: Error): boolean {
    const step = this.#steps[this.failedAt];
    if (!step || this.boundStatements !== this.failedAt) return false;
    const { statements } = this.#session;
    const kind = staleKind(failure);
    const { prepared } = step;
    if (kind === undefined) return false;
    if (!prepared || this.#parsing.includes(prepared)) return step.forgetTypes(this.#session, kind);
    if (kind === "unknown") statements.clear();
    else if (kind === "value") step.doubtPrepared();
    // On other connections it is as wrong.
    else this.#session.schema.changed();
    return true;
  }
}
