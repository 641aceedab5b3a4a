/**
 * What uses Hono, for functions with many routes. An entry point of its own: a
 * function with one route need not load it.
 *
 * @module
 */
export * from "./routing/hono_middleware.ts";
export * from "./routing/routes.ts";
