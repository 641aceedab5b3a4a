/**
 * A request handler with a pooled client, in the shape of `withSupabase` of
 * `@supabase/server`.
 *
 * @module
 */
import { ConfigError } from "../../pool/mod.ts";
import type { PooledHandler, PooledSupabaseOptions } from "./handler_options.ts";
import { createRequestHandler } from "./request_handler.ts";

export type { AuthOption, PooledHandler, PooledSupabaseOptions } from "./handler_options.ts";

/**
 * Wraps `handler` so that it runs with verified credentials and pooled clients:
 *
 * ```ts
 * export default {
 *   fetch: withPooledSupabase({ auth: "user" }, async (request, { supabase }) => {
 *     const { data } = await supabase.from("categories").select();
 *     return Response.json(data);
 *   }),
 * };
 * ```
 *
 * Preflights, refused credentials and CORS headers are those of `withSupabase`.
 * Every answer also tells how the pool stands (`X-Pool-*`) and how long the
 * request waited for it (`Server-Timing`). `/<name>/health/pool` tells how the
 * pool of this isolate stands.
 *
 * An error the handler throws is answered by {@linkcode errorResponse} and,
 * where the answer is 500 or more, logged with its causes. What comes in floods
 * (load and shutdown, a project that is down or slow, credentials that cannot
 * be checked) is logged at most once a second per code, with how many they were. The environment is
 * read at the first request; while it is bad, every request is answered 500 and
 * the log lists what is wrong.
 *
 * The returned function never throws and never rejects.
 *
 * @throws {ConfigError} listing every option that is bad whatever the environment holds, or because there is no handler.
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
