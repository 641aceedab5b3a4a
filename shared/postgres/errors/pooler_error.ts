/**
 * What a pooler says for itself. It has no SQLSTATEs for it: PgBouncer says
 * `08P01` whatever happened, Supavisor `XX000`, so that only their texts tell.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";

/** What became of the statement. */
type PoolerErrorCode = "POOLER_UNAVAILABLE" | "POOLER_LOST_SERVER";

/** The codes under which poolers say what has none. */
const CODES: ReadonlySet<string> = new Set(["08P01", "XX000"]);

/** A refusal that lasts, in the words that a pooler hands on. */
const CREDENTIALS = /authentication failed|no such user|not found/i;

/**
 * Texts of poolers, by what they mean. Sources: PgBouncer 1.12 to 1.25, `disconnect_client` and `disconnect_server` in
 * `client.c`, `janitor.c`, `objects.c` and `server.c`; Supavisor 1 and 2, `lib/supavisor/errors` and, before that,
 * `client_handler.ex`.
 */
const TEXTS: readonly (readonly [text: RegExp, code: PoolerErrorCode])[] = [
  [/^(pgbouncer )?cannot connect( to server)?\b/, "POOLER_UNAVAILABLE"],
  [/^server login has been failing\b/, "POOLER_UNAVAILABLE"],
  [/^(client_login_timeout|query_wait_timeout|pooler is shutting down)\b/, "POOLER_UNAVAILABLE"],
  [/^(no more connections allowed|client connections exceeded)\b/, "POOLER_UNAVAILABLE"],
  [/^\((EMAXCONN(SESSION)?|EMAXPOOLSREACHED|ECHECKOUT[A-Z]+|EPOOL[A-Z]+)\)/, "POOLER_UNAVAILABLE"],
  [/^\((EWORKERNOTFOUND|ESUBSCRIBERETRIES|EPROXY[A-Z]+)\)/, "POOLER_UNAVAILABLE"],
  [/^(Max client connections reached|MaxClientsInSessionMode)/, "POOLER_UNAVAILABLE"],
  [/^[Uu]nable to check out (process|connection) from the pool/, "POOLER_UNAVAILABLE"],
  [/^(server conn crashed\?|server shutting down|unexpected eof)/, "POOLER_LOST_SERVER"],
  [/^(\(EDBHANDLEREXITED\)|connection to database closed|DbHandler exited)/, "POOLER_LOST_SERVER"],
];

const MESSAGES: Readonly<Record<PoolerErrorCode, (said: string) => string>> = {
  POOLER_UNAVAILABLE: (said) =>
    `The pooler before Postgres had no connection for it, and nothing was run (${said}): try again later; ` +
    "if it lasts, look whether Postgres is up, and whether the pooler may make and take more connections",
  POOLER_LOST_SERVER: (said) =>
    `The pooler before Postgres lost its connection, so the effect of what ran is unknown (${said}). ` +
    "Look before you repeat it, or repeat it only if it may run twice",
};

/**
 * A pooler could not serve. `code` is `POOLER_UNAVAILABLE` where it had no
 * connection to Postgres, so that nothing was run, and `POOLER_LOST_SERVER` where
 * it lost one that was in use, so that the effect is unknown.
 */
export class PoolerError extends PoolError {
  constructor(code: PoolerErrorCode, said: string) {
    super(code, MESSAGES[code](said));
  }
}

/**
 * The error that a pooler means, if it is one of a pooler's own: those of the server say which
 * routine of it raised them, and are handed on as they are.
 *
 * @param source The message of the server, as the driver gives it.
 */
export function poolerErrorOf(source: object): PoolerError | undefined {
  const code: unknown = Reflect.get(source, "code");
  const message: unknown = Reflect.get(source, "message");
  if (typeof code !== "string" || typeof message !== "string" || !CODES.has(code)) return undefined;
  if (Reflect.get(source, "routine") !== undefined || CREDENTIALS.test(message)) return undefined;
  const known = TEXTS.find(([text]) => text.test(message));
  return known && new PoolerError(known[1], message);
}
