/**
 * Runs a whole transaction in one round trip.
 *
 * @module
 */
import { CommitOutcomeUnknownError, TransactionRolledBackError } from "../errors/errors.ts";
import type { Bounds, StatementRunner } from "../query/statement_runner.ts";
import type { QueryResult, Statement } from "../wire/query_result.ts";
import type { TransactionOutcome } from "./transaction_scope.ts";

/** The outcome of a pipelined transaction. */
export interface PipelinedOutcome {
  readonly outcome: TransactionOutcome;
  /** One result per statement, if it was committed. */
  readonly results: QueryResult[];
  /** The error to throw, unless it was committed. */
  readonly error: unknown;
  /** True if it had no effect and is safe to resend. */
  readonly safeToResend: boolean;
}

const COMMIT: Statement = { text: "COMMIT" };

/**
 * Sends what begins a transaction, its statements and COMMIT under one Sync: after the first that fails, none runs,
 * COMMIT included. The caller rolls back what was not committed.
 */
export async function runPipelinedTransaction(
  runner: StatementRunner,
  begin: readonly Statement[],
  statements: readonly Statement[],
  bounds: Bounds,
): Promise<PipelinedOutcome> {
  const all = [...begin, ...statements, COMMIT];
  const pending = runner.connection.start(all);
  let results: QueryResult[];
  try {
    results = await runner.awaitResult(pending, bounds);
  } catch (error) {
    const { failedAt, statusAfter, sent } = pending;
    // An error of the server shows how far it came. Only a COMMIT without an answer leaves a doubt.
    const refused = failedAt >= 0 && (failedAt < all.length - 1 || statusAfter !== undefined);
    if (refused || !sent) {
      return { outcome: "rolledBack", results: [], error, safeToResend: pending.isSafeToResend(error) };
    }
    return { outcome: "unknown", results: [], error: new CommitOutcomeUnknownError(error), safeToResend: false };
  }
  if (results.at(-1)?.command !== COMMIT.text) {
    return {
      outcome: "rolledBack",
      results: [],
      error: new TransactionRolledBackError(undefined),
      safeToResend: false,
    };
  }
  return { outcome: "committed", results: results.slice(begin.length, -1), error: undefined, safeToResend: false };
}
