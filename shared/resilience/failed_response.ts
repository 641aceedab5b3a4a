/**
 * The responses behind errors. A client such as supabase-js keeps the body of a response it failed on, and neither its
 * headers nor, in what it throws, its status.
 *
 * @module
 */

/** A response that an error stands for. */
export interface FailedResponse {
  /** The status of the response. */
  readonly status: number;
  /** The wait that it asked for (`Retry-After`), in ms; `undefined` for none. */
  readonly retryAfterMs: number | undefined;
  /** True if the call carried a user's token, which a 401 or 403 may be about. */
  readonly asUser: boolean;
  /** Counts the attempts of the call, if it was retried: a retry around it adds them to its own. */
  readonly attempts?: { end(failure: unknown): void } | undefined;
}

/** By the error, or by whatever else stands for the response, such as the response itself. */
const responses = new WeakMap<object, FailedResponse>();

/** Remembers the response behind `error`, for as long as that exists. Does nothing for a primitive value. */
export function rememberResponse(error: unknown, response: FailedResponse): void {
  if (typeof error !== "object" || error === null) return;
  responses.set(error, response);
  response.attempts?.end(error);
}

/** Returns the response behind `error`, or `undefined` if none is known. */
export function responseOf(error: unknown): FailedResponse | undefined {
  return typeof error === "object" && error !== null ? responses.get(error) : undefined;
}
