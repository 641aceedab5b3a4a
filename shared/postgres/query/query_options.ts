/**
 * Options of queries, leases and transactions.
 *
 * @module
 */
import { type AcquireLane, ConfigError, type Flow, type Lane, type Lease } from "../../pool/mod.ts";
import type { CallerRequest } from "../caller/request_settings.ts";
import type { LeasedSession } from "../connection/session.ts";
import type { BusyTime } from "../../resilience/mod.ts";
import { StatementError } from "../errors/statement_error.ts";
import type { BeginOptions } from "../transaction/transaction_options.ts";
import type { TypeOverrides } from "../types/registry.ts";
import { captureValues } from "../wire/captured_values.ts";
import type { ParamType, Statement } from "../wire/query_result.ts";

/** Options of a lease. */
export interface LeaseOptions {
  /** Aborts the wait for a connection, and then everything that runs on it. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /** The lane of the acquire; `probe` is for health checks. Default: `normal`. */
  readonly lane?: AcquireLane | undefined;
  /** The longest wait for a connection, in ms. Default: the manager's `acquireTimeoutMs`. */
  readonly acquireTimeoutMs?: number | undefined;
  /**
   * The flow whose share of the connections is taken, with `fairShare`. Default: that of the caller, by the `sub` of a
   * user; the login role has one of its own.
   */
  readonly flow?: Flow | undefined;
  /**
   * True to run on another connection inside the function of a transaction of the same pool and identity, where anything
   * but the transaction itself is rejected otherwise. Default: false.
   */
  readonly outsideTransaction?: boolean | undefined;
  /**
   * Called with the session of the leased connection, before anything is sent on it. What it throws rejects the call, and
   * the connection is released. Default: none.
   */
  readonly admit?: ((session: LeasedSession) => void) | undefined;
}

/** Options of what may write. */
export interface WriteOptions {
  /**
   * Called when the statement, or COMMIT, is sent, with the position of the write-ahead log behind it, such as
   * `0/16B3748`; `undefined` if it is not known. It is read in the same round trip: a standby that has replayed up to it
   * has the write. Default: it is not read.
   */
  readonly onWalPosition?: ((position: Promise<string | undefined>) => void) | undefined;
}

/** Options of one statement. */
export interface StatementOptions {
  /**
   * False to send the statement without preparing it: the server plans it for these values alone. Default: the
   * manager's, true.
   */
  readonly prepare?: boolean | undefined;
  /**
   * The types of `$1`, `$2` and so on: oids, or names of built-in types such as `int4[]`; `undefined` for one that the
   * server infers. They save the round trip that asks for the types at the first run of a text. Default: none.
   */
  readonly paramTypes?: readonly ParamType[] | undefined;
  /** Overrides of the ways in which types are sent and read; keep one object for many queries. Default: the manager's. */
  readonly types?: TypeOverrides | undefined;
}

/** Options of a query. Its `signal` aborts the wait for a connection, and cancels a running statement at the server. */
export interface QueryOptions extends LeaseOptions, StatementOptions, WriteOptions {
  /** The time limit of the statement, in ms; `Infinity` for none. Default: the manager's `queryTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** The lane of the acquire. Default: `normal`. */
  readonly lane?: Lane | undefined;
}

/** The owner of a caller's work, such as a request: it may refuse work, and ends what the caller leaves behind. */
export interface WorkOwner {
  /**
   * Called before each statement, transaction and lease of the pool. What it returns is disposed once that has settled;
   * what it throws rejects it.
   */
  begin(): Disposable;
  /** Called with each lease that the caller has to release. What it throws rejects the call. */
  leased(lease: Pick<Lease<object>, "active" | typeof Symbol.dispose>): void;
}

