/**
 * Errors of a pooler between us and Postgres. It has no SQLSTATEs of its own: PgBouncer reports `08P01` for everything,
 * Supavisor `XX000`, so that only the texts tell them apart.
 *
 * @module
 */
import { CreateFailedError, PoolError } from "../../pool/mod.ts";
import { codeOf, type HttpDescription, textOf } from "../../resilience/mod.ts";
import { CHECK_EFFECT, ConnectLimitError, UNKNOWN_EFFECT, UNREACHABLE } from "./connection_error.ts";

/** A pooler could not serve. */
export abstract class PoolerError extends PoolError {}

/**
 * The pooler had no connection to Postgres: nothing ran.
 *
 * @cause Postgres is down or starting, or the pooler may not open or accept more connections.
 * @fix Retry. If it lasts, check that Postgres is up, and the pooler's limits.
 * @sample new PoolerUnavailableError("query_wait_timeout")
 */
export class PoolerUnavailableError extends PoolerError {
  /** The code in logs and responses. */
  static override readonly code = "POOLER_UNAVAILABLE";
  /** The retry class. */
  static override readonly retry = "transient";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = UNREACHABLE;

  /**
   * Creates the error.
   *
   * @param reported The pooler's message.
   */
  constructor(reported: string) {
    super(
      `The pooler had no connection to Postgres, and nothing ran (${reported}): retry later. ` +
        "If it lasts, check that Postgres is up and that the pooler may open and accept more connections",
    );
  }
}

/**
 * The pooler lost a connection to Postgres that was in use: the effect is unknown.
 *
 * @cause Postgres was restarted or crashed, or the pooler closed the connection.
 * @fix Check the statement's effect before retrying, or mark it `idempotent`.
 * @sample new PoolerLostServerError("server conn crashed?")
 */
export class PoolerLostServerError extends PoolerError {
  /** The code in logs and responses. */
  static override readonly code = "POOLER_LOST_SERVER";
  /** The retry class. */
  static override readonly retry = "ambiguous";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = UNKNOWN_EFFECT;

  /**
   * Creates the error.
   *
   * @param reported The pooler's message.
   */
  constructor(reported: string) {
    super(
      `The pooler lost its connection to Postgres, so the effect of the statement is unknown (${reported}). ` +
        CHECK_EFFECT,
    );
  }
}

/**
 * The pooler refuses connections for a while: nothing ran. Attempts are limited until it accepts again, because each may
 * prolong the refusal.
 *
 * @cause Too many logins failed, so that Supavisor's circuit breaker is open, or the project is banned or paused.
 * @fix Read the pooler's message. Correct the credentials of every client, and wait until the pooler accepts again.
 * @sample new PoolerRefusedError("(ECIRCUITBREAKER) too many authentication failures, new connections are blocked")
 */
export class PoolerRefusedError extends PoolerError {
  /** The code in logs and responses. */
  static override readonly code = "POOLER_REFUSED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = { ...UNREACHABLE, retryAfterSeconds: 60 };

  /**
   * Creates the error.
   *
   * @param reported The pooler's message.
   */
  constructor(reported: string) {
    super(
      `The pooler refuses connections for now, and nothing ran (${reported}): correct what its message names, and ` +
        "retry after a minute or more",
    );
  }
}

/** SQLSTATE `too_many_connections`. */
const TOO_MANY_CONNECTIONS = "53300";

/** The SQLSTATEs under which poolers report their own errors. */
const CODES: ReadonlySet<string> = new Set(["08P01", "08006", "XX000"]);

/** A lasting rejection that a pooler passes on. */
const CREDENTIALS = /authentication failed|no such user|tenant or user not found|\(ETENANTNOTFOUND\)/i;

