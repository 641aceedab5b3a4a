/**
 * The request that the running code belongs to.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";

/** The handling of one request, as code that finds it by the async context uses it. */
export interface CurrentRequest {
  /** The time that a call through the request has left, in ms; `Infinity` for background work. */
  readonly timeLeftMs: number;
  /** Keeps the request's scopes until `promise` settles. */
  join(promise: PromiseLike<unknown>): void;
}

/**
 * Identifies a request. The runtime keeps the token until the next full collection for each response of `fetch`, and
 * with it all that it refers to: it refers to its request only until that ends.
 */
export interface RequestToken {
  /** `undefined` once the request has ended. */
  request: CurrentRequest | undefined;
  /** Logs a rejection of the request's code that nothing handles. `undefined`: the runtime decides. */
  readonly onUnhandled: ((reason: unknown) => void) | undefined;
}

/** The token of the request that the running code belongs to. */
export const currentRequest: AsyncLocalStorage<RequestToken> = new AsyncLocalStorage();
