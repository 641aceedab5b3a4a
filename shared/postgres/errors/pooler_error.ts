/**
 * Errors of a pooler between us and Postgres. It has no SQLSTATEs of its own: PgBouncer reports `08P01` for everything,
 * Supavisor `XX000`, so that only the texts tell them apart.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import { codeOf, SERVICE_UNAVAILABLE, textOf, UPSTREAM_FAILURE } from "../../resilience/mod.ts";

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
  static override readonly code = "POOLER_UNAVAILABLE";
  static override readonly retry = "transient";
  static override readonly http = { ...SERVICE_UNAVAILABLE, detail: "The database could not be reached" };

  /** @param reported The pooler's message. */
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
  static override readonly code = "POOLER_LOST_SERVER";
  static override readonly retry = "ambiguous";
  static override readonly http = {
    ...UPSTREAM_FAILURE,
    detail: "The connection to the database broke: it is unknown whether the request took effect",
  };

  /** @param reported The pooler's message. */
  constructor(reported: string) {
    super(
      `The pooler lost its connection to Postgres, so the effect of the statement is unknown (${reported}). ` +
        "Check its effect before retrying, or retry only if it is idempotent",
    );
  }
}

/** The SQLSTATEs under which poolers report their own errors. */
const CODES: ReadonlySet<string> = new Set(["08P01", "XX000"]);

/** A lasting rejection that a pooler passes on. */
const CREDENTIALS = /authentication failed|no such user|not found/i;

/**
 * Texts of poolers, by meaning. Sources: PgBouncer 1.12 to 1.25, `disconnect_client` and `disconnect_server` in
 * `client.c`, `janitor.c`, `objects.c` and `server.c`; Supavisor 1 and 2, `lib/supavisor/errors` and, before that,
 * `client_handler.ex`.
 */
const TEXTS: readonly (readonly [text: RegExp, type: new (reported: string) => PoolerError])[] = [
  [/^(pgbouncer )?cannot connect( to server)?\b/, PoolerUnavailableError],
  [/^server login has been failing\b/, PoolerUnavailableError],
  [/^(client_login_timeout|query_wait_timeout|pooler is shutting down)\b/, PoolerUnavailableError],
  [/^(no more connections allowed|client connections exceeded)\b/, PoolerUnavailableError],
  [/^\((EMAXCONN(SESSION)?|EMAXPOOLSREACHED|ECHECKOUT[A-Z]+|EPOOL[A-Z]+)\)/, PoolerUnavailableError],
  [/^\((EWORKERNOTFOUND|ESUBSCRIBERETRIES|EPROXY[A-Z]+)\)/, PoolerUnavailableError],
  [/^(Max client connections reached|MaxClientsInSessionMode)/, PoolerUnavailableError],
  [/^[Uu]nable to check out (process|connection) from the pool/, PoolerUnavailableError],
  [/^(server conn crashed\?|server shutting down|unexpected eof)/, PoolerLostServerError],
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
