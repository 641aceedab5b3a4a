/**
 * Answers of the stack itself, as RFC 9457 problems.
 *
 * @module
 */

/** What a problem says. */
export interface ProblemInit {
  /** HTTP status. */
  readonly status: number;
  /** Stable code. */
  readonly code: string;
  /** What kind of problem it is. */
  readonly title: string;
  /** What happened this time, and what to do. */
  readonly detail: string;
  /** When to come back, in s. */
  readonly retryAfterS?: number;
  /** Further members. */
  readonly members?: Readonly<Record<string, unknown>>;
}

/** A problem as an answer. Any page may read it: the stack's own answers hold no secrets. */
export function problem({ status, code, title, detail, retryAfterS, members }: ProblemInit): Response {
  return new Response(`${JSON.stringify({ type: "about:blank", title, status, detail, code, ...members })}\n`, {
    status,
    headers: {
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      "access-control-allow-origin": "*",
      ...(retryAfterS === undefined ? {} : { "retry-after": String(retryAfterS) }),
    },
  });
}
