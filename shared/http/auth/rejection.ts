/**
 * Responses to rejected credentials, in the form of `@supabase/server`: its JSON, its header, its status.
 *
 * @module
 */
import type { AuthError, ErrorResponseConfig, SupabaseServerError } from "@supabase/server";
import { redact } from "../../observability/log/mod.ts";
import { memberOf } from "../../resilience/mod.ts";

/** The header that carries the code of a rejection. */
export const ERROR_CODE_HEADER = "x-supabase-server-error";

/** The `source` of the errors of `@supabase/server`. */
const SOURCE = "@supabase/server";

/** Returns whether it is an error of `@supabase/server`. Its class would load all of that package. */
export function isServerError(error: unknown): error is SupabaseServerError {
  return error instanceof Error && memberOf(error, "source") === SOURCE;
}

/** Maximum length of the name of an authentication scheme, in characters. No registered one has more than 15. */
const MAX_SCHEME_LENGTH = 20;

/**
 * Removes from `error` what the request's `Authorization` header held. `@supabase/server` quotes the header's first
 * word as the scheme; where none was sent, or two headers were joined into one, that word is a token.
 */
function removeCredentials(error: AuthError, request: Request): void {
  for (const word of (request.headers.get("Authorization") ?? "").split(" ")) {
    if (word.length <= MAX_SCHEME_LENGTH || !error.message.includes(word)) continue;
    error.message = error.message.replaceAll(word, "[credential]");
    if (error.stack !== undefined) error.stack = error.stack.replaceAll(word, "[credential]");
  }
}

/** The error of each rejection. */
const rejections = new WeakMap<Response, AuthError>();

/** Creates the response to `request`, whose credentials are rejected. */
export function rejectionResponse(error: AuthError, request: Request, errors: ErrorResponseConfig = {}): Response {
  removeCredentials(error, request);
  // A failed fetch of keys names its URL.
  if (error.status >= 500) error.message = redact(error.message);
  const { code, message } = error;
  const response = Response.json(errors.detailed === false ? { code, message } : error.toJSON(), {
    status: error.status,
    headers: { [ERROR_CODE_HEADER]: code },
  });
  rejections.set(response, error);
  return response;
}

/** Returns why `response` rejects its caller's credentials, if it does. The error holds no credential. */
export function rejectionOf(response: Response): AuthError | undefined {
  return rejections.get(response);
}
