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
} from "../errors/transaction_error.ts";
import { checkCaller, type Timer } from "../../resilience/mod.ts";
import type { QueryResult, Statement } from "../wire/query_result.ts";
import type { PendingResult } from "../wire/wire_request.ts";
import { outlivesTransactionError, type StatementTraits } from "../wire/statement_traits.ts";
import { walPositionBehind } from "../connection/session.ts";
import type { WriteOptions } from "../query/query_options.ts";
import { observeLeased, type StatementObservers } from "../query/statement_observer.ts";
import type { StatementRunner } from "../query/statement_runner.ts";
import type { TransactionOwner } from "./current_transaction.ts";
import { COMMIT } from "./transaction_options.ts";

/** The outcome of a transaction. */
export type TransactionOutcome =
  | "committed"
  | "rolledBack"
  /** COMMIT was sent and not answered. */
  | "unknown";

/** Outcomes and durations of transactions, since the manager was created. */
export interface TransactionStats {
  /** The number of commits. */
  readonly committed: number;
  /** The number of rollbacks. */
  readonly rolledBack: number;
  /** COMMIT was not answered. */
  readonly unknown: number;
  /** The duration of all transactions together, in ms. */
  readonly totalMs: number;
  /** The longest duration, in ms. */
  readonly longestMs: number;
}

/** Counts transactions. */
export class TransactionCounters {
  readonly #counts: Record<TransactionOutcome, number> = { committed: 0, rolledBack: 0, unknown: 0 };
  #totalMs = 0;
  #longestMs = 0;

  /** Counts a transaction. */
  add(outcome: TransactionOutcome, durationMs: number): void {
    this.#counts[outcome]++;
    this.#totalMs += durationMs;
    this.#longestMs = Math.max(this.#longestMs, durationMs);
  }

