/**
 * What a pool of Supabase clients refuses, by name.
 *
 * @module
 */
import { PoolError } from "../pool/mod.ts";

/**
 * The identity asked for cannot be given: the token is no user's, has expired,
 * or the pool holds another kind of key.
 */
export class IdentityError extends PoolError {
  constructor(message: string) {
    super("IDENTITY_REFUSED", message);
  }
}

/** What was asked of a view cannot be made safe on a client that others use too. */
export class ViewRestrictedError extends PoolError {
  constructor(what: string, instead: string) {
    super("VIEW_RESTRICTED", `${what} is not possible on a pooled client: ${instead}`);
  }
}

/** A call through a view took longer than `requestTimeoutMs`, its answer's body included. */
export class RequestTimeoutError extends PoolError {
  constructor(timeoutMs: number) {
    super("REQUEST_TIMEOUT", `The call was not answered within ${timeoutMs} ms (requestTimeoutMs)`);
  }
}

/** A view was to send its caller's credentials to an address outside its project. */
export class ForeignAddressError extends PoolError {
  /** @param what What led there: "this call", say. */
  constructor(what: string) {
    super(
      "FOREIGN_ADDRESS",
      `A pooled client sends credentials to its own project only, and ${what} leads elsewhere: use fetch for other addresses`,
    );
  }
}

/** The answer to a call was a redirect that cannot be followed, or must not be. */
export class RedirectError extends PoolError {
  constructor(why: string) {
    super("REDIRECT_REFUSED", `The redirect was not followed: ${why}`);
  }
}
