/**
 * What functions use: pools of Supabase clients, services on them, and the
 * wrapper that gives a request its pooled client.
 *
 * @module
 */
export * from "./pool/mod.ts";
export * from "./supabase/mod.ts";
export * from "./services/mod.ts";
export * from "./http/mod.ts";
export {
  type Clock,
  type FailureKind,
  retry,
  type RetryEvent,
  type RetryOptions,
  RetryTimeoutError,
} from "./resilience/mod.ts";
