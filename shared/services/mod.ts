/**
 * Base classes of services, and the façade that owns a project's pools.
 *
 * @module
 */

// Services.
export { BaseService } from "./base_service.ts";
export { type ClientOperation, PooledBaseService, type WithRetryOptions } from "./pooled_base_service.ts";
export { SupabaseService, type SupabaseServiceOptions } from "./supabase_service.ts";

// Results of services.
export { type CountedResult, type Page, type PageRequest, readPage } from "./page.ts";
export {
  ApiKeyRejectedError,
  NotFoundError,
  ServiceError,
  type ServiceErrorCode,
  type ServiceErrorInit,
  UpstreamFailedError,
  UpstreamUnavailableError,
} from "./service_error.ts";
export { poolErrorBehind, sourceOfError, toServiceError } from "./to_service_error.ts";
