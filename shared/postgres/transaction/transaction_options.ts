/**
 * Options of BEGIN.
 *
 * @module
 */
import { ConfigError, type ConfigIssue } from "../../pool/mod.ts";
import { MAX_TIMER_MS } from "../../resilience/mod.ts";
import type { Statement } from "../wire/query_result.ts";

/** An isolation level (PostgreSQL, "Transaction Isolation"). */
export type IsolationLevel = "read committed" | "repeatable read" | "serializable";

const LEVELS: readonly IsolationLevel[] = ["read committed", "repeatable read", "serializable"];

/** Options of the beginning of a transaction. */
export interface BeginOptions {
  /** The isolation level. Default: the server's setting, initially `read committed`. */
  readonly isolationLevel?: IsolationLevel | undefined;
  /** True for a transaction that only reads. Default: the server's setting, initially `false`. */
  readonly readOnly?: boolean | undefined;
  /** True to let a serializable, read-only transaction wait until it cannot fail. Default: `false`. */
  readonly deferrable?: boolean | undefined;
  /** The time limit of a statement at the server, in ms; 0 for none. Default: the role's. */
  readonly statementTimeoutMs?: number | undefined;
  /**
   * The time for which the server waits for the next statement before it closes the connection, in ms; 0 for no limit.
   * Default: the role's.
   */
  readonly idleInTransactionSessionTimeoutMs?: number | undefined;
}

/** Not prepared: SQL may drop a prepared statement, or put another one in its place. */
export const COMMIT: Statement = Object.freeze({ text: "COMMIT", unprepared: true });

function checkMs(path: string, value: number | undefined, issues: ConfigIssue[]): void {
  if (value === undefined || (Number.isInteger(value) && value >= 0 && value <= MAX_TIMER_MS)) return;
  issues.push({ path, message: `is ${value}, must be a whole number of ms from 0 to ${MAX_TIMER_MS}` });
}

function checkSwitch(path: string, value: unknown, issues: ConfigIssue[]): void {
  if (value !== undefined && typeof value !== "boolean") issues.push({ path, message: "must be true or false" });
}

/**
 * Returns the statements that begin a transaction.
 *
 * @param impersonate The statement that sets the caller, right behind BEGIN: the options win over the settings of the
 * caller's role. Default: none.
 * @param defaults Modes that `options` may override. Default: the server's.
 * @throws {ConfigError} listing every bad option.
 */
export function beginStatements(
  options: BeginOptions,
  impersonate?: Statement,
  defaults: BeginOptions = {},
): Statement[] {
  const { statementTimeoutMs, idleInTransactionSessionTimeoutMs } = options;
  const {
    isolationLevel = defaults.isolationLevel,
    readOnly = defaults.readOnly,
    deferrable = defaults.deferrable,
  } = options;
  const issues: ConfigIssue[] = [];
  if (isolationLevel !== undefined && !LEVELS.includes(isolationLevel)) {
    issues.push({ path: "isolationLevel", message: `must be one of ${LEVELS.join(", ")}` });
  }
  checkSwitch("readOnly", readOnly, issues);
  checkSwitch("deferrable", deferrable, issues);
  checkMs("statementTimeoutMs", statementTimeoutMs, issues);
  checkMs("idleInTransactionSessionTimeoutMs", idleInTransactionSessionTimeoutMs, issues);
  if (issues.length > 0) throw new ConfigError(issues, "transaction options");

  const modes = [
    isolationLevel === undefined ? "" : ` ISOLATION LEVEL ${isolationLevel.toUpperCase()}`,
    readOnly === undefined ? "" : readOnly ? " READ ONLY" : " READ WRITE",
    deferrable === undefined ? "" : deferrable ? " DEFERRABLE" : " NOT DEFERRABLE",
  ];
  // A statement sent before BEGIN is answered would run outside if BEGIN failed: so it uses no prepared statement.
  const statements: Statement[] = [{ text: `BEGIN${modes.join("")}`, unprepared: true }];
  if (impersonate) statements.push(impersonate);
  const settings = [
    ["statement_timeout", statementTimeoutMs],
    ["idle_in_transaction_session_timeout", idleInTransactionSessionTimeoutMs],
  ] as const;
  for (const [name, ms] of settings) {
    if (ms === undefined) continue;
    statements.push({ text: `SELECT set_config('${name}', $1, true)`, values: [`${ms}ms`] });
  }
  return statements;
}
