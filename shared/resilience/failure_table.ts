/**
 * Failures of other software, and whether they may be retried. Errors of this library declare it themselves
 * (`error_class.ts`); SQLSTATEs are in `sqlstate.ts`.
 *
 * A failure without a row is permanent: retrying blindly is worse than reporting it.
 *
 * @module
 */

/**
 * The retry class of a failed operation.
 *
 * - `transient`: it failed before it could have an effect. It may always be retried.
 * - `ambiguous`: it may have taken effect. It may be retried only if it is idempotent.
 * - `permanent`: it would fail again, or must not be repeated. It is never retried.
 */
export type FailureKind = "transient" | "ambiguous" | "permanent";

/** One row: the key of a failure, its retry class, and why. */
export type FailureRow<Key> = readonly [key: Key, kind: FailureKind, why: string];

/** PostgREST's own codes. Source: PostgREST reference, "Errors". */
export const POSTGREST: readonly FailureRow<string>[] = [
  ["PGRST000", "transient", "could not connect to the database"],
  ["PGRST001", "ambiguous", "the connection to the database failed; the statement may have been sent"],
  ["PGRST002", "transient", "could not connect while building the schema cache"],
  ["PGRST003", "transient", "PostgREST's own pool had no free connection in time"],
];

/**
 * System and client codes: errno names as Deno and Node give them, undici's
 * and Postgres.js's. Sources: errno(3), getaddrinfo(3), undici "Errors",
 * Postgres.js "Error handling".
 */
export const TRANSPORT: readonly FailureRow<string>[] = [
  ["ECONNREFUSED", "transient", "no process listened"],
  ["EAI_AGAIN", "transient", "the name server did not respond"],
  ["EHOSTDOWN", "transient", "the host is unreachable"],
  ["EHOSTUNREACH", "transient", "the host is unreachable"],
  ["ENETDOWN", "transient", "the network is unreachable"],
  ["ENETUNREACH", "transient", "the network is unreachable"],
  ["EADDRNOTAVAIL", "transient", "no local port is free"],
  ["ENOBUFS", "transient", "the system has no memory for a socket"],
  ["EMFILE", "transient", "no file descriptor is free"],
  ["ENFILE", "transient", "no file descriptor is free"],
  ["UND_ERR_CONNECT_TIMEOUT", "transient", "the connection was never established"],
  ["CONNECT_TIMEOUT", "transient", "the connection was never established"],
  ["ECONNRESET", "ambiguous", "the connection broke"],
  ["ECONNABORTED", "ambiguous", "the connection broke"],
  ["ENETRESET", "ambiguous", "the connection broke"],
  ["ENOTCONN", "ambiguous", "the connection broke"],
  ["EPIPE", "ambiguous", "the connection broke"],
  ["ETIMEDOUT", "ambiguous", "no response"],
  ["UND_ERR_SOCKET", "ambiguous", "the connection broke"],
  ["UND_ERR_HEADERS_TIMEOUT", "ambiguous", "no response"],
  ["UND_ERR_BODY_TIMEOUT", "ambiguous", "the response stopped midway"],
  ["CONNECTION_CLOSED", "ambiguous", "the connection broke"],
  ["ENOTFOUND", "permanent", "no such host: the address is wrong"],
];

/** Errors known by their name: DOM exceptions, Deno's system errors and auth-js. */
export const NAMES: readonly FailureRow<string>[] = [
  ["AbortError", "permanent", "aborted by the caller"],
  ["TimeoutError", "ambiguous", "sent, without a response in time"],
  ["ConnectionRefused", "transient", "no process listened"],
  ["NetworkUnreachable", "transient", "the network is unreachable"],
  ["AddrNotAvailable", "transient", "no local port is free"],
  ["ConnectionReset", "ambiguous", "the connection broke"],
  ["ConnectionAborted", "ambiguous", "the connection broke"],
  ["NotConnected", "ambiguous", "the connection broke"],
  ["BrokenPipe", "ambiguous", "the connection broke"],
  ["UnexpectedEof", "ambiguous", "the connection broke"],
  ["TimedOut", "ambiguous", "no response"],
];

