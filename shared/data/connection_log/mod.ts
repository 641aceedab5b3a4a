/**
 * The log of connections to Postgres, in a table that the Data API does not expose. An entry point of its own: a function
 * that does not import it uploads and loads none of it.
 *
 * @module
 */
export { ConnectionLog, type ConnectionLogOptions } from "./connection_log.ts";
export { ConnectionLogClosedError } from "./errors.ts";
export { CONNECTION_LOG_STATUSES, type ConnectionLogStatus } from "./log_rows.ts";
export type { Clock } from "../../resilience/mod.ts";
export type { PostgresOptions } from "../../postgres/mod.ts";
