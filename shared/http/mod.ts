/**
 * Requests in, answers out: credentials, pooled clients, the headers that tell
 * how the pool stands, problem answers and health.
 *
 * @module
 */
export * from "./answers.ts";
export type { ClientOptions } from "./client_options.ts";
export type { CorsOption } from "./cors.ts";
export { DeadlineExceededError } from "./deadline.ts";
export * from "./error_response.ts";
export { HEALTH_TYPE, healthRoute, type HealthRouteOptions, type HealthStatus, isHealthPath } from "./health.ts";
export * from "./input.ts";
export type { LogSink } from "./log.ts";
export { type HeaderStats, poolHeaders, stampPoolHeaders } from "./pool_headers.ts";
export * from "./problem.ts";
export { RequestError } from "./request_error.ts";
export type { LeaseDefaults, PooledContext, RequestClientPool } from "./pooled_context.ts";
export type { PoolSource, RequestPool, RuntimeOptions } from "./runtime.ts";
export * from "./with_pooled_supabase.ts";
