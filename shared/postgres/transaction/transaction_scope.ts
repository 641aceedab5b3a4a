/**
 * One transaction on one connection, from BEGIN to its end.
 *
 * @module
 */
import {
  CommitOutcomeUnknownError,
  RollbackFailedError,
  TransactionEndedError,
  TransactionRolledBackError,
  TransactionTimeoutError,
} from "../errors/errors.ts";
import type { QueryResult, Statement } from "../wire/query_result.ts";
import type { Deadline } from "../query/deadlines.ts";
import { mayLeaveState } from "../connection/session_state.ts";
import { checkWithoutSession } from "../wire/statement_encoding.ts";
import type { StatementRunner } from "../query/statement_runner.ts";

/** How a transaction ended. */
export type TransactionOutcome =
  | "committed"
  | "rolledBack"
  /** COMMIT was sent, and not answered. */
  | "unknown";

/** What bounds a transaction. */
export interface ScopeOptions {
  /** Gives the transaction up: what runs is cancelled, and it is rolled back. */
  readonly signal: AbortSignal | undefined;
  /** How long the whole of it may take, in ms; `Infinity` for as long as it needs. */
  readonly timeoutMs: number;
  /** What was allowed in all, in ms, where some of it is used up. */
  readonly allowedMs: number;
  /** How long one statement may take, in ms, unless told otherwise. */
  readonly queryTimeoutMs: number;
  /** Told of what nobody else learns of. */
  readonly report: (error: Error) => void;
}

/** The connection's side of a transaction; {@linkcode Transaction} is its user's. */
export class TransactionScope implements Disposable {
  /** Statements that go out with the next one, under the same Sync: BEGIN and what belongs to it. */
  readonly before: Statement[];
  readonly signal: AbortSignal | undefined;
  /** How it ended, once it has. */
  outcome: TransactionOutcome | undefined = undefined;
  /** Whether COMMIT was sent: a connection that broke before that has rolled back. */
  committing = false;

  readonly #runner: StatementRunner;
  readonly #options: ScopeOptions;
  readonly #end: Deadline | undefined;
  readonly #givenUp = Promise.withResolvers<never>();
  readonly #aborted = () => this.#giveUp(this.signal?.reason);
  #reason: { readonly reason: unknown } | undefined = undefined;
  /** After this, a COMMIT that nobody waits for any longer is cut. */
  #lastMoment: Deadline | undefined = undefined;
  /** The texts of those that went before another one and have had their effect. */
  readonly #done = new Set<string>();
  #begun = false;
  #levels = 0;

