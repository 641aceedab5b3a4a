/**
 * Error responses in the form of RFC 9457, `application/problem+json`.
 *
 * @module
 */
import type { FailureKind, HttpDescription } from "../../resilience/mod.ts";

/** One invalid part of a request. */
export interface ProblemField {
  /** The part: a field of the body, a query parameter, a header. */
  readonly path: string;
  /** The value found and the values allowed. */
  readonly message: string;
}

/** The contents of a {@linkcode problem}. Nothing in it may be secret: the client reads it. */
export interface ProblemInit {
  /** HTTP status of the response, also a member of the body. */
  readonly status: number;
  /** Stable across releases: what programs test for. */
  readonly code: string;
  /** The kind of problem in a few words, the same for every occurrence. */
  readonly title: string;
  /** This occurrence. Default: none. */
  readonly detail?: string | undefined;
  /** The way to fix it. Default: none. */
  readonly hint?: string | undefined;
  /** Each invalid part of the request. Default: none. */
  readonly errors?: readonly ProblemField[] | undefined;
  /** A URI of the documentation of `code`. Default: `about:blank`, which RFC 9457 reserves for none. */
  readonly type?: string | undefined;
  /** More headers, such as `Retry-After` or `Allow`. Default: none. */
  readonly headers?: HeadersInit | undefined;
}

/** The media type of a problem (RFC 9457, section 3). */
export const PROBLEM_TYPE = "application/problem+json";

/**
 * The page that documents the codes of this library: a relative reference, as RFC 9457, section 3.1.1 allows, into the
 * repository. Set an absolute URL here once the page is published.
 */
const ERRORS_PAGE = "docs/errors.md";

/** Returns the `type` of a problem with a code of this library. */
export function problemType(code: string): string {
  return `${ERRORS_PAGE}#${code}`;
}

/**
 * Creates an error response as RFC 9457 defines it, with `code` as an extension member. It is never cached: a problem
 * of this moment says nothing about the next.
 *
 * @example
 * ```ts
 * problem({ status: 409, code: "NAME_TAKEN", title: "Name taken", detail: "Another budget has this name" });
 * ```
 */
export function problem(init: ProblemInit): Response {
  const { status, code, title, detail, hint, errors, type = "about:blank", headers: more } = init;
  const headers = new Headers(more);
  headers.set("Content-Type", PROBLEM_TYPE);
  if (!headers.has("Cache-Control")) headers.set("Cache-Control", "no-store");
  return new Response(JSON.stringify({ type, title, status, code, detail, hint, errors }), { status, headers });
}

/** A request that cannot be served as it is. Functions that read requests throw it; it is its own response. */
export class RequestError extends Error {
  /** Stable across releases: what programs test for. */
  readonly code: string;
  /** The retry class: the same request would fail again. */
  readonly retry: FailureKind = "permanent";
  readonly #init: ProblemInit;

  /**
   * Creates the error.
   *
   * @param init The problem to respond with.
   */
  constructor(init: ProblemInit) {
    super(init.detail ?? init.title);
    this.name = new.target.name;
    this.code = init.code;
    this.#init = init;
  }

  /** Returns the response. */
  toResponse(): Response {
    return problem(this.#init);
  }
}

/** The parts of a problem that differ between occurrences. */
type Occurrence = Pick<ProblemInit, "detail" | "errors" | "headers">;

/** The base of the request errors of this library, which are documented. A subclass declares the static members. */
export abstract class DocumentedRequestError extends RequestError {
  /** The code in logs and responses. */
  declare static readonly code: Uppercase<string>;
  /** The retry class. */
  static readonly retry = "permanent";
  /** The response to a request that fails with it. */
  declare static readonly http: HttpDescription;

  /** Creates an error with the code and response of its class. */
  constructor(occurrence: Occurrence) {
    const { code, http } = new.target;
    super({ ...http, ...occurrence, code, type: problemType(code) });
  }
}

/**
 * Parts of a request are invalid; the response lists all of them in `errors`.
 *
 * @cause A field of the body, a query parameter or a header is missing, unknown or out of range.
 * @fix Correct each part that `errors` lists.
 * @sample new ValidationError("body", [{ path: "name", message: "is missing" }])
 */
export class ValidationError extends DocumentedRequestError {
  /** The code in logs and responses. */
  static override readonly code = "VALIDATION_FAILED";
  /** The response to a request that fails with it. */
  static override readonly http = { status: 400, title: "Invalid request" };