/**
 * Texts of poolers, by meaning. Sources: PgBouncer 1.12 to 1.25, `disconnect_client` and `disconnect_server` in
 * `client.c`, `janitor.c`, `objects.c` and `server.c`; Supavisor 1 and 2, `lib/supavisor/errors`, `circuit_breaker.ex`
 * and, before that, `client_handler.ex`. What is not listed is a fault of the configuration, such as
 * `(ENOTFOUND) tenant/user ... not found`, `(EADDRNOTALLOWED)` or `no such database`.
 */
const TEXTS: readonly (readonly [text: RegExp, type: new (reported: string) => PoolerError])[] = [
  [/^\((ECIRCUITBREAKER|EBANNED|EAUTHSECRETS|EJITREQUESTFAILED)\)/, PoolerRefusedError],
  [
    /^\(EAUTHQUERY\) (auth_query (connection failed|secret check timed out)|authentication query failed)/,
    PoolerRefusedError,
  ],
  [/^(circuit breaker open|tenant is banned|too many (failed )?authentication)/i, PoolerRefusedError],
  [/^(pgbouncer )?cannot connect( to server)?\b/, PoolerUnavailableError],
  [
    /^(connect failed|connect timeout|server DNS lookup failed|server refused SSL|TLS startup failed)/,
    PoolerUnavailableError,
  ],
  [/^server login has been failing\b/, PoolerUnavailableError],
  [/^(client_login_timeout|query_wait_timeout|client_idle_timeout|pooler is shutting down)\b/, PoolerUnavailableError],
  [/^(suspend_timeout|pause failed|database ".*" is disabled|bouncer resources exhaustion)/s, PoolerUnavailableError],
  [/^no memory for (authentication )?pool/, PoolerUnavailableError],
  [/^(no more connections allowed|client connections exceeded|too many connections)\b/i, PoolerUnavailableError],
  [/^\((EMAX(CONN(SESSION)?|CLIENTS|POOLSREACHED)|ECHECKOUT[A-Z]+|EPOOL[A-Z]+)\)/, PoolerUnavailableError],
  [/^\((EWORKERNOTFOUND|ESUBSCRIBERETRIES|EPROXY[A-Z]+|EAUTHTIMEOUT)\)/, PoolerUnavailableError],
  [/^(Max client connections reached|MaxClientsInSessionMode)/, PoolerUnavailableError],
  [/^[Uu]nable to check out (process|connection) from the pool/, PoolerUnavailableError],
  [/^(server conn crashed\?|server shutting down|unexpected eof|server connection closed)/, PoolerLostServerError],
  [/^(query_timeout|query timeout|idle transaction timeout|admin forced disconnect)/, PoolerLostServerError],
  [/^(\(EDBHANDLEREXITED\)|connection to database closed|DbHandler exited)/, PoolerLostServerError],
];

/**
 * Returns the error that a pooler reported, or `undefined` if the error is the server's: the server names the routine
 * that raised it.
 *
 * @param source The message, as the driver passes it on.
 */
export function poolerErrorOf(source: object): PoolerError | undefined {
  const message = textOf(source, "message");
  if (message === undefined || !CODES.has(codeOf(source) ?? "")) return undefined;
  if (textOf(source, "routine") !== undefined || CREDENTIALS.test(message)) return undefined;
  const type = TEXTS.find(([text]) => text.test(message))?.[1];
  return type && new type(message);
}

/** Texts of a limit of connections, of the messages that mean {@linkcode PoolerUnavailableError}. */
const AT_LIMIT = /no more connections allowed|connections exceeded|too many connections|\(EMAX[A-Z]*\)|Max ?Client/i;

/** Returns whether an error means that the server, or a pooler, accepts no further connection: it answers, and is full. */
export function isAtConnectionLimit(error: unknown): boolean {
  if (error instanceof CreateFailedError) return isAtConnectionLimit(error.cause);
  if (codeOf(error) === TOO_MANY_CONNECTIONS || error instanceof ConnectLimitError) return true;
  return error instanceof PoolerUnavailableError && AT_LIMIT.test(error.message);
}
