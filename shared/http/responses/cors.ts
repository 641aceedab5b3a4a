/**
 * Cross-origin answers, exactly as `withSupabase` of `@supabase/server` gives
 * them, so that a browser cannot tell one handler from the other.
 *
 * @module
 */
import { corsHeaders } from "@supabase/supabase-js/cors";
import type { WithSupabaseConfig } from "@supabase/server";
import { changeHeaders, exposeHeaders } from "./pool_headers.ts";
import { ERROR_CODE_HEADER } from "../auth/rejection.ts";

/**
 * What to do about CORS: `"default"` (the headers of supabase-js),
 * `"disabled"`, or headers of one's own. The older forms `true`, `false` and a
 * bare record are understood too.
 */
export type CorsOption = NonNullable<WithSupabaseConfig["cors"]>;

/** Answers preflights and stamps answers. */
export interface Cors {
  /** The answer to an `OPTIONS` request, or `undefined` when the handler is to see it. */
  preflight(request: Request): Response | undefined;
  /** `response` with the CORS headers set. */
  stamp(response: Response): Response;
}

/** The headers that `option` stands for. */
export function headersOf(option: CorsOption): Readonly<Record<string, string>> {
  if (typeof option !== "object") return corsHeaders;
  return "headers" in option && typeof option.headers === "object" ? option.headers : option as Record<string, string>;
}

/** Makes a {@linkcode Cors} of the option. */
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
