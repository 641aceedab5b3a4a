/**
 * Pooled clients for the routes of a Hono app.
 *
 * @module
 */
import type { AuthError } from "@supabase/server";
import type { Context, MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { PoolError } from "../../pool/mod.ts";
import { ServiceError } from "../../services/mod.ts";
import { isApiError } from "../responses/error_response.ts";
import type { PooledSupabaseOptions } from "../handler/handler_options.ts";
import type { PooledContext } from "../request/pooled_context.ts";
import { RequestError } from "../responses/request_error.ts";
import { changeHeaders, exposeHeaders } from "../responses/pool_headers.ts";
import { isServerError, refusedBy } from "../auth/refusal.ts";
import { createRequestHandler } from "../handler/request_handler.ts";

/** What a route finds in `c.var`. */
export interface PooledVariables<Database> {
  /** The context of the request, under the name that the adapter of `@supabase/server` gives it. */
  supabaseContext: PooledContext<Database>;
}

/** The environment of an app whose routes use pooled clients: `new Hono<PooledEnv<Database>>()`. */
// deno-lint-ignore no-explicit-any -- untyped rows, as SupabaseClient and withSupabase default to
export interface PooledEnv<Database = any> {
  Variables: PooledVariables<Database>;
}

/**
 * Puts `answer` in the place of the answer there is: the route's, where it has run, or one without a body. Of that the
 * headers stay, which others have set, `cors()` say.
 */
function replaceAnswer(c: Context, answer: Response): void {
  const before = c.res.headers;
  c.res = undefined;
  c.res = changeHeaders(answer, (headers) => {
    for (const [name, value] of before) {
      if (name.startsWith("content-")) continue;
      if (name === "access-control-expose-headers") exposeHeaders(headers, value.split(",").map((each) => each.trim()));
      else if (name === "set-cookie") headers.append(name, value);
      else if (!headers.has(name)) headers.set(name, value);
    }
  });
}

/** What the adapter of `@supabase/server` throws, with the answer that `withPooledSupabase` gives. */
function asException(refusal: AuthError, res: Response): HTTPException {
  const { message } = refusal;
  return new HTTPException(res.status as ContentfulStatusCode, { res, message, cause: refusal });
}

/** Options of {@linkcode pooledSupabase}: those of `withPooledSupabase`, but CORS, for which Hono has `cors()`. */
export type PooledMiddlewareOptions<Database> = Omit<PooledSupabaseOptions<Database>, "cors">;

/** Whether an error has an answer of its own here, better than a plain 500. */
function hasAnswer(error: unknown): boolean {
  const ours = [PoolError, ServiceError, RequestError];
  return ours.some((type) => error instanceof type) || isServerError(error) || isApiError(error);
}

/** Errors that {@linkcode onPooledError} leaves to the middleware. */
const leftToUs = new WeakSet<object>();

/**
 * `onError` of an app that leaves every error to {@linkcode pooledSupabase}: it
 * is answered and logged as by `withPooledSupabase`, redacted. An
 * `HTTPException` is its own answer, as with Hono. Hono's own
 * `onError` prints what was thrown, and an error of the Data API holds values
 * of rows in its `details`.
 *
 * ```ts
 * app.onError(onPooledError);
 * ```
 */
export function onPooledError(error: Error, c: Context): Response {
  if (error instanceof HTTPException) return error.getResponse();
  leftToUs.add(error);
  return c.text("Internal Server Error", 500);
}

/**
 * `withPooledSupabase` as a middleware of Hono, for functions with many routes:
 *
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
 * Credentials, the place in the pool, the deadline, the headers and
 * `/<name>/health/pool` are those of `withPooledSupabase`. Refused credentials
 * are an `HTTPException` with the refusal as its `cause`, as with the adapter of
 * `@supabase/server`: `onError` of the app may make another answer of it. A route whose
 * context was set by an earlier middleware keeps it, so that single routes may
 * ask for other credentials. Errors that this library has an answer for (its
 * own, the Data API's, `RequestError`) become that answer, unless `onError` of
 * the app gave them a status other than 500; all others are Hono's. With
 * {@linkcode onPooledError} for the app's `onError` all are ours.
 */
// deno-lint-ignore no-explicit-any -- untyped rows, as SupabaseClient and withSupabase default to
export function pooledSupabase<Database = any>(
  options: PooledMiddlewareOptions<Database> = {},
): MiddlewareHandler<PooledEnv<Database>> {
  const handle = createRequestHandler<Database>({ ...options, cors: "disabled" });
  return async (c, next) => {
    if (c.var.supabaseContext) return await next();
    const answer = await handle(c.req.raw, async (_request, context) => {
      c.set("supabaseContext", context);
      await next();
      const unheard = c.req.raw.signal.aborted; // the caller left: whatever was thrown came of it
      if (c.error && c.res.status === 500 && (unheard || leftToUs.has(c.error) || hasAnswer(c.error))) throw c.error;
      return c.res;
    });
    if (answer === c.res) return;
    replaceAnswer(c, answer);
    const refusal = refusedBy(answer);
    // Whatever `onError` answers gets the headers of what is there.
    if (refusal) throw asException(refusal, c.res);
  };
}
