/**
 * The health of the pool of this function's isolate, the fleet and its metrics:
 *
 *     GET /health/pool
 *     GET /health/fleet
 *     GET /health/metrics
 *
 * @module
 */
import { createRoutes, serveRoutes } from "../../shared/http/hono.ts";
import { healthRoute, PooledBaseService, type RuntimeOptions, withPooledSupabase } from "../../shared/mod.ts";
import type { Database } from "../_app/database.ts";

/** Probes the project. */
class HealthService extends PooledBaseService<Database> {
  /** Reads one row, through the Data API and from the database, on the probe slot, which no caller waits for. */
  probe(): Promise<void> {
    return this.withPooledClient(async (client) => {
      const { error } = await client.from("templates").select("id").limit(1);
      if (error) throw error;
    }, { lane: "probe" });
  }
}

/**
 * Creates the handler of this function.
 *
 * @param options The source of the environment and the pools. Default: this isolate's.
 */
export function createHealthHandler(options: RuntimeOptions<Database> = {}): (request: Request) => Promise<Response> {
  const health = healthRoute<Database>({ ...options, probe: (pool) => new HealthService(pool).probe() });
  const routes = createRoutes<Database>("health");
  routes.all("/pool", (c) => health(c.req.raw));
  routes.all("/fleet", (c) => health(c.req.raw));
  routes.all("/metrics", (c) => health(c.req.raw));
  return withPooledSupabase<Database>({ ...options, auth: "none" }, serveRoutes(routes));
}
