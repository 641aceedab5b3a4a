/**
 * Errors of statements that were prepared before the schema changed.
 *
 * @module
 */
import { codeOf, messageOf } from "../../resilience/mod.ts";

/** The meaning of an error for the statement that was prepared. */
export type StaleKind =
  /** The server has closed all. */
  | "unknown"
  /** It does not fit the schema. */
  | "changed"
  /** A value does not fit the type of its parameter: that type may be an old one. */
  | "value";

/** SQLSTATE of a prepared statement that the server does not have. */
const UNKNOWN_STATEMENT = "26000";
/** SQLSTATE of a statement whose columns changed since it was prepared ("cached plan must not change result type"). */
const CHANGED_RESULT = "0A000";
/** The class of SQLSTATEs of statements that do not fit the existing tables and types (PostgreSQL, appendix A). */
const DOES_NOT_FIT = "42";
/** The SQLSTATE of that class that does not concern the schema: the role lacks a privilege. */
const INSUFFICIENT_PRIVILEGE = "42501";
/** The class of SQLSTATEs of values that do not fit. */
const DATA_EXCEPTION = "22";
/** SQLSTATE of errors that should not happen: a type of the statement was dropped. */
const INTERNAL = "XX000";

/**
 * Returns what an error may say of a statement that was prepared earlier; `undefined` for nothing.
 *
 * @param failure The server's error.
 */
export function staleKind(failure: Error): StaleKind | undefined {
  const code = codeOf(failure) ?? "";
  if (code === UNKNOWN_STATEMENT) return "unknown";
  if (code === CHANGED_RESULT) return "changed";
  if (code.startsWith(DOES_NOT_FIT)) return code === INSUFFICIENT_PRIVILEGE ? undefined : "changed";
  if (code.startsWith(DATA_EXCEPTION)) return "value";

  return code === INTERNAL && messageOf(failure).startsWith("cache lookup failed") ? "changed" : undefined;
}

/** Errors that a change of the schema has caused: a statement was prepared before it. */
const stale = new WeakSet<Error>();

/** Notes that an error was caused by a change of the schema, which is known since. */
export function noteStale(error: Error): void {
  stale.add(error);
}

/** Returns whether the same statements may succeed now, because a change of the schema has caused the error. */
export function isStale(error: unknown): boolean {
  return error instanceof Error && stale.has(error);
}
