/**
 * Direct Postgres: connections, transactions, acting as the caller.
 *
 * @module
 */
export type { ExecuteOptions } from "./query/attempts.ts";
export { PostgresConnectionManager, type PostgresStats } from "./manager.ts";
export { type Caller, CALLER_ROLES } from "./caller/caller.ts";
export {
  DEFAULT_POSTGRES_CONFIG,
  parsePostgresConfig,
  type PoolMode,
  POSTGRES_PRESETS,
  type PostgresConfig,
  type PostgresPresetName,
  type TlsOptions,
} from "./config/config.ts";
export { PostgresConnection } from "./connection/connection.ts";
export {
  type PostgresEnvironment,
  type PriorityOverrides,
  readPostgresEnvironment,
  type Variables,
} from "./config/environment.ts";
export * from "./errors/errors.ts";
export type { ManagerEvents, PostgresHealth } from "./events.ts";
export type { PostgresQueries, TransactionWork } from "./query/executor.ts";
export type { ListedStatement, QueryOptions, TransactionOptions, WorkOptions } from "./query/query_options.ts";
export type { Column, QueryResult, Row } from "./wire/query_result.ts";
export { Transaction, type TransactionQueryOptions } from "./transaction/transaction.ts";
export type { TransactionStats } from "./transaction/transaction_figures.ts";
export type { BeginOptions, IsolationLevel } from "./transaction/transaction_options.ts";
export { PoolerError } from "./errors/pooler_error.ts";
export { TlsError } from "./errors/tls_error.ts";
export { OPERATION_TYPES, type OperationType, type PoolOverrides, PostgresPools } from "./pools.ts";
