/**
 * Which HTTP status an error of the database is answered with.
 *
 * @module
 */

/**
 * SQLSTATE, by code or by class (two characters), to status. A code wins over
 * its class. Source: PostgREST reference, "Errors", "HTTP Status Codes".
 */
const BY_SQLSTATE: ReadonlyMap<string, number> = new Map([
  ["08", 503], // connection_exception
  ["0L", 403], // invalid_grantor
  ["0P", 403], // invalid_role_specification
  ["22", 400], // data_exception
  ["23502", 400], // not_null_violation
  ["23503", 409], // foreign_key_violation
  ["23505", 409], // unique_violation
  ["23514", 400], // check_violation
  ["25006", 405], // read_only_sql_transaction
  ["28", 403], // invalid_authorization_specification
  ["42501", 403], // insufficient_privilege
  ["53", 503], // insufficient_resources
  ["53400", 500], // configuration_limit_exceeded
  ["54", 500], // program_limit_exceeded
  ["57014", 504], // query_canceled: the statement timeout
  ["57P01", 503], // admin_shutdown
  ["57P03", 503], // cannot_connect_now
  ["P0001", 400], // raise_exception
]);

/** The status for a SQLSTATE, or `undefined` where the table says nothing. */
export function statusOfCode(code: string): number | undefined {
  // RAISE SQLSTATE 'PTnnn' asks for a status.
  const asked = /^PT([45]\d\d)$/.exec(code)?.[1];
  if (asked !== undefined) return Number(asked);
  return BY_SQLSTATE.get(code) ?? (/^[0-9A-Z]{5}$/.test(code) ? BY_SQLSTATE.get(code.slice(0, 2)) : undefined);
}
