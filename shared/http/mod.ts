/**
 * HTTP: credentials, pooled clients, input, responses and health.
 *
 * @module
 */

// The wrapper and its options.
export type { ClientOptions } from "./handler/client_options.ts";
export {
  type AuthOption,
  type PooledHandler,
  type PooledSupabaseOptions,
  type Rejection,
  withPooledSupabase,
} from "./handler/with_pooled_supabase.ts";
export type { HandlerScope, PoolSource, RequestPool, RuntimeOptions } from "./handler/runtime.ts";
export type { LogSink } from "../observability/mod.ts";
export type { FlowKey, LeaseDefaults, PooledContext, RequestClientPool } from "./request/pooled_context.ts";
export { DeadlineExceededError } from "./request/deadline.ts";

// The environment of a function.
export type { LegacyKeys } from "./auth/legacy_keys.ts";
export { type Environment, readEnvironment } from "./handler/environment.ts";
export type { HandlerSettings } from "./handler/handler_settings.ts";

// Input.
export { readJson, type ReadJsonOptions, readParam, readQuery } from "./routing/input.ts";

// Responses.
export { createdResponse, jsonNoStore } from "./responses/json.ts";
export type { CorsFunction, CorsOption } from "./responses/cors.ts";
export {
  BodyTooLargeError,
  DocumentedRequestError,
  MalformedJsonError,
  MethodNotAllowedError,
  problem,
  type ProblemField,
  type ProblemInit,
  RequestError,
  RouteNotFoundError,
  UnsupportedMediaTypeError,
  ValidationError,
} from "./responses/problem.ts";
export { UnexpectedError } from "./responses/error_response.ts";
export { type HealthProbe, healthRoute, type HealthRouteOptions } from "./health/health.ts";
