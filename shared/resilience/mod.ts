/**
 * What waiting and trying again mean here. A leaf: it imports nothing else of
 * `shared/`.
 *
 * @module
 */
export * from "./backoff.ts";
export * from "./clock.ts";
export * from "./failure.ts";
export * from "./promise_like.ts";
export * from "./retry.ts";
export * from "./timeouts.ts";
