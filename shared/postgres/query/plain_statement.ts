/**
 * Statements for nobody in particular, each a transaction of its own.
 *
 * @module
 */
import type { Lease, ResourcePool } from "../../pool/mod.ts";
import { TransactionOpenError } from "../errors/errors.ts";
import type { QueryOptions } from "./query_options.ts";
import type { QueryResult, Statement } from "../wire/query_result.ts";
import type { Session } from "../connection/session.ts";
import { emptied, explainLoss, leaseShared } from "../connection/session_lease.ts";
import { mayLeaveState } from "../connection/session_state.ts";
import type { Sharing } from "./sharing.ts";
import { checkInTransaction, checkText, checkWithoutSession } from "../wire/statement_encoding.ts";
import { type Bounds, type RunnerSettings, StatementRunner } from "./statement_runner.ts";

/** What statements that share connections run on. */
export interface SharedParts {
  readonly pool: ResourcePool<Session>;
  readonly sharing: Sharing;
  readonly runner: RunnerSettings;
}

/** One statement, perhaps behind others on the same connection. */
export async function runShared(
  { pool, sharing, runner: settings }: SharedParts,
  statement: Statement,
  bounds: Bounds,
  options: QueryOptions,
): Promise<QueryResult> {
  checkInTransaction(statement.text);
  for (;;) {
    bounds.signal?.throwIfAborted();
    const free = sharing.tryLease(options.lane);
    let since = free ? undefined : settings.clock.now();
    const lease = free ?? await leaseShared(pool, options);
    const { resource: session } = lease;
    if (!session.owned) orRelease(lease, () => checkWithoutSession(statement.text));
    const most = session.statements.mostInFlight(statement.text);
    if (most === 1 && !session.quiet) {
      since ??= settings.clock.now();
      await emptied(lease, pool, options, settings.clock, since);
    }
    session.used = true;
    if (most === 1) session.dirty ||= mayLeaveState(statement.text);
    const running = session.start([statement], most > 1);
    if (most > 1) sharing.offer(lease, session, most, free === undefined);
    const runner = new StatementRunner(session, settings);
    try {
      return only(await runner.follow(running, bounds, most > 1));
    } catch (error) {
      // By now the connection may be another one's: it is sent again on whichever comes.
      if (!running.mayRepeat(error)) throw explainLoss(error, lease);
    } finally {
      if (runner.ending) void runner.ended().then(() => sharing.end(lease, session));
      else sharing.end(lease, session);
    }
  }
}

/** Checks something; where that throws, the lease is given back. */
function orRelease(lease: Lease<Session>, check: () => void): void {
  try {
    check();
  } catch (error) {
    lease[Symbol.dispose]();
    throw error;
  }
}

/**
 * Runs a statement for nobody in particular on a connection that its holder has alone.
 *
 * @throws {TransactionOpenError} while a transaction is open on it.
 */
export async function runPlain(
  session: Session,
  settings: RunnerSettings,
  statement: Statement,
  bounds: Bounds,
): Promise<QueryResult> {
  checkText(statement.text);
  if (session.inTransaction) throw new TransactionOpenError();
  if (!session.owned) checkWithoutSession(statement.text);
  session.used = true;
  session.dirty ||= mayLeaveState(statement.text);
  for (;;) {
    bounds.signal?.throwIfAborted();
    const running = session.start([statement]);
    try {
      return only(await new StatementRunner(session, settings).follow(running, bounds));
    } catch (error) {
      if (!running.mayRepeat(error) || session.status !== "idle") throw error;
    }
  }
}

function only([result]: readonly QueryResult[]): QueryResult {
  if (!result) throw new Error("a statement was answered without a result");
  return result;
}
