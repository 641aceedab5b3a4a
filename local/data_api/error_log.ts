/**
 * The errors of the Data API that its log shows.
 *
 * @module
 */

/** The codes of Postgres and of PostgREST. */
const CALLERS_CODE = /^(?:[0-9A-Z]{5}|PGRST\d{3})$/;
/** An error of PostgREST that the Data API throws without its code, PGRST205. */
const ABSENT_TABLE = /^Could not find the table '.*' in the schema cache$/;

/**
 * Returns the line that the log shows for an error, `undefined` for an error of the caller: the response reports it, and
 * details of database errors hold values of rows. The health check of every pool asks for a table that does not exist.
 */
export function errorLine(error: Error): string | undefined {
  if ("code" in error && typeof error.code === "string" && CALLERS_CODE.test(error.code)) return undefined;
  return ABSENT_TABLE.test(error.message) ? undefined : `${error.name}: ${error.message}`;
}
