/**
 * Services: what is done with pooled clients, and the façade that owns the
 * pools.
 *
 * @module
 */
export * from "./base_service.ts";
export * from "./environment.ts";
export { type Page, type PageRequest, readPage } from "./page.ts";
export * from "./pooled_base_service.ts";
export {
  notFound,
  ServiceError,
  type ServiceErrorCode,
  type ServiceErrorInit,
  toServiceError,
} from "./service_error.ts";
export { statusOfCode } from "./service_status.ts";
export * from "./supabase_service.ts";
