/**
 * Runs a whole transaction in one round trip.
 *
 * @module
 */
import { CommitOutcomeUnknownError, TransactionRolledBackError } from "../errors/transaction_error.ts";
import type { Bounds, StatementRunner } from "../query/statement_runner.ts";
import type { QueryResult, Statement } from "../wire/query_result.ts";
import { COMMIT } from "./transaction_options.ts";
import type { PendingResult } from "../wire/wire_request.ts";
import type { TransactionOutcome } from "./transaction_scope.ts";

/** The outcome of a pipelined transaction. */
export interface PipelinedOutcome {
  readonly outcome: TransactionOutcome;
  /** One result per statement, if it was committed and they could be read. */
  readonly results: QueryResult[];
  /** The error to throw; `undefined` if there are results. */
  readonly error: unknown;
  /** True if it had no effect and is safe to resend. */
  readonly safeToResend: boolean;
}

/**
 * Sends what begins a transaction and its statements under one Sync, so that after the first that fails none runs, and
 * COMMIT behind it. In a transaction that has failed, COMMIT is a rollback (PostgreSQL, "COMMIT"): whatever happens, the
 * transaction has ended once COMMIT is answered, and what is sent behind it depends on nothing.
 *
 * @param onSent Called when all has been sent, to send more.
 */
export async function runPipelinedTransaction(
  runner: StatementRunner,
  begin: readonly Statement[],
  statements: readonly Statement[],
  bounds: Bounds,
  onSent: () => void = () => {},
): Promise<PipelinedOutcome> {
  const { connection, settings: { clock, cancelTimeoutMs } } = runner;
  const started = bounds.timeoutMs === Infinity ? 0 : clock.now();
  const pending = connection.start([...begin, ...statements], true, true);
  const commit = pending.sent ? connection.start([COMMIT]) : undefined;
  commit?.results.catch(() => {}); // it is awaited later
  onSent();
  let results: QueryResult[];
  try {
    results = await runner.awaitResult(pending, bounds);
  } catch (error) {
    const ended = commit && await runner.awaitOrDestroy(commit.results, cancelTimeoutMs).catch(() => undefined);
    await endTransaction(runner, commit);
    const isUndone = pending.failedAt >= 0 || !commit?.sent;
    // A cancel request may have hit COMMIT: then the server has rolled back.
    if (isUndone || (commit.statusAfter !== undefined && !isCommitted(ended))) {
      return { outcome: "rolledBack", results: [], error, safeToResend: pending.isSafeToResend(error) };
    }
    // The statements have succeeded, and what they returned cannot be read.
    if (isCommitted(ended)) return { outcome: "committed", results: [], error, safeToResend: false };
    return { outcome: "unknown", results: [], error: new CommitOutcomeUnknownError(error), safeToResend: false };
  }
  if (!commit) throw new TransactionRolledBackError(undefined);
  return await awaitCommit(runner, commit, results.slice(begin.length), {
    ...bounds,
    timeoutMs: Math.max(started + bounds.timeoutMs - clock.now(), 1),
    allowedMs: bounds.allowedMs ?? bounds.timeoutMs,
  });
}

/** Waits for the COMMIT of a transaction whose statements have succeeded. */
async function awaitCommit(
  runner: StatementRunner,
  commit: PendingResult,
  results: QueryResult[],
  bounds: Bounds,
): Promise<PipelinedOutcome> {
  let ended: QueryResult[];
  try {
    ended = await runner.awaitResult(commit, bounds);
  } catch (error) {
    if (commit.sent && commit.statusAfter === undefined) {
      return { outcome: "unknown", results: [], error: new CommitOutcomeUnknownError(error), safeToResend: false };
    }
    await endTransaction(runner, commit);
    return { outcome: "rolledBack", results: [], error, safeToResend: commit.isSafeToResend(error) };
  }
  if (isCommitted(ended)) return { outcome: "committed", results, error: undefined, safeToResend: false };
  return { outcome: "rolledBack", results: [], error: new TransactionRolledBackError(undefined), safeToResend: false };
}

/** Returns whether COMMIT was not a rollback. */
function isCommitted(results: readonly QueryResult[] | undefined): boolean {
  return results?.[0]?.command === COMMIT.text;
}

/**
 * Rolls back where a cancel request has hit COMMIT before the server executed it. The status after COMMIT says so: that of
 * the connection may be the one of a transaction that was sent behind it.
 */
async function endTransaction(runner: StatementRunner, commit: PendingResult | undefined): Promise<void> {
  const { connection, settings } = runner;
  if (connection.death || (commit?.statusAfter ?? connection.status) === "idle") return;
  await runner.awaitOrDestroy(connection.rollback(), settings.cancelTimeoutMs);
}