/**
 * HTTP status. Sources: RFC 9110, RFC 6585 (429), RFC 8470 (425), Cloudflare "5xx errors" (52x, 530), Supabase "HTTP
 * status codes" (540, 544, 546).
 */
export const STATUS: readonly FailureRow<number>[] = [
  [408, "transient", "request timeout: the request did not arrive completely"],
  [425, "transient", "too early: not processed"],
  [429, "transient", "too many requests: not processed"],
  [502, "ambiguous", "bad gateway: the effect on the server behind it is unknown"],
  [503, "transient", "service unavailable"],
  [504, "ambiguous", "gateway timeout"],
  [520, "ambiguous", "the server closed the connection without a response"],
  [521, "transient", "the server refused the connection"],
  [522, "ambiguous", "connection timed out, in the handshake or later"],
  [523, "transient", "the server is unreachable"],
  [524, "ambiguous", "the server did not respond in time"],
  [525, "transient", "no TLS connection to the server: not processed"],
  [526, "permanent", "the certificate of the server is invalid"],
  [527, "ambiguous", "the connection to the server failed"],
  [530, "transient", "the server's name could not be resolved: not processed"],
  [540, "permanent", "the project is paused"],
  [544, "ambiguous", "the project did not respond in time"],
  [546, "ambiguous", "the function reached a limit of its isolate"],
];

/**
 * Texts, for errors that have nothing else: supabase-js flattens what `fetch` threw to `Name: message`, and Deno's
 * `fetch` sets no code. The first row that matches decides. Sources: the messages of Deno 2.1 to 2.9 (hyper, rustls),
 * of Node's `fetch` and of libpq.
 */
export const TEXT: readonly FailureRow<RegExp>[] = [
  [/^AbortError\b/, "permanent", "aborted by the caller"],
  [/^TimeoutError\b/, "ambiguous", "sent, without a response in time"],
  // `fetch` itself throws TypeError and DOMException: another name is an error of ours or of the program. Who has the
  // error itself (`transportFailure`) classifies that instead.
  [/^(?!TypeError|FetchError)\w+Error: /, "permanent", "not an error of the transport"],
  [/certificate|UnknownIssuer|CorruptMessage|corrupt message|HandshakeFailure/i, "permanent", "TLS: refused"],
  [/Temporary failure in name resolution|EAI_AGAIN/i, "transient", "the name server did not respond"],
  [/dns error|ENOTFOUND|Name or service not known/i, "permanent", "no such host"],
  [/refused stream/i, "transient", "HTTP/2 REFUSED_STREAM: not processed (RFC 9113, 8.7)"],
  [/connection refused|ECONNREFUSED/i, "transient", "no process listened"],
  [/(network|host) (is )?(unreachable|down)|no route to host/i, "transient", "the host is unreachable"],
  [/CONNECT_TIMEOUT|UND_ERR_CONNECT_TIMEOUT/, "transient", "the connection was never established"],
  [/client error \(Connect\)/, "transient", "the connection was never established"],
  [/the database system is (starting up|shutting down|in recovery)/i, "transient", "57P03"],
  [/too many (clients|connections)|remaining connection slots/i, "transient", "53300"],
  [
    /terminating connection|connection terminated|CONNECTION_(CLOSED|ENDED|DESTROYED)/i,
    "ambiguous",
    "57P01, or closed by the client",
  ],
  [/connection (was )?(reset|aborted|closed|lost)|ECONNRESET|broken pipe|EPIPE/i, "ambiguous", "the connection broke"],
  [
    /error reading a body from connection|unexpected end of file|socket hang up/i,
    "ambiguous",
    "the connection broke midway",
  ],
  [/client error \(SendRequest\)|fetch failed|error sending request|timed? ?out/i, "ambiguous", "may have been sent"],
];
