/**
 * Errors that the user of the stack can fix.
 *
 * @module
 */

/** Stable codes of the errors. */
export type StackErrorCode =
  | "CONFIG_INVALID"
  | "DATA_DAMAGED"
  | "DATA_OUTDATED"
  | "ALREADY_RUNNING"
  | "MIGRATION_FAILED"
  | "NOT_WRITABLE"
  | "PLATFORM_UNSUPPORTED"
  | "PORT_FORBIDDEN"
  | "PORT_TAKEN"
  | "POSTGRES_FAILED"
  | "POSTGRES_VERSION_UNKNOWN"
  | "SERVICE_FAILED"
  | "STATE_LOST"
  | "STOPPED"
  | "TOOL_MISSING"
  | "USAGE";

/** An error that the user can fix: its message is one line and says how. */
export class StackError extends Error {
  override name = "StackError";
  /** The kind of error; stable. */
  readonly code: StackErrorCode;

  /**
   * @param message What failed and what to do, in one line.
   */
  constructor(code: StackErrorCode, message: string, options?: ErrorOptions) {
    super(message.replaceAll(/(?<!\s)\s*\n\s*/g, " ").trim(), options);
    this.code = code;
  }
}
