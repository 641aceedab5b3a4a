/**
 * OpenTelemetry: spans and metrics, through its API alone. Loaded only where a provider may exist.
 *
 * @module
 */

// Spans and metrics.
export { OpenTelemetry } from "./telemetry.ts";
export { installOpenTelemetry, type OpenTelemetryApi } from "./api.ts";
export type { MeteredPool, MeteredStats } from "./pool_meter.ts";
export type { RequestSpan } from "./request_tracer.ts";
export type { TracedPostgres, TracedTimes, TracedWork } from "./statement_tracer.ts";
