/**
 * The interface of a candidate.
 *
 * @module
 */

/** The way a candidate limits the wait of an acquire. */
export type TimeoutKind =
  /** No limit. */
  | "none"
  /** A timer per acquire or waiter. */
  | "each"
  /** One timer for all waiters. */
  | "shared";

/** The role of a candidate. */
export type Role =
  /** The minimum cost of a pool in this language. */
  | "floor"
  /** This pool. */
  | "ours"
  /** Another pool. */
  | "pool"
  /** A limit on concurrency, without resources. */
  | "limiter";

/** An opened pool. */
export interface OpenPool<R extends object = object> {
  readonly kind: "lease";
  /** Acquires a resource or a lease. */
  acquire(): Promise<R>;
  /** Releases what `acquire` returned. */
  release(leased: R): void;
  /** Closes the pool. `held` is what is still leased, if anything is. */
  close(held?: R): Promise<void>;
}

/** An opened limiter of tasks. */
export interface OpenLimiter {
  readonly kind: "run";
  /** Runs a task within the limit. */
  run(task: () => void): Promise<void>;
  /** Closes the limiter. */
  close(): Promise<void>;
}

/** An opened candidate. */
export type OpenCandidate = OpenPool | OpenLimiter;

/** Options of {@linkcode PoolCandidate.open}. */
export interface OpenOptions {
  /** The number of slots. */
  readonly slots: number;
  /** The acquire timeout in ms, where the candidate has one. */
  readonly timeoutMs: number;
}

/** A candidate of the pool benchmark. */
export interface PoolCandidate {
  /** The key in the results, and the name of its copy of the loops. */
  readonly id: string;
  /** The name in tables and plots. */
  readonly title: string;
  readonly role: Role;
  readonly timeout: TimeoutKind;
  /** Opens the candidate. */
  open(options: OpenOptions): OpenCandidate;
}

/** The pooled resource: as small as possible, so that only the pools are measured. */
export interface Thing {
  readonly id: number;
}

/** Returns a function that creates things. */
export function thingFactory(): () => Thing {
  let id = 0;
  return () => ({ id: id++ });
}
