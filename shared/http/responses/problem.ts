/**
 * Error answers in the form of RFC 9457, `application/problem+json`.
 *
 * @module
 */

/** What is wrong with one part of a request. */
export interface ProblemField {
  /** The part: a field of the body, a query parameter, a header. */
  readonly path: string;
  /** What it holds and what it may hold. */
  readonly message: string;
}

/** What a {@linkcode problem} says. Nothing in it may be secret: the caller reads it. */
export interface ProblemInit {
  /** HTTP status of the answer, also a member of the body. */
  readonly status: number;
  /** Stable across releases; what programs should test for. */
  readonly code: string;
  /** The kind of problem in a few words, the same for every occurrence. */
  readonly title: string;
  /** This occurrence. Default: none. */
  readonly detail?: string | undefined;
  /** What to do about it. Default: none. */
  readonly hint?: string | undefined;
  /** Each bad part of the request. Default: none. */
  readonly errors?: readonly ProblemField[] | undefined;
  /** A URI for this kind of problem. Default: `about:blank`, which RFC 9457 reserves for none. */
  readonly type?: string | undefined;
  /** More headers, such as `Retry-After` or `Allow`. Default: none. */
  readonly headers?: HeadersInit | undefined;
}

/** The media type of a problem (RFC 9457, section 3). */
export const PROBLEM_TYPE = "application/problem+json";

/**
 * An answer that says what went wrong, as RFC 9457 lays it out, with `code`
 * as an extension member. It is never cached: a problem of this moment says
 * nothing about the next.
 */
export function problem(init: ProblemInit): Response {
  const { status, code, title, detail, hint, errors, type = "about:blank", headers: more } = init;
  const headers = new Headers(more);
  headers.set("Content-Type", PROBLEM_TYPE);
  if (!headers.has("Cache-Control")) headers.set("Cache-Control", "no-store");
  return new Response(JSON.stringify({ type, title, status, code, detail, hint, errors }), { status, headers });
}