  /** Returns the counts so far. */
  snapshot(): TransactionStats {
    return Object.freeze({ ...this.#counts, totalMs: this.#totalMs, longestMs: this.#longestMs });
  }
}

/** Owner and bounds of a transaction. */
export interface ScopeOptions {
  /** The pool and the identity that run it. */
  readonly owner: TransactionOwner;
  /** True if it acts for a signed-in user. */
  readonly isUser: boolean;
  /** Aborts the transaction: cancels what runs, and rolls back. */
  readonly signal: AbortSignal | undefined;
  /** The time limit of the whole of it, in ms; `Infinity` for none. */
  readonly timeoutMs: number;
  /** The whole allowance, in ms, where earlier attempts used some of it. */
  readonly allowedMs: number;
  /** The default time limit of one statement, in ms. */
  readonly queryTimeoutMs: number;
  /** See `WriteOptions`. */
  readonly onWalPosition: WriteOptions["onWalPosition"];
  /** The observers of its statements. Default: none. */
  readonly observers?: StatementObservers | undefined;
}

/** A transaction as its connection sees it; {@linkcode Transaction} is its public face. */
export class TransactionScope implements Disposable {
  /** Statements to send with the next one, under the same Sync: BEGIN and its settings, savepoints. */
  readonly before: Statement[];
  readonly signal: AbortSignal | undefined;
  /** The pool and the identity that run it. */
  readonly owner: TransactionOwner;
  /** The outcome, once it has ended. */
  outcome: TransactionOutcome | undefined = undefined;

  readonly #runner: StatementRunner;
  readonly #options: ScopeOptions;
  readonly #deadline: Timer;
  /** Rejects the function of the transaction. */
  #rejectWork: ((reason: unknown) => void) | undefined = undefined;
  readonly #onAbort = () => this.#abort(this.signal?.reason);
  #reason: { readonly reason: unknown } | undefined = undefined;
  /** Closes the connection if COMMIT has no answer after an abort. */
  #commitDeadline: Timer | undefined = undefined;
  /** The statements sent {@linkcode before} another one, by their text: the request that they are in, and where. */
  readonly #sentBefore = new Map<string, { readonly pending: PendingResult; readonly index: number }>();
  /** Statements that failed, or whose result has not reached the function. */
  readonly #unsettled = new Set<PendingResult>();
  #begun = false;
  /** True once COMMIT was sent: if the connection breaks before that, the server rolls back. */
  #committing = false;
  #levels = 0;

  /** @param begin The statements that begin it. They are sent with the first statement. */
  constructor(runner: StatementRunner, begin: readonly Statement[], options: ScopeOptions) {
    const { owner, signal, timeoutMs, allowedMs } = options;
    this.before = [...begin];
    this.owner = owner;
    this.signal = signal;
    this.#runner = runner;
    this.#options = options;
    const { deadlines } = runner.settings;
    this.#deadline = deadlines.start(timeoutMs, () => this.#abort(new TransactionTimeoutError(allowedMs)));
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (signal?.aborted) this.#onAbort();
  }

  [Symbol.dispose](): void {
    this.#deadline.cancel();
    this.#commitDeadline?.cancel();
    this.signal?.removeEventListener("abort", this.#onAbort);
  }

  /** Returns the number of the next savepoint. */
  nextLevel(): number {
    return ++this.#levels;
  }

  /**
   * Waits for the function of the transaction, until the transaction is aborted. `abortable` would need a controller
   * and a listener, which cost a transaction 1 µs.
   */
  wait<T>(work: PromiseLike<T> | T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#rejectWork = reject;
      if (this.#reason) reject(this.#reason.reason);
      // Also after that, so that its rejection is handled.
      Promise.resolve(work).then(resolve, reject);
    });
  }

  /**
   * Checks that a statement may be sent here: the transaction may have begun outside of what sends it.
   *
   * @throws {SharedLoaderError} when it acts for a user, and is used in a loader of the shared cache.
   */
  checkCaller(): void {
    if (this.#options.isUser) checkCaller();
  }

  /**
   * Notes whether a statement may leave state on the connection.
   *
   * @throws {StatementError} when it would, and the session belongs to a pooler.
   */
  checkState(traits: StatementTraits): void {
    const { connection } = this.#runner;
    if (traits.outlivesTransaction && !connection.ownsSession) throw outlivesTransactionError();
    if (traits.mayLeaveState) connection.mayHoldState = true;
  }

  /**
   * Runs a statement behind the statements {@linkcode before} it.
   *
   * @param signal Aborts it.
   * @throws {TransactionRolledBackError} when the transaction has ended: nothing may run outside it.
   */
  run(
    statement: Statement,
    timeoutMs: number = this.#options.queryTimeoutMs,
    signal?: AbortSignal,
  ): Promise<QueryResult> {
    const observer = this.#options.observers?.current;
    if (!observer) return this.#run(statement, timeoutMs, signal);
    const work = { kind: "statement", texts: [statement.text] } as const;
    return observeLeased(observer, this.#runner.settings.clock, work, () => this.#run(statement, timeoutMs, signal));
  }

  async #run(statement: Statement, timeoutMs: number, signal: AbortSignal | undefined): Promise<QueryResult> {
    if (this.#reason) throw this.#reason.reason;
    const before = this.before.splice(0);
    const pending = this.#runner.connection.start([...before, statement]);
    this.#unsettled.add(pending);
    // If it could not be sent, the next statement has to begin the transaction.
    if (pending.sent) {
      this.#begun = true;
      for (const [index, { text }] of before.entries()) this.#sentBefore.set(text, { pending, index });
    } else this.before.unshift(...before);
    try {
      const results = await this.#runner.awaitResult(pending, { signal, timeoutMs });
      if (pending.statusAfter === "idle") this.#endedAtServer(new TransactionEndedError());
      this.#unsettled.delete(pending);
      const result = results.at(-1);
      if (result) return result;
      throw new TransactionRolledBackError(undefined);
    } catch (error) {
      if (pending.statusAfter === "idle") this.#endedAtServer(new TransactionRolledBackError(error));
      throw error;
    }
  }

  /**
   * Returns whether a statement sent {@linkcode before} another one has taken effect. It reads the request itself: the
   * promise of its result may not have notified anyone yet.
   */
  tookEffect({ text }: Statement): boolean {
    const sent = this.#sentBefore.get(text);
    if (!sent) return false;
    const { settled, failedAt } = sent.pending;
    return !settled || failedAt < 0 || sent.index < failedAt;
  }

  /** Notes that the transaction has ended at the server: later statements would run outside it, and not as the caller. */
  #endedAtServer(error: Error): void {
    this.#reason ??= { reason: error };
  }

  /**
   * Commits. COMMIT is never canceled, since that could leave its outcome unknown.
   *
   * @param failure Returns the first error of a statement, which the function may have caught.
   */
  async commit(failure: () => unknown): Promise<void> {
    if (this.#reason) {
      await this.rollback();
      throw this.#reason.reason;
    }
    if (!this.#begun) return this.#ended("committed");
    this.#committing = true;
    let results: QueryResult[];
    const { connection } = this.#runner;
    const { onWalPosition } = this.#options;
    const pending = connection.start([COMMIT], onWalPosition !== undefined);
    onWalPosition?.(walPositionBehind(connection));
    try {
      results = await this.#runner.awaitOrDestroy(pending.results, this.#options.queryTimeoutMs);
    } catch (error) {
      // It was not sent, or the server refused it and waited for the next statement.
      if (!pending.sent || pending.statusAfter !== undefined) {
        this.#ended("rolledBack");
        throw error;
      }
      this.#ended("unknown");
      connection.destroy(error instanceof Error ? error : new Error("COMMIT had no result"));
      throw new CommitOutcomeUnknownError(error);
    }
    if (results.at(-1)?.command === "COMMIT") return this.#ended("committed");
    this.#ended("rolledBack");
    throw new TransactionRolledBackError(failure() ?? this.#firstError());
  }

  /** Returns the first error of a statement that the function did not await. */
  #firstError(): Error | undefined {
    for (const { error } of this.#unsettled) if (error) return error;
    return undefined;
  }

  /** Rolls back. Never throws: where it fails, the connection is closed, and the server rolls back. */
  async rollback(): Promise<void> {
    // A statement that its caller did not await would delay the rollback.
    await this.#runner.cancelAll(this.#reason?.reason ?? new TransactionEndedError());
    // BEGIN itself may have failed, or a statement may have ended the transaction.
    if (this.#begun && !this.#runner.connection.isIdle) await this.undo([{ text: "ROLLBACK" }]);
    this.#ended("rolledBack");
  }

  /** Resolves when no aborted statement can reach the connection any more. */
  settled(): Promise<void> {
    return this.#runner.ended();
  }

  /** Runs statements that undo others. Never throws: where one fails, the connection is closed. */
  async undo(statements: readonly Statement[]): Promise<void> {
    const { connection, settings } = this.#runner;
    if (connection.death) return;
    const failed = (error: unknown) => new RollbackFailedError(error);
    try {
      await this.#runner.awaitOrDestroy(connection.start(statements).results, settings.cancelTimeoutMs, failed);
    } catch (error) {
      connection.destroy(failed(error));
    }
  }

  #abort(reason: unknown): void {
    if (this.outcome || this.#reason) return;
    this.#reason = { reason };
    if (this.#committing) {
      const { cancelTimeoutMs, deadlines } = this.#runner.settings;
      this.#commitDeadline = deadlines.start(cancelTimeoutMs, () => {
        this.#runner.connection.destroy(new Error("COMMIT had no result in time"));
      });
      return;
    }
    this.#rejectWork?.(reason);
    void this.#runner.cancelAll(reason);
  }

  #ended(outcome: TransactionOutcome): void {
    this.outcome ??= outcome;
  }
}
