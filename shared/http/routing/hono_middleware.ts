/**
 * Pooled clients for the routes of a Hono app.
 *
 * @module
 */
import type { AuthError } from "@supabase/server";
import type { Context, MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { isApiError, isDescribed } from "../responses/error_response.ts";
import type { PooledSupabaseOptions } from "../handler/handler_options.ts";
import type { PooledContext } from "../request/pooled_context.ts";
import { isUnsendable } from "../responses/handler_response.ts";
import { RequestError } from "../responses/problem.ts";
import { changeHeaders, exposeHeaders } from "../responses/response_headers.ts";
import { isServerError, rejectionOf } from "../auth/rejection.ts";
import { createRequestHandler } from "../handler/request_handler.ts";

/** The variables of a route: `c.var`. */
export interface PooledVariables<Database> {
  /** The context of the request. The adapter of `@supabase/server` uses the same name. */
  supabaseContext: PooledContext<Database>;
}

/** The environment of an app whose routes use pooled clients: `new Hono<PooledEnv<Database>>()`. */
// deno-lint-ignore no-explicit-any -- untyped rows, as SupabaseClient and withSupabase default to
export interface PooledEnv<Database = any> {
  /** The variables of its routes. */
  Variables: PooledVariables<Database>;
}

/** Replaces the response of the context. Headers set by other middleware, such as `cors()`, are kept. */
function replaceResponse(c: Context, response: Response): void {
  const before = c.res.headers;
  c.res = undefined;
  c.res = changeHeaders(response, (headers) => {
    // A response with a streamed body is a copy of the one before, cookies included.
    const cookies = new Set(headers.getSetCookie());
    for (const [name, value] of before) {
      // What cannot be sent may be the reason for the response.
      if (name.startsWith("content-") || isUnsendable(value)) continue;
      if (name === "access-control-expose-headers") exposeHeaders(headers, value.split(",").map((each) => each.trim()));
      else if (name === "set-cookie") {
        if (!cookies.has(value)) headers.append(name, value);
      } else if (!headers.has(name)) headers.set(name, value);
    }
  });
}

/** Creates the exception that the adapter of `@supabase/server` throws, with the response of `withPooledSupabase`. */
function asException(rejection: AuthError, res: Response): HTTPException {
  const { message } = rejection;
  return new HTTPException(res.status as ContentfulStatusCode, { res, message, cause: rejection });
}

/** Options for {@linkcode pooledSupabase}: those of `withPooledSupabase` except CORS, for which Hono has `cors()`. */
export type PooledMiddlewareOptions<Database> = Omit<PooledSupabaseOptions<Database>, "cors">;

/** Returns whether this library has a more precise response to an error than a plain 500. */
function hasResponse(error: unknown): boolean {
  return error instanceof RequestError || isDescribed(error) || isServerError(error) || isApiError(error);
}

/** Errors that {@linkcode onPooledError} leaves to the middleware. */
const leftToMiddleware = new WeakSet<object>();

/**
 * Leaves every error of an app to {@linkcode pooledSupabase}, which responds and
 * logs as `withPooledSupabase` does. Use it as `onError` of the app: Hono's own
 * `onError` prints the error, and the `details` of a Data API error hold values
 * of rows. An `HTTPException` becomes its own response, as in Hono.
 *
 * @example
 * ```ts
 * app.onError(onPooledError);
 * ```
 */
export function onPooledError(error: Error, c: Context): Response {
  if (error instanceof HTTPException) return error.getResponse();
  leftToMiddleware.add(error);
  return c.text("Internal Server Error", 500);
}

/**
 * Creates a Hono middleware that does what `withPooledSupabase` does, for
 * functions with many routes.
 *
 * @example
 * ```ts
 * const app = new Hono<PooledEnv<Database>>().basePath("/notes");
 * app.use("*", pooledSupabase({ auth: "user" }));
 * app.get("/", async (c) => {
 *   const { data, error } = await c.var.supabaseContext.supabase.from("notes").select();
 *   if (error) throw error;
 *   return c.json(data);
 * });
 * export default { fetch: app.fetch };
 * ```
 *
 * Credentials, slots, the deadline, the headers and `/<name>/health/pool` are
 * those of `withPooledSupabase`. Rejected credentials throw an `HTTPException`
 * with the `AuthError` as its `cause`, as the adapter of `@supabase/server` does,
 * so that `onError` of the app may respond differently. A context that an earlier
 * middleware has set is kept, so that single routes may require other
 * credentials. Errors of this library, of the Data API and `RequestError` become
 * their own responses, unless `onError` of the app gave them a status other than
 * 500; Hono handles all others. With {@linkcode onPooledError} as the app's
 * `onError`, this middleware handles all of them.
 */
// deno-lint-ignore no-explicit-any -- untyped rows, as SupabaseClient and withSupabase default to
export function pooledSupabase<Database = any>(
  options: PooledMiddlewareOptions<Database> = {},
): MiddlewareHandler<PooledEnv<Database>> {
  const handle = createRequestHandler<Database>({ ...options, cors: "disabled" });
  return async (c, next) => {
    if (c.var.supabaseContext) return await next();
    const response = await handle(c.req.raw, async (_request, context) => {
      c.set("supabaseContext", context);
      await next();
      const callerLeft = c.req.raw.signal.aborted; // the error is then a consequence of that
      const { error } = c;
      if (error && c.res.status === 500 && (callerLeft || leftToMiddleware.has(error) || hasResponse(error))) {
        throw error;
      }
      return c.res;
    });
    if (response === c.res) return;
    replaceResponse(c, response);
    const rejection = rejectionOf(response);
    // A response of `onError` gets the headers of this one.
    if (rejection) throw asException(rejection, c.res);
  };
}
