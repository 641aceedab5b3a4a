/**
 * CORS headers and preflight responses, exactly as those of `withSupabase` of `@supabase/server`.
 *
 * @module
 */
import { corsHeaders } from "@supabase/supabase-js/cors";
import type { WithSupabaseConfig } from "@supabase/server";
import { changeHeaders, exposeHeaders } from "./pool_headers.ts";
import { ERROR_CODE_HEADER } from "../auth/rejection.ts";

/**
 * The CORS option: `"default"` (the headers of supabase-js), `"disabled"`, or headers. The older forms `true`, `false`
 * and a bare record are accepted, too.
 */
export type CorsOption = NonNullable<WithSupabaseConfig["cors"]>;

/** Responds to preflights, and sets CORS headers on responses. */
export interface Cors {
  /** Returns the response to an `OPTIONS` request, or `undefined` if the handler serves it. */
  preflight(request: Request): Response | undefined;
  /** Returns `response` with the CORS headers set. */
  stamp(response: Response): Response;
}

/** Returns the headers of a CORS option. */
export function headersOf(option: CorsOption): Readonly<Record<string, string>> {
  if (typeof option !== "object") return corsHeaders;
  return "headers" in option && typeof option.headers === "object" ? option.headers : option as Record<string, string>;
}

/** Creates a {@linkcode Cors} from the option. */
export function createCors(option: CorsOption = "default"): Cors {
  if (option === false || option === "disabled") {
    return { preflight: () => undefined, stamp: (response) => response };
  }
  const entries = Object.entries(headersOf(option));
  return {
    preflight: (request) =>
      request.method === "OPTIONS" ? new Response(null, { status: 204, headers: entries }) : undefined,
    stamp: (response) =>
      changeHeaders(response, (headers) => {
        for (const [name, value] of entries) headers.set(name, value);
        if (headers.has(ERROR_CODE_HEADER)) exposeHeaders(headers, [ERROR_CODE_HEADER]);
      }),
  };
}
