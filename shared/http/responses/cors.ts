/**
 * The headers of CORS, exactly as those of `withSupabase` of `@supabase/server`.
 *
 * @module
 */
import { corsHeaders } from "@supabase/supabase-js/cors";
import type { WithSupabaseConfig } from "@supabase/server";

/**
 * The CORS option: `"default"` (the headers of supabase-js), `"disabled"`, or headers. The older forms `true`, `false`
 * and a bare record are accepted, too.
 */
export type CorsOption = NonNullable<WithSupabaseConfig["cors"]>;

/** Returns the headers of a CORS option; `undefined` if the handler sets them and responds to preflights. */
export function corsHeadersOf(option: CorsOption = "default"): Readonly<Record<string, string>> | undefined {
  if (option === false || option === "disabled") return undefined;
  if (typeof option !== "object") return corsHeaders;
  return "headers" in option && typeof option.headers === "object" ? option.headers : option as Record<string, string>;
}
