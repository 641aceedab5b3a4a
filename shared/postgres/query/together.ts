/**
 * A whole transaction in one round trip.
 *
 * @module
 */
import { CommitOutcomeUnknownError, TransactionRolledBackError } from "../errors/errors.ts";
import type { QueryResult, Statement } from "../wire/query_result.ts";
import type { Bounds, StatementRunner } from "./statement_runner.ts";
import type { TransactionOutcome } from "../transaction/transaction_scope.ts";

/** What became of it. */
export interface TogetherOutcome {
  readonly outcome: TransactionOutcome;
  /** One for each of the statements, if it was committed. */
  readonly results: QueryResult[];
  readonly error: unknown;
  /** Whether it failed through no fault of its own, and may be sent again. */
  readonly again: boolean;
}

const COMMIT: Statement = { text: "COMMIT" };

/**
 * Sends what begins a transaction, its statements and COMMIT under one Sync:
 * whatever fails, nothing behind it runs, COMMIT included. It is left to the
 * caller to roll back what was not committed.
 */
export async function runTogether(
  runner: StatementRunner,
  begin: readonly Statement[],
  statements: readonly Statement[],
  bounds: Bounds,
): Promise<TogetherOutcome> {
  const all = [...begin, ...statements, COMMIT];
  const running = runner.session.start(all);
  let results: QueryResult[];
  try {
    results = await runner.follow(running, bounds);
  } catch (error) {
    const { failedAt, after, sent } = running;
    // An error of the server says how far it came. Only a COMMIT that nobody answered leaves a doubt.
    const refused = failedAt >= 0 && (failedAt < all.length - 1 || after !== undefined);
    if (refused || !sent) {
      return { outcome: "rolledBack", results: [], error, again: running.mayRepeat(error) };
    }
    return { outcome: "unknown", results: [], error: new CommitOutcomeUnknownError(error), again: false };
  }
  if (results.at(-1)?.command !== COMMIT.text) {
    return { outcome: "rolledBack", results: [], error: new TransactionRolledBackError(undefined), again: false };
  }
  return { outcome: "committed", results: results.slice(begin.length, -1), error: undefined, again: false };
}
