/**
 * Direct Postgres: connections, transactions, and statements as the caller.
 *
 * @module
 */

// The connections of one login, and of several priorities.
export { type ManagerEvents, PostgresConnectionManager } from "./manager.ts";
export { OPERATION_TYPES, type OperationType, type PoolOverrides, PostgresPools } from "./pools.ts";
export { PostgresConnection } from "./connection/connection.ts";
export type { PostgresHealth, PostgresPool, PostgresQueries, PostgresStats, TransactionWork } from "./postgres_pool.ts";
export type { ConnectionLimitStats } from "./connection/connection_pool.ts";
export type { PostgresCircuitStats } from "./connection/target_circuit.ts";
export {
  CircuitBreaker,
  type CircuitEvents,
  CircuitOpenError,
  type CircuitSnapshot,
  type RetryBudgetStats,
} from "../resilience/mod.ts";

// Configuration.
export {
  DEFAULT_POSTGRES_CONFIG,
  parsePostgresConfig,
  type PoolMode,
  POSTGRES_PRESETS,
  type PostgresConfig,
  type PostgresOptionAliases,
  type PostgresOptions,
  type PostgresPresetName,
  type TlsOptions,
  withoutAliases,
} from "./config/config.ts";
export { type PostgresEnvironment, type PriorityOverrides, readPostgresEnvironment } from "./config/environment.ts";
export { type PostgresSwitch, switchedOffPostgres } from "./config/switches.ts";
export type { Variables } from "../environment/mod.ts";

// Queries.
export { classifyPostgresFailure, type ExecuteOptions } from "./query/attempts.ts";
export type {
  LeaseOptions,
  ListedStatement,
  QueryOptions,
  StatementOptions,
  TransactionOptions,
  WorkOptions,
} from "./query/query_options.ts";
export type { Column, ParamType, QueryResult, Row } from "./wire/query_result.ts";
export type { TypeOverride, TypeOverrides } from "./types/registry.ts";

// Transactions.
export { Transaction, type TransactionQueryOptions } from "./transaction/transaction.ts";
export type { TransactionStats } from "./transaction/transaction_scope.ts";
export type { BeginOptions, IsolationLevel } from "./transaction/transaction_options.ts";

// Statements as the caller.
export type { Caller } from "./caller/caller.ts";
export { CALLER_ROLES } from "./caller/claims.ts";
export type { CallerRequest } from "./caller/request_settings.ts";

// Errors.
export {
  CallerError,
  CommitOutcomeUnknownError,
  ConnectionBrokenError,
  ConnectionError,
  ConnectionLostError,
  LoginRoleError,
  NestedTransactionOpenError,
  PostgresError,
  type PostgresErrorCode,
  type PostgresErrorFields,
  QueryTimeoutError,
  ResultTooLargeError,
  RoleSettingError,
  RollbackFailedError,
  StatementError,
  TransactionEndedError,
  TransactionOpenError,
  TransactionRolledBackError,
  TransactionTimeoutError,
} from "./errors/errors.ts";
export { ConnectTimeoutError, LoginsRefusedError } from "./errors/connect_error.ts";
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
