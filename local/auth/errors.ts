/**
 * Errors of Auth, in the shapes of GoTrue.
 *
 * @module
 */

/** An error that the response reports. */
export class AuthError extends Error {
  override name = "AuthError";
  /** HTTP status. */
  readonly status: number;
  /** Stable code of GoTrue, such as `user_not_found`. */
  readonly code: string;
  /** More members of the body. */
  readonly members: Readonly<Record<string, unknown>>;

  /** @param message The failure, as GoTrue words it. */
  constructor(status: number, code: string, message: string, members: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.members = members;
  }
}

/** The first version of the API whose errors have `code` and `message`. */
const VERSION = "2024-01-01";

/** Creates an error of invalid input. */
export function invalid(message: string, status = 400): AuthError {
  return new AuthError(status, "validation_failed", message);
}

/** Creates the error of a feature that the local stack does not have. */
export function notLocal(feature: string, code = "validation_failed"): AuthError {
  return new AuthError(400, code, `${feature} not part of the local stack. Use a hosted project instead.`);
}

/** Creates the response to an error, in the version that the request asks for. */
export function errorResponse(request: Request, error: AuthError): Response {
  const headers = new Headers({ "x-sb-error-code": error.code });
  let body: Record<string, unknown> = { code: error.status, error_code: error.code, msg: error.message };
  if ((request.headers.get("x-supabase-api-version") ?? "") >= VERSION) {
    headers.set("x-supabase-api-version", VERSION);
    body = { code: error.code, message: error.message };
  }
  return Response.json({ ...body, ...error.members }, { status: error.status, headers });
}
