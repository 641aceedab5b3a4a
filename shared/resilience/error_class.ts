/**
 * The description that each error class of this library declares about itself.
 *
 * @module
 */
import type { FailureKind } from "./failure_table.ts";

/** The HTTP response to an error. The client reads all of it: nothing in it may be secret. */
export interface HttpDescription {
  /** The status of the response. */
  readonly status: number;
  /** The kind of problem in a few words, the same for every occurrence (RFC 9457, section 3.1.3). */
  readonly title: string;
  /** A description for the client, in place of the error's message, which may name hosts and options. Default: none. */
  readonly detail?: string;
  /** The way to fix it. Default: none. */
  readonly hint?: string | undefined;
  /** The `Retry-After` header, in seconds (RFC 9110, section 10.2.3). Default: none. */
  readonly retryAfterSeconds?: number;
  /** The section of docs/errors.md that `type` links to; empty for none. Default: the code of the class. */
  readonly section?: string;
}

/**
 * The static members of an error class. Their documentation is in the class's docstring: `@cause`, `@fix` and
 * `@sample`, an expression that creates such an error. `deno task docs` writes docs/errors.md from both.
 */
export interface ErrorClass {
  /** Stable across releases: programs test for it, and `type` of a problem links to it. */
  readonly code: string;
  /** The retry class of the failed operation; `undefined`: the error's own code or its cause decides. */
  readonly retry: FailureKind | undefined;
  /** The HTTP response to it. */
  readonly http: HttpDescription;
}

/** The codes that the error classes of a module declare. Its argument is `typeof` the imported module. */
export type ErrorCodes<Module> = {
  [Name in keyof Module]: Module[Name] extends { readonly code: infer Code extends string; readonly retry: unknown }
    ? Uppercase<string> extends Code ? never : Code
    : never;
}[keyof Module];

/** A fault of the program or its setup: the client learns nothing more, the log has it. */
export const INTERNAL_ERROR = { status: 500, title: "Internal server error", detail: "An unexpected error occurred" };
/** The pool is at its limit: the same request may succeed in a moment. */
export const SERVICE_BUSY = { status: 503, title: "Service busy", retryAfterSeconds: 1 };
/** The project or its database is down: the same request may succeed in a moment. */
export const SERVICE_UNAVAILABLE = { status: 503, title: "Service unavailable", retryAfterSeconds: 1 };
/** The project or its database failed. */
export const UPSTREAM_FAILURE = { status: 502, title: "Upstream failure" };
/** The project or its database did not respond in time. */
export const UPSTREAM_TIMEOUT = { status: 504, title: "Upstream timeout" };

/** Describes a failure that has a status of its own, such as one of the Data API. */
export function describeStatus(status: number): HttpDescription {
  if (status === 503) return SERVICE_UNAVAILABLE;
  if (status === 504) return UPSTREAM_TIMEOUT;
  if (status >= 500) return { ...UPSTREAM_FAILURE, status };
  return { status, title: "Request rejected", ...(status === 429 ? { retryAfterSeconds: 1 } : {}) };
}
