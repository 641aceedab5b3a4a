/**
 * How the pool of this function's isolate stands:
 *
 *     GET /health/pool
 *
 * @module
 */
import { createRoutes, serveRoutes } from "../../shared/http/hono.ts";
import { healthRoute, type RuntimeOptions, withPooledSupabase } from "../../shared/mod.ts";
import type { Database } from "../_app/database.ts";

/**
 * The handler of this function.
 *
 * @param options Where the environment and the pools come from. Default: this isolate's.
 */
export function createHealthHandler(options: RuntimeOptions<Database> = {}): (request: Request) => Promise<Response> {
  const pool = healthRoute<Database>(options);
  const routes = createRoutes<Database>("health");
  routes.all("/pool", (c) => pool(c.req.raw));
  return withPooledSupabase<Database>({ ...options, auth: "none" }, serveRoutes(routes));
}
