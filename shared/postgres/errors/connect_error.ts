/**
 * Failures to reach a server, with advice where the address explains them.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import { type HttpDescription, SERVICE_UNAVAILABLE } from "../../resilience/mod.ts";

/** The direct address of a Supabase project (Supabase, "Connect to your database"). */
const DIRECT_ADDRESS = /^db\.[a-z\d-]+\.supabase\.(?:co|com|red|in|net)$/i;

/** Returns whether a host has only IPv6 addresses, as far as its name tells. */
export function isIpv6Only(host: string): boolean {
  return host.includes(":") || DIRECT_ADDRESS.test(host);
}

/** Failures that a network without IPv6 causes. */
const UNREACHABLE: ReadonlySet<string> = new Set([
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
  if (!DIRECT_ADDRESS.test(host) || !UNREACHABLE.has(code)) return "";
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
  static override readonly http: HttpDescription = {
    ...SERVICE_UNAVAILABLE,
    detail: "The database could not be reached",
  };

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
  static override readonly http = {
    ...SERVICE_UNAVAILABLE,
    retryAfterSeconds: 300,
    detail: "The database could not be reached",
  };

  constructor() {
    super(
      "Cannot log in now: this user was refused 5 times within 300 s with other credentials, and poolers ban an " +
        "address after a few more. Correct the credentials, and retry later",
    );
  }
}