/** Options of everything that a caller runs. */
export interface WorkOptions {
  /** Aborts all of it; see {@linkcode QueryOptions}. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /** The flow of all of it; see {@linkcode LeaseOptions}. Default: that of the caller. */
  readonly flow?: Flow | undefined;
  /** Called with the time that each acquire waited for a connection, in ms, also if it failed. Default: none. */
  readonly onWaited?: ((waitedMs: number) => void) | undefined;
  /** Called with the number of each lease: `leaseId` in the events of the pool. Default: none. */
  readonly onLeased?: ((leaseId: number) => void) | undefined;
  /** Sums the time in which its statements are under way. Default: it is not summed. */
  readonly upstream?: BusyTime | undefined;
  /** The owner of its work. Default: there is none, and what the caller leaves behind stays. */
  readonly owner?: WorkOwner | undefined;
  /**
   * True if the caller's token was valid when the request began: then it serves the request until 30 s after its `exp`,
   * as the Data API accepts it. Default: whether the token is valid when `as` is called.
   */
  readonly admitted?: boolean | undefined;
  /**
   * The request that the caller sent, for `current_setting('request.headers')` and its like in functions and policies.
   * Default: none; the settings are empty.
   */
  readonly request?: CallerRequest | undefined;
}

/** Options of a transaction. */
export interface TransactionOptions extends BeginOptions, Omit<QueryOptions, keyof StatementOptions> {
  /** The time limit of the whole transaction, in ms, after which it is rolled back. Default: `Infinity`. */
  readonly timeoutMs?: number | undefined;
  /**
   * The maximum number of retries of all of it after a serialization failure or a deadlock (40001, 40P01). The database has
   * rolled it back; what its function did elsewhere remains. Default: 0.
   */
  readonly retries?: number | undefined;
}

/** One statement of a list. */
export interface ListedStatement extends StatementOptions {
  /** Its text. */
  readonly query: string;
  /** The values of `$1`, `$2` and so on. Default: none. */
  readonly values?: readonly unknown[] | undefined;
}

/**
 * Returns a timeout option, or `otherwise` if it is not given.
 *
 * @throws {ConfigError} when it is not a number above 0.
 */
export function timeoutOf(value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (typeof value === "number" && value > 0) return value;
  throw new ConfigError([{ path: "timeoutMs", message: `is ${value}, must be a number of ms above 0` }], "options");
}

/**
 * Returns a statement with its options. It may wait, and be sent again: its values are those of this moment.
 *
 * @throws {StatementError} when an option is invalid.
 */
export function statementOf(
  text: string,
  given: readonly unknown[],
  { prepare, paramTypes, types }: StatementOptions,
): Statement {
  const values = captureValues(given);
  if (prepare === undefined && paramTypes === undefined && types === undefined) return { text, values };
  if (prepare !== undefined && typeof prepare !== "boolean") throw new StatementError("prepare must be true or false");
  if (paramTypes !== undefined && !Array.isArray(paramTypes)) throw new StatementError("paramTypes must be an array");
  if (types !== undefined && (typeof types !== "object" || types === null)) {
    throw new StatementError("types must be an object: { int8: { decode: BigInt } }");
  }
  return { text, values, unprepared: prepare === false, paramTypes: paramTypes?.slice(), types };
}

/**
 * Reads a list of statements, and captures their values.
 *
 * @throws {StatementError} when `list` is not an array of `{ query, values? }`.
 */
export function parseStatementList(list: readonly ListedStatement[]): Statement[] {
  if (!Array.isArray(list)) {
    throw new StatementError("A transaction takes a function, or a list of statements: [{ query, values }, \u2026]");
  }
  return Array.from(list, (entry: ListedStatement | null | undefined, index) => {
    if (typeof entry?.query === "string") return statementOf(entry.query, entry.values ?? [], entry);
    throw new StatementError(`Statement ${index} of the list must be { query, values? } with a string as query`);
  });
}

/** Returns a list whose values its giver cannot change. What is not a list is rejected when it is sent. */
export function captureList(list: readonly ListedStatement[]): readonly ListedStatement[] {
  if (!Array.isArray(list)) return list;
  return list.map((entry: ListedStatement | null | undefined) =>
    Array.isArray(entry?.values) ? { ...entry, query: entry.query, values: captureValues(entry.values) } : entry
  ) as readonly ListedStatement[];
}
