/**
 * The data layer on direct Postgres. An entry point of its own: a function that does not import it uploads and loads none
 * of it.
 *
 * @module
 */

// Kysely on pooled connections, SQL whose parameters are never part of the text, and the types of tables.
export { Kysely, sql } from "kysely";
export { kyselyOf, type KyselyOfOptions, PooledPostgresDialect, type UntypedTables } from "./kysely/kysely_of.ts";
export type { DriverOptions } from "./kysely/driver.ts";
export type { KyselySource, KyselyStatementOptions, KyselyTransactionOptions } from "./kysely/source.ts";
export { KyselyDestroyedError, KyselyUnsupportedError } from "./kysely/errors.ts";
export type { KyselyColumn, KyselyTables, TablesOf } from "./kysely/tables.ts";

// The database of an application: initialization, the facade, and the functions of the specification.
export {
  db,
  executeQueryWithRetry,
  executeTransactionWithRetry,
  getDatabaseHealth,
  getPool,
  initializeDatabase,
  pools,
  shutdownDatabase,
} from "./database/database.ts";
export { ConnectionWrapper, type ConnectionWrapperOptions } from "./database/connection_wrapper.ts";
export { type DatabaseHealth, DatabaseManager, type DatabaseOptions } from "./database/database_manager.ts";
export { DatabaseNotInitializedError } from "./database/errors.ts";

// A primary and its standbys as one pool.
export { PostgresReplicas } from "./replicas/postgres_replicas.ts";
export { ReplicaPool, type ReplicaQueryOptions } from "./replicas/replica_pool.ts";
export {
  DEFAULT_REPLICAS_CONFIG,
  type ReplicasConfig,
  type ReplicasOptions,
  type ReplicaTargetOptions,
} from "./replicas/replica_options.ts";
export type { ReplicaEvents } from "./replicas/replica_events.ts";
export type { TargetState, TargetStatus } from "./replicas/replica_target.ts";
export type { ServerRole } from "./replicas/server_report.ts";
export { NoPrimaryError, TargetDownError, TargetRoleError, TargetUnknownError } from "./replicas/errors.ts";

// The query builder.
export { createQueryBuilder, QueryBuilder } from "./query_builder/query_builder.ts";
export { TableQuery } from "./query_builder/table_query.ts";
export type {
  Aliases,
  Changes,
  ColumnName,
  Condition,
  NewRow,
  NullableRowOf,
  NullIn,
  Page,
  PageOptions,
  QuerySource,
  ResultName,
  RowOf,
  StatementQueryOptions,
  TableName,
  ValueOf,
} from "./query_builder/types.ts";
export { type Direction, type Fragment, WHERE_OPERATORS, type WhereOperator } from "./query_builder/nodes.ts";
export { InvalidCursorError, InvalidQueryError, WhereMissingError } from "./query_builder/errors.ts";

// Repositories.
export { type ListOptions, Repository, type RepositorySource, type RowFilter } from "./repository/repository.ts";
