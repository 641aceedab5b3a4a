/**
 * The database of this isolate, as functions.
 *
 * @module
 */
import {
  type ExecuteOptions,
  type ListedStatement,
  type OperationType,
  PostgresConnectionManager,
  type QueryResult,
  type Row,
} from "../../postgres/mod.ts";
import { setDefaultSource } from "../query_builder/query_builder.ts";
import type { ConnectionWrapper } from "./connection_wrapper.ts";
import { type DatabaseHealth, DatabaseManager, type DatabaseOptions } from "./database_manager.ts";

const manager = DatabaseManager.getInstance();

// Not `initialized`: after a shutdown, another manager would connect again, perhaps to another database.
setDefaultSource(() => manager.used ? manager.db.queries : PostgresConnectionManager.getInstance());

/**
 * The database of this isolate, as the login role. Each use rejects or throws until {@linkcode initializeDatabase} has
 * resolved.
 *
 * @example A query and a transaction
 * ```ts
 * await initializeDatabase();
 * const users = await db.query("SELECT * FROM users WHERE active = $1", [true]);
 * console.log(users.length);
 * await db.withTransaction(async () => {
 *   await db.query("INSERT INTO users (name) VALUES ($1)", ["John"]);
 *   await db.query("INSERT INTO profiles (user_id, bio) VALUES ($1, $2)", [1, "Hello"]);
 * });
 * ```
 */
export const db: ConnectionWrapper = manager.db;

/**
 * The pools of this isolate by priority. Each property throws a `DatabaseNotInitializedError` until
 * {@linkcode initializeDatabase} has resolved.
 */
export const pools: Readonly<Record<OperationType, PostgresConnectionManager>> = manager.pools;

/**
 * Creates the pools of this isolate and waits until the database has answered; see `DatabaseManager.initialize`.
 *
 * @throws {ConfigError} listing every bad option and variable.
 * @throws the failure to connect.
 */
export function initializeDatabase(options?: DatabaseOptions): Promise<void> {
  return manager.initialize(options);
}

/**
 * Shuts the pools of this isolate down; see `DatabaseManager.shutdown`.
 *
 * @param deadlineMs How long running work may take, in ms. Default: `shutdownTimeoutMs`, 5,000.
 */
export function shutdownDatabase(deadlineMs?: number): Promise<void> {
  return manager.shutdown(deadlineMs);
}

/**
 * Checks the database of this isolate; see `DatabaseManager.getHealth`.
 *
 * @throws {DatabaseNotInitializedError} before the initialization, and after a shutdown.
 */
export function getDatabaseHealth(): Promise<DatabaseHealth> {
  return manager.getHealth();
}

/**
 * Returns the pool of an operation type; for an unknown or missing type, that of `highPriority`.
 *
 * @throws {DatabaseNotInitializedError} before the initialization, and after a shutdown.
 */
export function getPool(operationType?: OperationType): PostgresConnectionManager {
  return manager.getPool(operationType);
}

/**
 * Runs a statement on the pool of high priority, and retries failures that certainly had no effect.
 *
 * @param maxRetries Default: `maxRetries` of the pool, 3.
 * @param baseDelay The delay before the first retry, in ms; it doubles. Default: `retryDelayMs` of the pool, 1,000.
 * @throws {DatabaseNotInitializedError} before the initialization, and after a shutdown.
 * @throws {OutsideTransactionError} inside `db.withTransaction`, where a statement cannot be retried: use `db.query`.
 * @throws what the last attempt threw.
 */
// deno-lint-ignore require-await -- what is thrown before the first await rejects, too
export async function executeQueryWithRetry<R extends object = Row>(
  query: string,
  values?: readonly unknown[],
  maxRetries?: number,
  baseDelay?: number,
  options?: ExecuteOptions,
): Promise<QueryResult<R>> {
  return manager.getPool().executeQueryWithRetry<R>(query, values, maxRetries, baseDelay, options);
}

/**
 * Runs a list of statements in one transaction on the pool of high priority, and retries failures after which it was
 * certainly not committed.
 *
 * @param maxRetries Default: `maxRetries` of the pool, 3.
 * @param baseDelay The delay before the first retry, in ms; it doubles. Default: `retryDelayMs` of the pool, 1,000.
 * @throws {DatabaseNotInitializedError} before the initialization, and after a shutdown.
 * @throws {OutsideTransactionError} inside `db.withTransaction`, where a statement cannot be retried: use `db.query`.
 * @throws what the last attempt threw.
 */
// deno-lint-ignore require-await -- what is thrown before the first await rejects, too
export async function executeTransactionWithRetry(
  queries: readonly ListedStatement[],
  maxRetries?: number,
  baseDelay?: number,
  options?: ExecuteOptions,
): Promise<QueryResult[]> {
  return manager.getPool().executeTransactionWithRetry(queries, maxRetries, baseDelay, options);
}
