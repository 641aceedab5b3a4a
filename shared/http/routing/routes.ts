/**
 * Routes of a function that runs inside `withPooledSupabase`.
 *
 * @module
 */
import { type Handler, Hono } from "hono";
import { problem } from "../responses/problem.ts";
import { RequestError } from "../responses/request_error.ts";
import type { PooledContext } from "../request/pooled_context.ts";
import type { PooledHandler } from "../handler/handler_options.ts";

/** What a route finds in `c.env`. */
export interface RouteBindings<Database> {
  /** The context of the request; see {@linkcode PooledContext}. */
  readonly pooled: PooledContext<Database>;
}

/** Routes with a pooled context. */
export type Routes<Database> = Hono<{ Bindings: RouteBindings<Database> }>;

/**
 * An empty set of routes below `/<name>`. An unknown path is answered 404; a
 * {@linkcode RequestError} becomes its answer; any other error goes on to
 * `withPooledSupabase`.
 */
export function createRoutes<Database>(name: string): Routes<Database> {
  const routes = new Hono<{ Bindings: RouteBindings<Database> }>({ strict: false });
  routes.notFound(() =>
    problem({
      status: 404,
      code: "ROUTE_NOT_FOUND",
      title: "Not found",
      detail: `There is no such route; this function's begin with /${name}`,
    })
  );
  routes.onError((error) => {
    if (error instanceof RequestError) return error.toResponse();
    throw error;
  });
  return routes.basePath(`/${name}`);
}

/** Answers 405 and says which methods there are; for the end of a path's routes, on `all`. */
export function onlyMethods(...methods: readonly string[]): Handler {
  const Allow = [...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"].join(", ");
  return () =>
    problem({
      status: 405,
      code: "METHOD_NOT_ALLOWED",
      title: "Method not allowed",
      detail: `This route takes ${Allow}`,
      headers: { Allow },
    });
}

/** The handler that answers with `routes`. */
export function serveRoutes<Database>(routes: Routes<Database>): PooledHandler<Database> {
  return (request, pooled) => routes.fetch(request, { pooled });
}
