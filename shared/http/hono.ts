/**
 * Routing with Hono, for functions with several routes. A separate entry point: a function with one route does not
 * load Hono.
 *
 * @module
 */

// Routes inside `withPooledSupabase`.
export { createRoutes, onlyMethods, type Routes, serveRoutes } from "./routing/routes.ts";

// A middleware for an existing app.
export {
  onPooledError,
  type PooledEnv,
  type PooledMiddlewareOptions,
  pooledSupabase,
  type PooledVariables,
} from "./routing/hono_middleware.ts";
