/**
 * Failures to reach a server, with advice where the address explains them, and connections that break.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import {
  classifyFailure,
  type HttpDescription,
  INTERNAL_ERROR,
  messageOf,
  SERVICE_UNAVAILABLE,
  UPSTREAM_FAILURE,
} from "../../resilience/mod.ts";

/** The response to a request that did not reach the database. */
export const UNREACHABLE: HttpDescription = { ...SERVICE_UNAVAILABLE, detail: "The database could not be reached" };

/** The response to a request whose effect is unknown. */
export const UNKNOWN_EFFECT: HttpDescription = {
  ...UPSTREAM_FAILURE,
  detail: "The connection to the database broke: it is unknown whether the request took effect",
};

/** The advice for work whose effect is unknown. */
export const CHECK_EFFECT = "Check its effect before retrying, or retry only if it is idempotent";

/**
 * An error of the socket or of TLS. `code` is the system's, such as `ECONNREFUSED`, or one of this class:
 * `CONNECTION_FAILED`, `CONNECTION_CLOSED`, `PROTOCOL_ERROR`, `AUTHENTICATION_UNSUPPORTED`,
 * `CLIENT_ENCODING_UNSUPPORTED`, `COPY_UNSUPPORTED`.
 *
 * @cause The server is down, the host or port is wrong, or the network failed.
 * @fix Check host, port and that the server is up.
 * @sample new ConnectionError("ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:5432")
 */
export class ConnectionError extends PoolError {
  /** The code of a failure that has none of its own. */
  static override readonly code = "CONNECTION_FAILED";
  /** The retry class. */
  static override readonly retry: undefined = undefined;
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = UNREACHABLE;

  /**
   * Creates the error.
   *
   * @param code The code of the error.
   */
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options, code as Uppercase<string>);
  }

  /** The response to it: a server that is down or unreachable may be back in a moment. */
  override get http(): HttpDescription {
    return classifyFailure(this) === "permanent" ? INTERNAL_ERROR : UNREACHABLE;
  }
}

/** The direct address of a Supabase project (Supabase, "Connect to your database"). */
const DIRECT_ADDRESS = /^db\.[a-z\d-]+\.supabase\.(?:co|com|red|in|net)$/i;

/** Returns whether a host has only IPv6 addresses, as far as its name tells. */
export function isIpv6Only(host: string): boolean {
  return host.includes(":") || DIRECT_ADDRESS.test(host);
}

/** Failures that a network without IPv6 causes. */
const UNREACHABLE_CODES: ReadonlySet<string> = new Set([
  "CONNECT_TIMEOUT",
  "EADDRNOTAVAIL",
  "EAFNOSUPPORT",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENODATA",
  "ENOTFOUND",
  "ETIMEDOUT",
]);

/**
 * Returns advice that follows the message of a failure to connect, or `""`.
 *
 * @param code The code of the failure.
 */
export function addressAdvice(host: string, code: string): string {
  if (!DIRECT_ADDRESS.test(host) || !UNREACHABLE_CODES.has(code)) return "";
  return `. ${host} has only an IPv6 address, and this network may have no IPv6 (hosted functions have none): use the ` +
    "address of the pooler, *.pooler.supabase.com, with the user postgres.<project ref> (dashboard, Connect)";
}

/**
 * The server was not reached, or did not accept or refuse the connection, in time.
 *
 * @cause The host or port is wrong, a firewall drops the packets, or the server hangs.
 * @fix Check host, port and that the server is up, or raise `connectionTimeoutMs` (`DB_CONNECTION_TIMEOUT`).
 * @sample new ConnectTimeoutError("db.example.com", 5432, 2_000, false)
 */
