/**
 * Responses of the stack itself, as RFC 9457 problems.
 *
 * @module
 */

/** The members of a problem. */
export interface ProblemInit {
  /** HTTP status. */
  readonly status: number;
  /** Stable code. */
  readonly code: string;
  /** The kind of problem. */
  readonly title: string;
  /** The failure, and the way to fix it. */
  readonly detail: string;
  /** Time to wait before a retry, in s. */
  readonly retryAfterS?: number;
  /** More members. */
  readonly members?: Readonly<Record<string, unknown>>;
  /** More headers. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Creates a problem response. Any page may read it: the stack's own responses contain no secrets. */
export function problem({ status, code, title, detail, retryAfterS, members, headers }: ProblemInit): Response {
  return new Response(`${JSON.stringify({ type: "about:blank", title, status, detail, code, ...members })}\n`, {
    status,
    headers: {
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      "access-control-allow-origin": "*",
      ...headers,
      ...(retryAfterS === undefined ? {} : { "retry-after": String(retryAfterS) }),
    },
  });
}
