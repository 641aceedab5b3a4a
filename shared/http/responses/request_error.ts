/**
 * A request that cannot be served as it is.
 *
 * @module
 */
import { problem, type ProblemInit } from "./problem.ts";

/** The caller's request is at fault; it says how to answer. Thrown by what reads requests, answered by `errorResponse`. */
export class RequestError extends Error {
  override readonly name = "RequestError";
  /** Stable across releases. */
  readonly code: string;
  readonly #init: ProblemInit;

  constructor(init: ProblemInit) {
    super(init.detail ?? init.title);
    this.code = init.code;
    this.#init = init;
  }

  /** The answer, as a problem. */
  toResponse(): Response {
    return problem(this.#init);
  }
}