  /** @param begin What begins it. Nothing is sent before the first statement. */
  constructor(runner: StatementRunner, begin: readonly Statement[], options: ScopeOptions) {
    const { signal, timeoutMs, allowedMs } = options;
    this.before = [...begin];
    this.signal = signal;
    this.#runner = runner;
    this.#options = options;
    this.#givenUp.promise.catch(() => {}); // nobody may be waiting for it
    const { clock, deadlines } = runner.settings;
    const expired = () => this.#giveUp(new TransactionTimeoutError(allowedMs));
    this.#end = timeoutMs === Infinity ? undefined : { at: clock.now() + timeoutMs, expired };
    if (this.#end) deadlines.add(this.#end);
    signal?.addEventListener("abort", this.#aborted, { once: true });
    if (signal?.aborted) this.#aborted();
  }

  [Symbol.dispose](): void {
    const { deadlines } = this.#runner.settings;
    if (this.#end) deadlines.drop(this.#end);
    if (this.#lastMoment) deadlines.drop(this.#lastMoment);
    this.signal?.removeEventListener("abort", this.#aborted);
  }

  /** A number for the next savepoint. */
  nextLevel(): number {
    return ++this.#levels;
  }

  /** `work`, for as long as it is waited for. */
  async race<T>(work: PromiseLike<T> | T): Promise<T> {
    return await Promise.race([work, this.#givenUp.promise]);
  }

  /**
   * Notes what a statement may leave on the connection.
   *
   * @throws {StatementError} when it may leave nothing, and would.
   */
  note(text: string): void {
    const { session } = this.#runner;
    if (!session.owned) checkWithoutSession(text);
    session.dirty ||= mayLeaveState(text);
  }

  /**
   * Runs a statement behind what goes {@linkcode before} it.
   *
   * @param signal Gives it up.
   * @throws {TransactionRolledBackError} when there is no transaction any more: nothing may run outside of it.
   */
  async run(
    statement: Statement,
    timeoutMs: number = this.#options.queryTimeoutMs,
    signal?: AbortSignal,
  ): Promise<QueryResult> {
    if (this.#reason) throw this.#reason.reason;
    const before = this.before.splice(0);
    const running = this.#runner.session.start([...before, statement]);
    // What could not be sent has begun nothing: the next one has to.
    if (running.sent) this.#begun = true;
    else this.before.unshift(...before);
    try {
      const results = await this.#runner.follow(running, { signal, timeoutMs });
      for (const { text } of before) this.#done.add(text);
      if (running.after === "idle") this.#lose(new TransactionEndedError());
      const result = results.at(-1);
      if (result) return result;
      throw new TransactionRolledBackError(undefined);
    } catch (error) {
      for (const { text } of before.slice(0, Math.max(running.failedAt, 0))) this.#done.add(text);
      if (running.after === "idle") this.#lose(new TransactionRolledBackError(error));
      throw error;
    }
  }

  /** Whether a statement that went {@linkcode before} another one has had its effect. */
  hasRun({ text }: Statement): boolean {
    return this.#done.has(text);
  }

  /** There is no transaction any more. What would run outside of it would not be the caller's. */
  #lose(error: Error): void {
    this.#reason ??= { reason: error };
  }

  /**
   * Commits. COMMIT is not cancelled: half-way is the worst place to stop.
   *
   * @param failure The error of a statement that may have been kept from us.
   */
  async commit(failure: () => unknown): Promise<void> {
    if (this.#reason) {
      await this.rollback();
      throw this.#reason.reason;
    }
    if (!this.#begun) return this.#ended("committed");
    this.committing = true;
    let results: QueryResult[];
    const running = this.#runner.session.start([{ text: "COMMIT" }]);
    try {
      results = await this.#runner.withinOrCut(running.results, this.#options.queryTimeoutMs);
    } catch (error) {
      // It was not sent, or refused by a server that then waited for the next statement.
      if (!running.sent || running.after !== undefined) {
        this.#ended("rolledBack");
        throw error;
      }
      this.#ended("unknown");
      this.#runner.session.destroy(error instanceof Error ? error : new Error("COMMIT was not answered"));
      throw new CommitOutcomeUnknownError(error);
    }
    if (results.at(-1)?.command === "COMMIT") return this.#ended("committed");
    this.#ended("rolledBack");
    throw new TransactionRolledBackError(failure());
  }

  /** Rolls back. Never throws: where it fails, the connection is cut, and the server rolls back. */
  async rollback(): Promise<void> {
    // A statement that its caller did not wait for would hold the rollback up.
    await this.#runner.giveUp(this.#reason?.reason ?? new TransactionEndedError());
    if (this.#begun) await this.undo([{ text: "ROLLBACK" }]);
    this.#ended("rolledBack");
  }

  /** Resolves when nothing that was given up can reach the connection any more. */
  async settled(): Promise<void> {
    if (this.#runner.ending) await this.#runner.ended();
  }

  /** Runs statements that undo something. Never throws: where one fails, the connection is cut. */
  async undo(statements: readonly Statement[]): Promise<void> {
    const { session, settings } = this.#runner;
    if (session.death) return;
    try {
      await this.#runner.withinOrCut(session.start(statements).results, settings.cancelTimeoutMs);
    } catch (error) {
      const failed = new RollbackFailedError(error);
      session.destroy(failed);
      this.#options.report(failed);
    }
  }

  #giveUp(reason: unknown): void {
    if (this.outcome || this.#reason) return;
    this.#reason = { reason };
    if (this.committing) {
      const { clock, cancelTimeoutMs, deadlines } = this.#runner.settings;
      const expired = () => this.#runner.session.destroy(new Error("COMMIT was not answered in time"));
      this.#lastMoment = { at: clock.now() + cancelTimeoutMs, expired };
      deadlines.add(this.#lastMoment);
      return;
    }
    this.#givenUp.reject(reason);
    void this.#runner.giveUp(reason);
  }

  #ended(outcome: TransactionOutcome): void {
    this.outcome ??= outcome;
  }
}
