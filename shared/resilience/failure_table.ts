/**
 * What may be tried again: the one table. Everything here that retries, backs
 * off or breaks a circuit asks it, through `classifyFailure`.
 *
 * What is not in the table is permanent: to try again blindly is worse than to
 * tell the caller.
 *
 * @module
 */

/**
 * Whether a failed operation may be tried again.
 *
 * - `transient`: it failed before it could have had an effect. Always.
 * - `ambiguous`: it may have been carried out. Only if it is idempotent.
 * - `permanent`: it would fail again, or must not be repeated. Never.
 */
export type FailureKind = "transient" | "ambiguous" | "permanent";

/** One row: what identifies a failure, its kind, and why. */
export type FailureRow<Key> = readonly [key: Key, kind: FailureKind, why: string];

/**
 * SQLSTATE, by code or by class (two characters). A code wins over its class.
 * Source: PostgreSQL, appendix A "PostgreSQL Error Codes".
 */
export const SQLSTATE: readonly FailureRow<string>[] = [
  ["08", "ambiguous", "connection_exception: it broke at an unknown moment"],
  ["08001", "transient", "sqlclient_unable_to_establish_sqlconnection"],
  ["08004", "transient", "sqlserver_rejected_establishment_of_sqlconnection"],
  ["08P01", "permanent", "protocol_violation"],
  ["40001", "transient", "serialization_failure: rolled back, meant to be retried"],
  ["40003", "ambiguous", "statement_completion_unknown"],
  ["40P01", "transient", "deadlock_detected: rolled back"],
  ["53000", "transient", "insufficient_resources"],
  ["53200", "transient", "out_of_memory"],
  ["53300", "transient", "too_many_connections"],
  ["55P03", "transient", "lock_not_available"],
  ["57014", "permanent", "query_canceled: a statement that was too slow is too slow again"],
  ["57P01", "ambiguous", "admin_shutdown"],
  ["57P02", "ambiguous", "crash_shutdown"],
  ["57P03", "transient", "cannot_connect_now: starting up or recovering"],
  ["57P05", "transient", "idle_session_timeout: nothing was running"],
  ["58", "ambiguous", "system_error"],
];

/** PostgREST's own codes. Source: PostgREST reference, "Errors". */
export const POSTGREST: readonly FailureRow<string>[] = [
  ["PGRST000", "transient", "could not connect to the database"],
  ["PGRST001", "ambiguous", "the connection to the database failed, perhaps after the statement was sent"],
  ["PGRST002", "transient", "could not connect while building the schema cache"],
  ["PGRST003", "transient", "no connection of PostgREST's own pool became free in time"],
];

/**
 * System and client codes: errno names as Deno and Node give them, undici's
 * and Postgres.js's. Sources: errno(3), getaddrinfo(3), undici "Errors",
 * Postgres.js "Error handling".
 */
export const TRANSPORT: readonly FailureRow<string>[] = [
  ["ECONNREFUSED", "transient", "nobody listened"],
  ["EAI_AGAIN", "transient", "the name server did not answer"],
  ["EHOSTDOWN", "transient", "no way to the host"],
  ["EHOSTUNREACH", "transient", "no way to the host"],
  ["ENETDOWN", "transient", "no way to the network"],
  ["ENETUNREACH", "transient", "no way to the network"],
  ["EADDRNOTAVAIL", "transient", "no local port is free"],
  ["ENOBUFS", "transient", "the system has no room for a socket"],
  ["EMFILE", "transient", "no file descriptor is free"],
  ["ENFILE", "transient", "no file descriptor is free"],
  ["UND_ERR_CONNECT_TIMEOUT", "transient", "the connection was never made"],
  ["CONNECT_TIMEOUT", "transient", "the connection was never made"],
  ["ECONNRESET", "ambiguous", "the connection broke"],
  ["ECONNABORTED", "ambiguous", "the connection broke"],
  ["ENETRESET", "ambiguous", "the connection broke"],
  ["ENOTCONN", "ambiguous", "the connection broke"],
  ["EPIPE", "ambiguous", "the connection broke"],
  ["ETIMEDOUT", "ambiguous", "no answer"],
  ["UND_ERR_SOCKET", "ambiguous", "the connection broke"],
  ["UND_ERR_HEADERS_TIMEOUT", "ambiguous", "no answer"],
  ["UND_ERR_BODY_TIMEOUT", "ambiguous", "the answer stopped half-way"],
  ["CONNECTION_CLOSED", "ambiguous", "the connection broke"],
  ["ENOTFOUND", "permanent", "no such host: the address is wrong"],
];

