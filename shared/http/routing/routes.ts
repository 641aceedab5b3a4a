/**
 * Routes of a function inside `withPooledSupabase` or `withPooledPostgres`.
 *
 * @module
 */
import { type Handler, Hono } from "hono";
import { MethodNotAllowedError, RequestError, RouteNotFoundError } from "../responses/problem.ts";
import type { PooledContext } from "../request/pooled_context.ts";

/** Routes whose handlers find the request's context in `c.var.supabaseContext`, as behind `pooledSupabase`. */
export type Routes<Database, Context extends PooledContext<Database> = PooledContext<Database>> = Hono<
  { Variables: { supabaseContext: Context } }
>;

/** Carries the context of a request from {@linkcode serveRoutes} to its routes. */
interface ContextBindings<Context> {
  readonly supabaseContext: Context;
}

/**
 * Creates an empty set of routes below `/<name>`. An unknown path gets a 404
 * response, and a {@linkcode RequestError} becomes its response. Any other error
 * goes on to `withPooledSupabase`.
 *
 * @example
 * ```ts
 * const routes = createRoutes<Database>("notes");
 * routes.get("/", async (c) => {
 *   const { data, error } = await c.var.supabaseContext.supabase.from("notes").select();
 *   if (error) throw error;
 *   return c.json(data);
 * });
 * routes.all("/", onlyMethods("GET"));
 * export default { fetch: withPooledSupabase<Database>({ auth: "user" }, serveRoutes(routes)) };
 * ```
 */
export function createRoutes<Database, Context extends PooledContext<Database> = PooledContext<Database>>(
  name: string,
): Routes<Database, Context> {
  const routes = new Hono<{ Variables: { supabaseContext: Context } }>({ strict: false });
  routes.use((c, next) => {
    // The type of an app's bindings is part of its own type, where it would ask every app for a context.
    c.set("supabaseContext", (c.env as ContextBindings<Context>).supabaseContext);
    return next();
  });
  routes.notFound(() => new RouteNotFoundError(`/${name}`).toResponse());
  routes.onError((error) => {
    if (error instanceof RequestError) return error.toResponse();
    throw error;
  });
  return routes.basePath(`/${name}`);
}

/** Creates a handler that responds 405 and lists the methods of a path. Register it last, with `all`. */
export function onlyMethods(...methods: readonly string[]): Handler {
  const allow = [...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"].join(", ");
  return () => new MethodNotAllowedError(allow).toResponse();
}

/** Returns a handler for `withPooledSupabase` or `withPooledPostgres` that serves `routes`. */
export function serveRoutes<Database, Context extends PooledContext<Database> = PooledContext<Database>>(
  routes: Routes<Database, Context>,
): (request: Request, context: Context) => Response | Promise<Response> {
  return (request, supabaseContext) => {
    const bindings: ContextBindings<Context> = { supabaseContext };
    return routes.fetch(request, bindings);
  };
}
