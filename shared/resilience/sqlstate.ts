/**
 * The meaning of SQLSTATEs, which errors of the Data API and of connections have in common.
 *
 * @module
 */
import type { FailureKind } from "./failure_table.ts";

/** The meaning of a SQLSTATE. */
export interface SqlstateMeaning {
  /** The retry class of the failed statement. */
  readonly retry: FailureKind;
  /** The HTTP status the Data API gives it, or `undefined` where it has no rule. */
  readonly status: number | undefined;
}

/** One row: a SQLSTATE or a class (two characters), its meaning, and its name. */
export type SqlstateRow = readonly [code: string, retry: FailureKind, status: number | undefined, name: string];

/**
 * SQLSTATE, by code or by class. A code wins over its class.
 *
 * Sources: PostgreSQL, appendix A "PostgreSQL Error Codes"; PostgREST reference, "Errors", "HTTP Status Codes".
 */
export const SQLSTATES: readonly SqlstateRow[] = [
  ["08", "ambiguous", 503, "connection_exception: it broke at an unknown moment"],
  ["08001", "transient", 503, "sqlclient_unable_to_establish_sqlconnection"],
  ["08004", "transient", 503, "sqlserver_rejected_establishment_of_sqlconnection"],
  ["08P01", "permanent", 503, "protocol_violation"],
  ["0L", "permanent", 403, "invalid_grantor"],
  ["0P", "permanent", 403, "invalid_role_specification"],
  ["22", "permanent", 400, "data_exception"],
  ["23502", "permanent", 400, "not_null_violation"],
  ["23503", "permanent", 409, "foreign_key_violation"],
  ["23505", "permanent", 409, "unique_violation"],
  ["23514", "permanent", 400, "check_violation"],
  ["25006", "permanent", 405, "read_only_sql_transaction"],
  ["28", "permanent", 403, "invalid_authorization_specification"],
  ["40001", "transient", undefined, "serialization_failure: rolled back, meant to be retried"],
  ["40003", "ambiguous", undefined, "statement_completion_unknown"],
  ["40P01", "transient", undefined, "deadlock_detected: rolled back"],
  ["42501", "permanent", 403, "insufficient_privilege"],
  ["53", "permanent", 503, "insufficient_resources"],
  ["53000", "transient", 503, "insufficient_resources"],
  ["53200", "transient", 503, "out_of_memory"],
  ["53300", "transient", 503, "too_many_connections"],
  ["53400", "permanent", 500, "configuration_limit_exceeded"],
  ["54", "permanent", 500, "program_limit_exceeded"],
  ["55P03", "transient", undefined, "lock_not_available"],
  ["57014", "permanent", 504, "query_canceled: a statement that was too slow is too slow again"],
  ["57P01", "ambiguous", 503, "admin_shutdown"],
  ["57P02", "ambiguous", undefined, "crash_shutdown"],
  ["57P03", "transient", 503, "cannot_connect_now: starting up or recovering"],
  ["57P05", "transient", undefined, "idle_session_timeout: nothing was running"],
  ["58", "ambiguous", undefined, "system_error"],
  ["P0001", "permanent", 400, "raise_exception"],
];

/** Five characters with a digit among them: `EPIPE` is not a SQLSTATE. */
const SQLSTATE_FORM = /^(?=.*\d)[0-9A-Z]{5}$/;

let index: ReadonlyMap<string, SqlstateMeaning> | undefined;

/** Returns the meaning of a SQLSTATE, or `undefined` if `code` is not one. A SQLSTATE without a row is permanent. */
export function sqlstateMeaning(code: string): SqlstateMeaning | undefined {
  if (!SQLSTATE_FORM.test(code)) return undefined;
  // RAISE SQLSTATE 'PTnnn' asks for a status.
  const asked = /^PT([45]\d\d)$/.exec(code)?.[1];
  if (asked !== undefined) return { retry: "permanent", status: Number(asked) };
  // Built at the first failure: an isolate starts faster without it.
  index ??= new Map(SQLSTATES.map(([key, retry, status]) => [key, { retry, status }]));
  return index.get(code) ?? index.get(code.slice(0, 2)) ?? { retry: "permanent", status: undefined };
}