export class ConnectTimeoutError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "CONNECT_TIMEOUT";
  /** The retry class. */
  static override readonly retry = "transient";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = UNREACHABLE;

  /**
   * Creates the error.
   *
   * @param timeoutMs The time limit that has passed, in ms.
   * @param reached Whether the server was reached and did not complete the login.
   */
  constructor(host: string, port: number, timeoutMs: number, reached: boolean) {
    const failure = reached
      ? `The server at ${host}:${port} accepted the connection and did not complete the login within ${timeoutMs} ms`
      : `Cannot reach ${host}:${port} within ${timeoutMs} ms (connectionTimeoutMs)`;
    super(`${failure}: check that the server is up, and the address${addressAdvice(host, "CONNECT_TIMEOUT")}`);
  }
}

/**
 * No login was attempted: with other credentials, this user was refused too often within five minutes. A pooler bans an
 * address after a few more.
 *
 * @cause A pool of this isolate has a wrong password for the same user.
 * @fix Correct the credentials of that pool, and retry after five minutes.
 * @sample new LoginsRefusedError()
 */
export class LoginsRefusedError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "LOGINS_REFUSED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http = { ...UNREACHABLE, retryAfterSeconds: 300 };

  constructor() {
    super(
      "Cannot log in now: this user was refused 5 times within 300 s with other credentials, and poolers ban an " +
        "address after a few more. Correct the credentials, and retry later",
    );
  }
}

/**
 * No further stream to the server may be open now. A `connect` function throws it, or a subclass: it lowers the limit of
 * the pool, as a server that is full does, and does not open the circuit.
 *
 * @cause The way to the server, such as a tunnel, has a limit below `maxConnections`.
 * @fix Raise that limit, or lower `maxConnections`.
 * @sample new ConnectLimitError("The proxy accepts no further stream: 10 are open")
 */
export class ConnectLimitError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code: Uppercase<string> = "CONNECT_LIMIT";
  /** The retry class. */
  static override readonly retry = "transient";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = UNREACHABLE;
}

/**
 * A connection was closed: its server is not of the kind that `targetSessionAttrs` asks for, such as a primary that has
 * been demoted. Nothing was sent on it.
 *
 * @cause A failover, or `default_transaction_read_only` was switched on; or the address is that of a standby.
 * @fix Retry: the next connection finds the new primary once the address leads to it. Otherwise correct the address, or `targetSessionAttrs`.
 * @sample new SessionUnsuitableError("primary")
 */
export class SessionUnsuitableError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "SESSION_UNSUITABLE";
  /** The retry class. */
  static override readonly retry = "transient";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = UNREACHABLE;

  /**
   * Creates the error.
   *
   * @param wanted The kind of server that is wanted.
   */
  constructor(wanted: string) {
    super(
      `The server is not ${wanted} (targetSessionAttrs): it may have been demoted. Retry, and check the address if ` +
        "this persists",
    );
  }
}

/**
 * The connection broke after a statement was sent: it is unknown whether the statement took effect. `cause` says how
 * the connection broke.
 *
 * @cause The server was restarted, the network failed, or the connection was terminated.
 * @fix Check the statement's effect before retrying, or mark it `idempotent`.
 * @sample new ConnectionLostError(new Error("read ECONNRESET"))
 */
export class ConnectionLostError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "CONNECTION_LOST";
  /** The retry class. */
  static override readonly retry = "ambiguous";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = UNKNOWN_EFFECT;

  /**
   * Creates the error.
   *
   * @param cause The error of the socket.
   */
  constructor(cause: unknown) {
    super(
      `The connection broke before the statement had a result, so its effect is unknown: ${messageOf(cause)}. ` +
        CHECK_EFFECT,
      { cause },
    );
  }
}

/**
 * The connection was broken before anything was sent on it: nothing took effect.
 *
 * @cause The server closed an idle connection.
 * @fix Retry.
 * @sample new ConnectionBrokenError(new Error("read ECONNRESET"))
 */
export class ConnectionBrokenError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "CONNECTION_BROKEN";
  /** The retry class. */
  static override readonly retry = "transient";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = {
    ...SERVICE_UNAVAILABLE,
    detail: "The connection to the database broke",
  };

  /**
   * Creates the error.
   *
   * @param cause The error that broke the connection.
   */
  constructor(cause: unknown) {
    super(`The connection is broken and nothing was sent: ${messageOf(cause)}`, { cause });
  }
}
