/**
 * The errors of pools of Supabase clients.
 *
 * @module
 */
import { PoolError } from "../pool/mod.ts";
import {
  type ErrorCodes,
  type HttpDescription,
  INTERNAL_ERROR,
  type RefusalReason,
  refusalResponse,
  UPSTREAM_TIMEOUT,
} from "../resilience/mod.ts";

/** The way to query by many values. */
export const URL_HINT = "Pass the values to a Postgres function with rpc(), or query in chunks of 100 values";

/** The codes of the errors of client pools. */
export type SupabaseErrorCode = ErrorCodes<typeof import("./errors.ts")>;

/**
 * A pool cannot act for the requested identity.
 *
 * Its HTTP status is 401 for a token that has expired, 403 for a role that is not in `userRoles`, and 500 otherwise.
 *
 * @cause The token is not a user token or has expired, or the pool holds another kind of key.
 * @fix Pass a current access token of Supabase Auth, and use the pool that fits the identity.
 * @sample new IdentityError("Cannot act for a user: this is an admin pool. Acquire from the user pool")
 */
export class IdentityError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "IDENTITY_REFUSED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /** The reason, which decides the HTTP status. */
  readonly reason: RefusalReason;

  /**
   * Creates the error.
   *
   * @param reason Default: `mistake`, of the program.
   */
  constructor(message: string, reason: RefusalReason = "mistake") {
    super(message);
    this.reason = reason;
  }

  /** The HTTP response by the reason. */
  override get http(): HttpDescription {
    return refusalResponse(this.reason);
  }
}

/**
 * A view was asked for something that cannot be safe on a shared client.
 *
 * @cause The method changes state that other callers share, such as `auth.signIn*` or a realtime subscription.
 * @fix Use the alternative that the message names.
 * @sample new ViewRestrictedError("auth.signOut()", "create a client of your own")
 */
export class ViewRestrictedError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "VIEW_RESTRICTED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param what The member that was used.
   * @param instead What to use instead.
   */
  constructor(what: string, instead: string) {
    super(`${what} is not possible on a pooled client: ${instead}`);
  }
}

/**
 * A call through a view took longer than `requestTimeoutMs`, its response body included. A body that is read as a stream
 * may take longer, unless it makes no progress for that time.
 *
 * @cause The project or the network is slow, the response is large, or its reader has stopped.
 * @fix Make the query faster, raise `requestTimeoutMs`, or retry if the call is idempotent.
 * @sample new RequestTimeoutError(30_000)
 */
export class RequestTimeoutError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "REQUEST_TIMEOUT";
  /** The retry class. */
  static override readonly retry = "ambiguous";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = {
    ...UPSTREAM_TIMEOUT,
    detail: "The project did not respond in time",
  };

  /**
   * Creates the error.
   *
   * @param timeoutMs The `requestTimeoutMs` of the pool, in ms.
   * @param inBody True if the body had begun to flow. Default: false.
   */
  constructor(timeoutMs: number, inBody = false) {
    super(
      inBody
        ? `The body of the call's response made no progress for ${timeoutMs} ms (requestTimeoutMs)`
        : `The call had no complete response within ${timeoutMs} ms (requestTimeoutMs)`,
    );
  }
}

/**
 * A view was to send its caller's credentials outside its project.
 *
 * @cause A call or redirect leads to another host than the pool's project URL.
 * @fix Use `fetch` for other hosts.
 * @sample new ForeignAddressError("this call")
 */
export class ForeignAddressError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "FOREIGN_ADDRESS";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param what The subject that leads there: "this call", for example.
   */
  constructor(what: string) {
    super(`Cannot send credentials outside the project, and ${what} leads there: use fetch for other hosts`);
  }
}

/**
 * The URL of a call is too long to be sent: a filter lists too many values, or too many columns are selected.
 *
 * @cause A filter such as `.in()` holds hundreds of values, which are part of the URL.
 * @fix Pass the values to a Postgres function with `rpc`, whose arguments are in the body, or query in chunks of 100.
 * @sample new UrlTooLongError(74_000, 65_534)
 */
export class UrlTooLongError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "URL_TOO_LONG";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http = {
    status: 414,
    title: "URI too long",
    detail: "The query does not fit into a URL",
    hint: URL_HINT,
  };

  /**
   * Creates the error.
   *
   * @param length The length of the URL, in characters.
   * @param limit The maximum length.
   */
  constructor(length: number, limit: number) {
    super(
      `Cannot send the call: its URL has ${length.toLocaleString("en")} characters, and ` +
        `${limit.toLocaleString("en")} are possible. ${URL_HINT}`,
    );
  }
}

/**
 * A response was a redirect that cannot be followed, or must not be.
 *
 * @cause The redirect has no usable address, repeats too often, or would send a request body again.
 * @fix Call the final address directly.
 * @sample new RedirectError("more than 20 redirects")
 */
export class RedirectError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "REDIRECT_REFUSED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param why The reason why it was not followed.
   */
  constructor(why: string) {
    super(`Cannot follow the redirect: ${why}`);
  }
}
