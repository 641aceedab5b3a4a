/**
 * Refused credentials, answered in the form of `@supabase/server`: its JSON,
 * its header, its status.
 *
 * @module
 */
import type { AuthError, ErrorResponseConfig, SupabaseServerError } from "@supabase/server";

/** The header that carries the code of a refusal. */
export const ERROR_CODE_HEADER = "x-supabase-server-error";

/** What errors of `@supabase/server` say of their origin. */
const SOURCE = "@supabase/server";

/** Whether it is an error of `@supabase/server`. Not by its class: that is where all of that package would be loaded. */
export function isServerError(error: unknown): error is SupabaseServerError {
  return error instanceof Error && Reflect.get(error, "source") === SOURCE;
}

/** The longest name of an authentication scheme, in characters. No registered one has more than 15. */
const MAX_SCHEME_LENGTH = 20;

/**
 * Takes out of `error` what the request's `Authorization` header held.
 * `@supabase/server` quotes the header's first word as the scheme, and where
 * none was sent, or two headers were joined into one, that is a token.
 */
function removeCredentials(error: AuthError, request: Request): void {
  for (const word of (request.headers.get("Authorization") ?? "").split(" ")) {
    if (word.length <= MAX_SCHEME_LENGTH || !error.message.includes(word)) continue;
    error.message = error.message.replaceAll(word, "[credential]");
    if (error.stack !== undefined) error.stack = error.stack.replaceAll(word, "[credential]");
  }
}

/** What each refusal was made of. */
const refused = new WeakMap<Response, AuthError>();

/** The answer to `request`, whose credentials are refused. */
export function refusal(error: AuthError, request: Request, errors: ErrorResponseConfig = {}): Response {
  removeCredentials(error, request);
  const { code, message } = error;
  const response = Response.json(errors.detailed === false ? { code, message } : error.toJSON(), {
    status: error.status,
    headers: { [ERROR_CODE_HEADER]: code },
  });
  refused.set(response, error);
  return response;
}

/** Why `response` refuses its caller's credentials, where it does. No credential is in the error. */
export function refusedBy(response: Response): AuthError | undefined {
  return refused.get(response);
}