/** The codes of this library. */
export const LIBRARY: readonly FailureRow<string>[] = [
  ["CREATE_TIMEOUT", "transient", "the resource was never lent"],
  ["REQUEST_TIMEOUT", "ambiguous", "sent, and not answered in time"],
  ["RESOURCE_INVALID", "ambiguous", "the connection died while it was lent"],
  ["ACQUIRE_TIMEOUT", "permanent", "the pool has waited already, with its own deadline"],
  ["ACQUIRE_ABORTED", "permanent", "the caller gave up"],
  ["QUEUE_FULL", "permanent", "the pool sheds load: coming back would add to it"],
  ["POOL_CLOSED", "permanent", "this isolate is ending"],
  ["CIRCUIT_OPEN", "permanent", "the breaker spares the far side, and decides when to ask again"],
  ["CREATE_FAILED", "permanent", "the factory judged its error permanent"],
  ["CONNECTION_BROKEN", "transient", "it had broken before anything was sent"],
  ["CONNECTION_LOST", "ambiguous", "sent, and not answered: the connection broke"],
  ["POOLER_UNAVAILABLE", "transient", "the pooler had no connection to Postgres for it"],
  ["POOLER_LOST_SERVER", "ambiguous", "the pooler's connection to Postgres broke, perhaps in the middle of it"],
  ["TLS_NOT_OFFERED", "permanent", "the server speaks no TLS"],
  ["TLS_UNVERIFIED", "permanent", "the server is not known to be the right one"],
  ["COMMIT_OUTCOME_UNKNOWN", "ambiguous", "COMMIT was sent, and not answered"],
  ["RETRY_TIMEOUT", "permanent", "the time for trying is over"],
];

/** Errors known by their name: DOM exceptions, Deno's system errors and auth-js. */
export const NAMES: readonly FailureRow<string>[] = [
  ["AbortError", "permanent", "the caller gave up"],
  ["TimeoutError", "ambiguous", "sent, and not answered in time"],
  ["ConnectionRefused", "transient", "nobody listened"],
  ["NetworkUnreachable", "transient", "no way to the network"],
  ["AddrNotAvailable", "transient", "no local port is free"],
  ["ConnectionReset", "ambiguous", "the connection broke"],
  ["ConnectionAborted", "ambiguous", "the connection broke"],
  ["NotConnected", "ambiguous", "the connection broke"],
  ["BrokenPipe", "ambiguous", "the connection broke"],
  ["UnexpectedEof", "ambiguous", "the connection broke"],
  ["TimedOut", "ambiguous", "no answer"],
];

/** HTTP status. Sources: RFC 9110, RFC 6585 (429), RFC 8470 (425), Cloudflare "5xx errors" (52x). */
export const STATUS: readonly FailureRow<number>[] = [
  [408, "transient", "request timeout: the request never arrived whole"],
  [425, "transient", "too early: not processed"],
  [429, "transient", "too many requests: not processed"],
  [502, "ambiguous", "bad gateway: what the server behind it did is unknown"],
  [503, "transient", "service unavailable"],
  [504, "ambiguous", "gateway timeout"],
  [520, "ambiguous", "the server closed the connection without an answer"],
  [521, "transient", "the server refused the connection"],
  [522, "ambiguous", "connection timed out, in the handshake or later"],
  [523, "transient", "no way to the server"],
  [524, "ambiguous", "the server did not answer in time"],
];

/**
 * What is left when an error is only text: supabase-js keeps no more of what
 * `fetch` threw, and Deno's `fetch` gives no code. The first row that matches
 * decides. Sources: the messages of Deno 2.1 to 2.9 (hyper, rustls), of
 * Node's `fetch` and of libpq.
 */
export const TEXT: readonly FailureRow<RegExp>[] = [
  [/^AbortError\b/, "permanent", "the caller gave up"],
  [/^(TimeoutError|RequestTimeoutError)\b/, "ambiguous", "sent, and not answered in time"],
  [/^(LeaseReleasedError|AcquireTimeoutError|QueueFullError|PoolClosedError)\b/, "permanent", "see their codes"],
  [/certificate|UnknownIssuer|CorruptMessage|corrupt message|HandshakeFailure/i, "permanent", "TLS: refused"],
  [/Temporary failure in name resolution|EAI_AGAIN/i, "transient", "the name server did not answer"],
  [/dns error|ENOTFOUND|Name or service not known/i, "permanent", "no such host"],
  [/refused stream/i, "transient", "HTTP/2 REFUSED_STREAM: not processed (RFC 9113, 8.7)"],
  [/connection refused|ECONNREFUSED/i, "transient", "nobody listened"],
  [/(network|host) (is )?(unreachable|down)|no route to host/i, "transient", "no way to the host"],
  [/CONNECT_TIMEOUT|UND_ERR_CONNECT_TIMEOUT/, "transient", "the connection was never made"],
  [/client error \(Connect\)/, "transient", "the connection was never made"],
  [/the database system is (starting up|shutting down|in recovery)/i, "transient", "57P03"],
  [/too many (clients|connections)|remaining connection slots/i, "transient", "53300"],
  [/terminating connection|connection terminated|CONNECTION_(CLOSED|ENDED|DESTROYED)/i, "ambiguous", "57P01, or cut"],
  [/connection (was )?(reset|aborted|closed|lost)|ECONNRESET|broken pipe|EPIPE/i, "ambiguous", "the connection broke"],
  [/error reading a body from connection|unexpected end of file|socket hang up/i, "ambiguous", "it broke half-way"],
  [/client error \(SendRequest\)|fetch failed|error sending request|timed? ?out/i, "ambiguous", "sent, perhaps"],
];
