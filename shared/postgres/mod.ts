/**
 * Direct Postgres: connections, transactions, and statements as the caller.
 *
 * @module
 */

// The connections of one login, and of several priorities.
export { PostgresConnectionManager } from "./manager.ts";
export type { ManagerEvents } from "./manager_events.ts";
export { OPERATION_TYPES, type OperationType, type PoolOverrides, PostgresPools } from "./pools.ts";
export {
  type LeasedSession,
  type ServerState,
  serverStateOf,
  type TargetSessionAttributes,
} from "./connection/session.ts";
export { type ConnectionQueryOptions, PostgresConnection } from "./connection/connection.ts";
export type { PostgresHealth, PostgresPool, PostgresQueries, PostgresStats, TransactionWork } from "./postgres_pool.ts";
export type { ConnectionLimitStats } from "./connection/connection_pool.ts";
export type { PostgresCircuitStats } from "./connection/target_circuit.ts";
export {
  type BusyTime,
  CircuitBreaker,
  type CircuitEvents,
  CircuitOpenError,
  type CircuitSnapshot,
  type RetryBudgetStats,
} from "../resilience/mod.ts";

// Configuration.
export { parsePostgresConfig } from "./config/config.ts";
export {
  DEFAULT_POSTGRES_CONFIG,
  type PoolMode,
  POSTGRES_PRESETS,
  type PostgresConfig,
  type PostgresOptionAliases,
  type PostgresOptions,
  type PostgresPresetName,
  type TlsOptions,
  withoutAliases,
} from "./config/options.ts";
export { configOfUrl } from "./config/config_url.ts";
export {
  EDGE_PRIORITIES,
  type PostgresEnvironment,
  type PriorityOverrides,
  readPostgresEnvironment,
} from "./config/environment.ts";
export { type PostgresSwitch, switchedOffPostgres } from "./config/switches.ts";
export type { ConnectFunction, ConnectTarget } from "./wire/server_stream.ts";
export type { Variables } from "../environment/mod.ts";

// Queries.
export type { ObservedTimes, ObservedWork, StatementObserver } from "./query/statement_observer.ts";
export {
  captureList,
  type LeaseOptions,
  type ListedStatement,
  type QueryOptions,
  type StatementOptions,
  type TransactionOptions,
  type WorkOptions,
  type WorkOwner,
  type WriteOptions,
} from "./query/query_options.ts";
export { captureValues } from "./wire/captured_values.ts";
export { classifyPostgresFailure, drawsOnBudget, type ExecuteOptions } from "./query/attempts.ts";
export { createSql, type RunSql, sql, SqlFragment, type SqlHelpers, SqlQuery, type SqlTag } from "./query/sql.ts";
export {
  type Column,
  type ParamType,
  type QueryResult,
  type ResultRows,
  type Row,
  toRows,
} from "./wire/query_result.ts";
export type { TypeOverride, TypeOverrides } from "./types/registry.ts";

// Transactions.
export { Transaction, type TransactionQueryOptions } from "./transaction/transaction.ts";
export { joinContext, runInContext, type TransactionContext } from "./transaction/current_transaction.ts";
export type { TransactionStats } from "./transaction/transaction_scope.ts";
export type { BeginOptions, IsolationLevel } from "./transaction/transaction_options.ts";

// Statements as the caller.
export type { Caller } from "./caller/caller.ts";
export { CALLER_ROLES } from "./caller/claims.ts";
export type { CallerRequest } from "./caller/request_settings.ts";

// Errors.
export { CallerError, LoginRoleError, RoleSettingError } from "./errors/caller_error.ts";
export {
  ConnectionBrokenError,
  ConnectionError,
  ConnectionLostError,
  ConnectLimitError,
  ConnectTimeoutError,
  LoginsRefusedError,
  SessionUnsuitableError,
} from "./errors/connection_error.ts";
export { PostgresError, type PostgresErrorCode, type PostgresErrorFields } from "./errors/server_error.ts";
export { QueryTimeoutError, ResultTooLargeError, StatementError } from "./errors/statement_error.ts";
export {
  CommitOutcomeUnknownError,
  NestedTransactionOpenError,
  OutsideTransactionError,
  RollbackFailedError,
  TransactionEndedError,
  TransactionOpenError,
  TransactionRolledBackError,
  TransactionTimeoutError,
} from "./errors/transaction_error.ts";
export {
  PoolerError,
  PoolerLostServerError,
  PoolerRefusedError,
  PoolerUnavailableError,
} from "./errors/pooler_error.ts";
export { TlsError, TlsNotOfferedError, TlsUnverifiedError } from "./errors/tls_error.ts";
export { DecodeError } from "./types/value_error.ts";

// Values.
export type { Circle, Point } from "./types/geometry.ts";
export { type IntervalParts, PostgresInterval } from "./types/interval.ts";
export type { PostgresRange } from "./types/range.ts";
