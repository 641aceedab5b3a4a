/**
 * What queries and transactions may ask for.
 *
 * @module
 */
import { ConfigError, type Lane } from "../../pool/mod.ts";
import type { BeginOptions } from "../transaction/transaction_options.ts";

/** Options of a query. */
export interface QueryOptions {
  /** Gives up: the wait ends, a running statement is cancelled at the server. */
  readonly signal?: AbortSignal | undefined;
  /** How long the statement may take, in ms; `Infinity` for as long as it needs. Default: the manager's `queryTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** Whom it is for; see the lanes of the pool. Default: `normal`. */
  readonly lane?: Lane | undefined;
  /** How long to wait for a connection, in ms. Default: the manager's `acquireTimeoutMs`. */
  readonly acquireTimeoutMs?: number | undefined;
}

/** What all the queries and transactions of one piece of work have in common. */
export interface WorkOptions {
  /** Gives all of them up when it aborts; see {@linkcode QueryOptions}. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /** Told how long each waited for a connection, in ms, in vain or not. Default: nobody. */
  readonly onWaited?: ((waitedMs: number) => void) | undefined;
}

/** Options of a transaction. */
export interface TransactionOptions extends BeginOptions, QueryOptions {
  /** How long the whole transaction may take, in ms; then it is rolled back. Default: `Infinity`. */
  readonly timeoutMs?: number | undefined;
  /**
   * How often the whole of it is run again after a serialization failure or a
   * deadlock (40001, 40P01). It was rolled back then; what its function did
   * elsewhere was not. Default: 0.
   */
  readonly retries?: number | undefined;
}

/** One statement of a list. */
export interface ListedStatement {
  readonly query: string;
  readonly values?: readonly unknown[] | undefined;
}

/**
 * The milliseconds that an option asks for.
 *
 * @throws {ConfigError} when it is no number above 0.
 */
export function timeoutOf(value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (typeof value === "number" && value > 0) return value;
  throw new ConfigError([{ path: "timeoutMs", message: `is ${value}, must be a number of ms above 0` }], "options");
}
