/**
 * A request handler with a pooled client, in the shape of `withSupabase` of
 * `@supabase/server`.
 *
 * @module
 */
import { ConfigError } from "../../pool/mod.ts";
import type { PooledHandler, PooledSupabaseOptions } from "./handler_options.ts";
import { createRequestHandler } from "./request_handler.ts";

export type { AuthOption, PooledHandler, PooledSupabaseOptions, Rejection } from "./handler_options.ts";

/**
 * Wraps `handler` so that it runs with verified credentials and pooled clients.
 *
 * Preflights, rejected credentials and CORS headers are those of `withSupabase`.
 * Every response also carries the pool's statistics (`X-Pool-*`) and the time that
 * the request waited for a slot (`Server-Timing`). `/<name>/health/pool` reports
 * the health of this isolate's pool.
 *
 * An error that the handler throws becomes the response of
 * {@linkcode errorResponse}, and is logged with its causes if the status is 500 or
 * more. Errors that come in floods (load and shutdown, a project that is down or
 * slow, credentials that cannot be checked) are logged at most once a second per
 * code, with their number. The environment is read at the first request; while it
 * is bad, every response is 500 and the log lists the issues.
 *
 * The returned function never throws and never rejects.
 *
 * @throws {ConfigError} listing every option that is invalid in any environment, or when the handler is missing.
 * @example
 * ```ts
 * export default {
 *   fetch: withPooledSupabase({ auth: "user" }, async (_request, { supabase }) => {
 *     const { data } = await supabase.from("categories").select();
 *     return Response.json(data);
 *   }),
 * };
 * ```
 */
// deno-lint-ignore no-explicit-any -- untyped rows, as SupabaseClient and withSupabase default to
export function withPooledSupabase<Database = any>(
  options: PooledSupabaseOptions<Database>,
  handler: PooledHandler<Database>,
): (request: Request) => Promise<Response> {
  if (typeof handler !== "function") {
    const message = `is ${handler === undefined ? "missing" : `a ${typeof handler}`}, must be a function`;
    throw new ConfigError([{ path: "handler", message }], "arguments of withPooledSupabase");
  }
  const handle = createRequestHandler(options);
  return (request) => handle(request, handler);
}