  /**
   * Creates the error.
   *
   * @param part The part of the request: `body`, `query`, `header Idempotency-Key`.
   */
  constructor(part: string, errors: readonly ProblemField[]) {
    super({ detail: `Invalid request ${part}`, errors });
  }
}

/**
 * The body is not JSON.
 *
 * @cause The body is empty, incomplete, not UTF-8, or not JSON.
 * @fix Send one JSON value in UTF-8.
 * @sample new MalformedJsonError("The body is not JSON")
 */
export class MalformedJsonError extends DocumentedRequestError {
  /** The code in logs and responses. */
  static override readonly code = "MALFORMED_JSON";
  /** The response to a request that fails with it. */
  static override readonly http = { status: 400, title: "Malformed JSON" };

  /**
   * Creates the error.
   *
   * @param detail The reason, for people.
   */
  constructor(detail: string) {
    super({ detail });
  }
}

/**
 * The body is too long.
 *
 * @cause The body is longer than the route's `maxBytes`.
 * @fix Send less, or raise `maxBytes` of `readJson`.
 * @sample new BodyTooLargeError(1_048_576)
 */
export class BodyTooLargeError extends DocumentedRequestError {
  /** The code in logs and responses. */
  static override readonly code = "BODY_TOO_LARGE";
  /** The response to a request that fails with it. */
  static override readonly http = { status: 413, title: "Content too large" };

  /**
   * Creates the error.
   *
   * @param maxBytes The maximum size, in bytes.
   */
  constructor(maxBytes: number) {
    super({ detail: `The body is longer than ${maxBytes} bytes` });
  }
}

/**
 * The body has a media type or encoding that the route does not accept.
 *
 * @cause The `Content-Type` is not `application/json`, or the body is compressed.
 * @fix Send uncompressed JSON with `Content-Type: application/json`.
 * @sample new UnsupportedMediaTypeError({ Accept: "application/json" })
 */
export class UnsupportedMediaTypeError extends DocumentedRequestError {
  /** The code in logs and responses. */
  static override readonly code = "UNSUPPORTED_MEDIA_TYPE";
  /** The response to a request that fails with it. */
  static override readonly http = {
    status: 415,
    title: "Unsupported media type",
    detail: "The body must be uncompressed JSON, with the header Content-Type: application/json",
  };

  /**
   * Creates the error.
   *
   * @param headers The header that names what is accepted (RFC 9110, section 15.5.16).
   */
  constructor(headers: HeadersInit) {
    super({ headers });
  }
}

/**
 * The function has no route for the path.
 *
 * @cause The path is wrong.
 * @fix Check the path; the detail says how the function's routes start.
 * @sample new RouteNotFoundError("/categories")
 */
export class RouteNotFoundError extends DocumentedRequestError {
  /** The code in logs and responses. */
  static override readonly code = "ROUTE_NOT_FOUND";
  /** The response to a request that fails with it. */
  static override readonly http = { status: 404, title: "Not found" };

  /**
   * Creates the error.
   *
   * @param start The beginning of the function's routes.
   */
  constructor(start: string) {
    super({ detail: `Route not found: routes start with ${start}` });
  }
}

/**
 * The route does not accept the method.
 *
 * @cause The method is wrong.
 * @fix Use one of the methods that the `Allow` header lists.
 * @sample new MethodNotAllowedError("GET, HEAD, OPTIONS")
 */
export class MethodNotAllowedError extends DocumentedRequestError {
  /** The code in logs and responses. */
  static override readonly code = "METHOD_NOT_ALLOWED";
  /** The response to a request that fails with it. */
  static override readonly http = { status: 405, title: "Method not allowed" };

  /**
   * Creates the error.
   *
   * @param allow The allowed methods, as the `Allow` header lists them.
   */
  constructor(allow: string) {
    super({ detail: `Allowed methods: ${allow}`, headers: { Allow: allow } });
  }
}

/**
 * The function takes no metrics.
 *
 * @cause `POOL_METRICS` is off, the project has no secret key, or the function does not run on the edge.
 * @fix Set `POOL_METRICS=on`, or the option `metrics` of the handler.
 * @sample new MetricsOffError()
 */
export class MetricsOffError extends DocumentedRequestError {
  /** The code in logs and responses. */
  static override readonly code = "METRICS_OFF";
  /** The response to a request that fails with it. */
  static override readonly http = { status: 404, title: "Metrics are off" };

  /** Creates the error. */
  constructor() {
    super({ detail: "This function takes no metrics: set POOL_METRICS=on, or the option metrics of the handler" });
  }
}
