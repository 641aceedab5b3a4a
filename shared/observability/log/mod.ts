/**
 * Structured logs: lines in the form of the specification, correlated, bounded and without secrets.
 *
 * @example
 * ```ts
 * const log = new StructuredLog();
 * Deno.serve((request) => {
 *   log.info("greeted", { correlationId: () => correlationIdOf(request) });
 *   return new Response("hello");
 * });
 * ```
 *
 * @module
 */

// The log.
export {
  type LogData,
  type LogEntry,
  type LogEvent,
  type LogFormat,
  type LogLevel,
  type LogSink,
  MAX_LINE_LENGTH,
  StructuredLog,
  type StructuredLogOptions,
} from "./structured_log.ts";

// Correlation.
export { CORRELATION_ID_HEADER, correlationIdOf, traceIdOf, useTraceId } from "./correlation.ts";

// What a line may hold.
export { describeError, type ErrorDescription, type ErrorSummary, withoutRowValues } from "./describe_error.ts";
export { redact } from "./redact.ts";
