/**
 * Direct Postgres: connections, transactions, acting as the caller.
 *
 * @module
 */
export type { ExecuteOptions } from "./attempts.ts";
export { PostgresConnectionManager, type PostgresStats } from "./manager.ts";
export { type Caller, CALLER_ROLES } from "./caller.ts";
export {
  DEFAULT_POSTGRES_CONFIG,
  parsePostgresConfig,
  type PoolMode,
  POSTGRES_PRESETS,
  type PostgresConfig,
  type PostgresPresetName,
  type TlsOptions,
} from "./config.ts";
export { PostgresConnection } from "./connection.ts";
export {
  type PostgresEnvironment,
  type PriorityOverrides,
  readPostgresEnvironment,
  type Variables,
} from "./environment.ts";
export * from "./errors.ts";
export type { ManagerEvents, PostgresHealth } from "./events.ts";
export type { PostgresQueries, TransactionWork } from "./executor.ts";
export type { ListedStatement, QueryOptions, TransactionOptions, WorkOptions } from "./query_options.ts";
export type { Column, QueryResult, Row } from "./query_result.ts";
export { Transaction, type TransactionQueryOptions } from "./transaction.ts";
export type { TransactionStats } from "./transaction_figures.ts";
export type { BeginOptions, IsolationLevel } from "./transaction_options.ts";
export { PoolerError } from "./pooler_error.ts";
export { TlsError } from "./tls_error.ts";
export { OPERATION_TYPES, type OperationType, type PoolOverrides, PostgresPools } from "./pools.ts";
