/**
 * Requests in, answers out: credentials, pooled clients, the headers that tell
 * how the pool stands, problem answers and health.
 *
 * @module
 */
export * from "./responses/answers.ts";
export type { ClientOptions } from "./handler/client_options.ts";
export type { CorsOption } from "./responses/cors.ts";
export { DeadlineExceededError } from "./request/deadline.ts";
export * from "./responses/error_response.ts";
export { HEALTH_TYPE, healthRoute, type HealthRouteOptions, type HealthStatus, isHealthPath } from "./health/health.ts";
export * from "./routing/input.ts";
export type { LogSink } from "./logging/log.ts";
export { type HeaderStats, poolHeaders, stampPoolHeaders } from "./responses/pool_headers.ts";
export * from "./responses/problem.ts";
export { RequestError } from "./responses/request_error.ts";
export type { LeaseDefaults, PooledContext, RequestClientPool } from "./request/pooled_context.ts";
export type { PoolSource, RequestPool, RuntimeOptions } from "./handler/runtime.ts";
export * from "./handler/with_pooled_supabase.ts";
