/**
 * What can go wrong while the stack starts, each said in one line.
 *
 * @module
 */

/** Stable names of the faults. */
export type StackFaultCode =
  | "CONFIG_INVALID"
  | "DATA_DAMAGED"
  | "ALREADY_RUNNING"
  | "MIGRATION_FAILED"
  | "NOT_WRITABLE"
  | "PLATFORM_UNSUPPORTED"
  | "PORT_FORBIDDEN"
  | "PORT_TAKEN"
  | "POSTGRES_FAILED"
  | "SERVICE_FAILED"
  | "STOPPED"
  | "TOOL_MISSING"
  | "USAGE";

/** A fault the person at the keyboard can remedy: its message is one line and says how. */
export class StackFault extends Error {
  override name = "StackFault";
  /** Which fault it is. */
  readonly code: StackFaultCode;

  /**
   * @param code Which fault it is.
   * @param message What happened and what to do, in one line.
   */
  constructor(code: StackFaultCode, message: string, options?: ErrorOptions) {
    super(message.replaceAll(/\s*\n\s*/g, " ").trim(), options);
    this.code = code;
  }
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
