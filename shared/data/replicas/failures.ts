/**
 * Judges failures: whether a target is away, and whether a call may run on another one.
 *
 * @module
 */
import {
  CircuitOpenError,
  classifyPostgresFailure,
  CommitOutcomeUnknownError,
  ConnectionBrokenError,
  ConnectionError,
  ConnectionLostError,
  ConnectTimeoutError,
  PoolerError,
  PostgresError,
  QueryTimeoutError,
  SessionUnsuitableError,
  TlsError,
  TransactionTimeoutError,
} from "../../postgres/mod.ts";
import { AcquireTimeoutError, CreateFailedError, QueueFullError } from "../../pool/mod.ts";
import { TargetDownError, TargetRoleError } from "./errors.ts";

/** SQLSTATE `read_only_sql_transaction`. */
const READ_ONLY = "25006";

/** The server ended the connection, or accepts none: classes 08 and 57P, without `query_canceled` (57014). */
const AWAY = /^(08|57P)/;

/** SQLSTATEs of a statement that is not possible on a standby: it writes, needs a primary, or is serializable. */
const NOT_ON_STANDBY: ReadonlySet<string> = new Set([READ_ONLY, "55000", "0A000"]);

/** SQLSTATEs of a recovery conflict: the standby has canceled the statement, or its transaction. */
const CONFLICTS: ReadonlySet<string> = new Set(["40001", "40P01"]);

function sqlstateOf(error: unknown): string {
  return error instanceof PostgresError ? error.code : "";
}

/** Returns whether the pool of a target has no connection to spare, which says nothing about its server. */
export function isBusy(error: unknown): boolean {
  return error instanceof AcquireTimeoutError || error instanceof QueueFullError || sqlstateOf(error) === "53300";
}

/**
 * Returns whether the server could not be reached, or the connection to it was lost, or was closed since the options of the
 * target want another kind of server (`targetSessionAttrs`).
 */
export function isAway(error: unknown): boolean {
  return error instanceof ConnectionError || error instanceof ConnectTimeoutError ||
    error instanceof ConnectionLostError || error instanceof ConnectionBrokenError ||
    error instanceof CircuitOpenError || error instanceof TlsError || error instanceof PoolerError ||
    error instanceof CreateFailedError || error instanceof CommitOutcomeUnknownError ||
    error instanceof SessionUnsuitableError ||
    error instanceof TargetDownError || AWAY.test(sqlstateOf(error));
}

/**
 * Returns whether a failed call shows how fast its target responds: the server has answered, or did not in time. Other calls
 * ended before that, in the client.
 */
export function isAnswer(error: unknown): boolean {
  return (error instanceof PostgresError && !isBusy(error)) || error instanceof AcquireTimeoutError ||
    error instanceof QueryTimeoutError || error instanceof TransactionTimeoutError;
}

/** Returns whether the server rejected a write because it accepts none. It took no effect. */
export function isReadOnlyRejection(error: unknown): boolean {
  return sqlstateOf(error) === READ_ONLY;
}

/** Returns whether the call was certainly not sent, or had no effect, because of its target: it may run on another one. */
export function isUnsent(error: unknown): boolean {
  if (error instanceof TargetRoleError) return true;
  return isAway(error) && classifyPostgresFailure(error) === "transient";
}

/** Returns whether a read may run on another target after this failure. */
export function isElsewhere(error: unknown, onStandby: boolean): boolean {
  if (error instanceof TargetRoleError || isAway(error) || isBusy(error)) return true;
  return onStandby && needsPrimary(error);
}

/** Returns whether a statement failed on a standby for a reason that there is only there. */
export function needsPrimary(error: unknown): boolean {
  const code = sqlstateOf(error);
  return NOT_ON_STANDBY.has(code) || CONFLICTS.has(code);
}
