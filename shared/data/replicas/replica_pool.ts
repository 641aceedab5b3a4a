/**
 * The targets of a group, as one scope uses them.
 *
 * @module
 */
import type { RetryBudget } from "../../resilience/mod.ts";
import {
  captureList,
  captureValues,
  createSql,
  type LeaseOptions,
  type ListedStatement,
  OutsideTransactionError,
  type PostgresConnection,
  type PostgresHealth,
  type PostgresPool,
  type PostgresStats,
  type QueryOptions,
  type QueryResult,
  type Row,
  type SqlTag,
  type StatementOptions,
  type Transaction,
  type TransactionOptions,
  type TransactionWork,
} from "../../postgres/mod.ts";
import type { ReplicaRouter, RoutedScope } from "./replica_router.ts";
import type { ReplicaTarget } from "./replica_target.ts";
import { WrittenPosition } from "./wal_position.ts";

/** Options of a query on a group. */
export interface ReplicaQueryOptions extends QueryOptions {
  /**
   * True for a statement that only reads: any target may run it, in a read-only transaction. False to run it on the
   * primary. Default: a statement that is known to only read may run on any target.
   */
  readonly readOnly?: boolean | undefined;
}

/** Returns the pool of a target, as the identity of a scope. */
export type PoolOf = (target: ReplicaTarget) => PostgresPool;

/**
 * The targets of a group as one pool, for one scope: reads go to the least loaded target, writes to the primary, and a
 * read shows what the scope has written.
 */
export class ReplicaPool implements PostgresPool {
  readonly #router: ReplicaRouter;
  readonly #poolOf: PoolOf;
  readonly #scope: RoutedScope;
  #sql: SqlTag<ReplicaQueryOptions> | undefined = undefined;

  /**
   * Creates the pool of a scope; see `PostgresReplicas.scope`.
   *
   * @param signal Aborts the waits of its calls. Default: nothing does.
   */
  constructor(router: ReplicaRouter, poolOf: PoolOf, signal?: AbortSignal | undefined) {
    this.#router = router;
    this.#poolOf = poolOf;
    this.#scope = { poolOf, written: new WrittenPosition(), signal };
  }

  /** The options of the primary, or of the first target while there is none. */
  get config(): PostgresPool["config"] {
    return this.#main.config;
  }

  /** See `PostgresPool`. */
  get signal(): AbortSignal | undefined {
    return this.#main.signal;
  }

  /** See `PostgresPool`. */
  get retryBudget(): RetryBudget | undefined {
    return this.#main.retryBudget;
  }

  /** See `PostgresPool`. A statement that only reads may run on any target. */
  get sql(): SqlTag<ReplicaQueryOptions> {
    return this.#sql ??= createSql((text, values, options) => this.query(text, values, options));
  }

  /**
   * Runs one statement, in a transaction of its own.
   *
   * A read whose target fails runs on another one. A write that may have taken effect is not repeated.
   *
   * @throws {NoPrimaryError} when a write found no primary within `failoverTimeoutMs`.
   * @throws what `PostgresConnectionManager.query` throws.
   */
  async query<R extends object = Row>(
    text: string,
    values: readonly unknown[] = [],
    options: ReplicaQueryOptions = {},
  ): Promise<QueryResult<R>> {
    this.#checkOutside(options);
    const { readOnly, ...own } = options;
    const captured = captureValues(values);
    const router = this.#router;
    if (readOnly ?? router.onlyReads(text)) {
      const statement: ListedStatement = { ...statementOptions(own), query: text, values: captured };
      // A standby that is being promoted does not reject a write, so that only what is known to read does without.
      const isKnown = readOnly === undefined || router.onlyReads(text);
      const [result] = await router.read([statement], own, {
        scope: this.#scope,
        plain: (pool, target, hooks) =>
          readOnly && (target.role === "primary" || !isKnown)
            ? pool.transaction([statement], { ...own, ...hooks, readOnly: true })
            : pool.query(text, captured, { ...own, ...hooks }).then((one) => [one]),
      });
      return result as QueryResult<R>;
    }
    return await router.write(own, this.#scope, (pool, hooks) => pool.query<R>(text, captured, { ...own, ...hooks }));
  }

  transaction(statements: readonly ListedStatement[], options?: TransactionOptions): Promise<QueryResult[]>;
  transaction<T>(work: TransactionWork<T>, options?: TransactionOptions): Promise<T>;
  /**
   * Runs a function in a transaction, or a list of statements in one transaction and one round trip. With
   * `readOnly: true`, or for a list that is known to only read, any target may run it.
   *
   * A function that has begun is not repeated, with one exception: with `readOnly: true` and `retries` not 0, it runs again
   * on another target if its target failed, and on the primary if its standby canceled it in favor of recovery.
   *
   * @throws {NoPrimaryError} when a write found no primary within `failoverTimeoutMs`.
   * @throws what `PostgresConnectionManager.transaction` throws.
   */
  async transaction<T>(
    work: TransactionWork<T> | readonly ListedStatement[],
    options: TransactionOptions = {},
  ): Promise<T | QueryResult[]> {
    this.#checkOutside(options);
    return typeof work === "function" ? await this.#function(work, options) : await this.#list(work, options);
  }

  /**
   * Leases a connection to the primary. What is written on it is not known: from then on, the scope reads on the primary.
   *
   * @throws {NoPrimaryError} when there was no primary within `failoverTimeoutMs`.
   */
  async lease(options: LeaseOptions = {}): Promise<PostgresConnection> {
    this.#checkOutside(options);
    this.#scope.written.lease();
    return await this.#router.write(
      options,
      this.#scope,
      (pool, { admit }) => pool.lease({ ...options, admit }),
    );
  }

  /** See `PostgresPool`. */
  currentTransaction(): Transaction | undefined {
    for (const target of this.#router.targets) {
      const current = this.#poolOf(target).currentTransaction();
      if (current) return current;
    }
    return undefined;
  }

  /** Returns the statistics of the pool of the primary, or of the first target while there is none. */
  getStats(): PostgresStats {
    return this.#main.getStats();
  }

  /** Checks the health of the primary. Never rejects. */
  healthCheck(): Promise<PostgresHealth> {
    return this.#main.healthCheck();
  }

  get #main(): PostgresPool {
    return this.#poolOf(this.#router.main);
  }

  async #list(list: readonly ListedStatement[], options: TransactionOptions): Promise<QueryResult[]> {
    const router = this.#router;
    const statements = captureList(list);
    const { readOnly = Array.isArray(list) && list.every((entry) => reads(entry, router)) } = options;
    if (readOnly && mayRunOnStandby(options)) {
      return await router.read(statements, options, {
        scope: this.#scope,
        plain: (pool, _target, hooks) => pool.transaction(statements, { ...options, ...hooks, readOnly: true }),
      });
    }
    return await router.write(
      options,
      this.#scope,
      (pool, hooks) => pool.transaction(statements, { ...options, ...hooks }),
    );
  }

  async #function<T>(work: TransactionWork<T>, options: TransactionOptions): Promise<T> {
    const router = this.#router;
    let begun = false;
    const run: TransactionWork<T> = (tx) => {
      begun = true;
      return work(tx);
    };
    const hasBegun = () => begun;
    if (options.readOnly && mayRunOnStandby(options)) {
      return await router.readFunction(
        options,
        this.#scope,
        (pool, hooks) => pool.transaction(run, { ...options, ...hooks }),
        () => begun && options.retries === 0,
      );
    }
    return await router.write(
      options,
      this.#scope,
      (pool, hooks) => pool.transaction(run, { ...options, ...hooks }),
      hasBegun,
    );
  }

  /** @throws {OutsideTransactionError} inside the function of a transaction of the same identity, on any target. */
  #checkOutside({ outsideTransaction }: LeaseOptions): void {
    if (!outsideTransaction && this.currentTransaction()) throw new OutsideTransactionError();
  }
}

/** Returns whether a statement of a list is known to only read. What is not a statement is rejected when it is sent. */
function reads(entry: ListedStatement | null | undefined, router: ReplicaRouter): boolean {
  return typeof entry?.query === "string" && router.onlyReads(entry.query);
}

/** A standby runs no serializable transactions. */
function mayRunOnStandby({ isolationLevel }: TransactionOptions): boolean {
  return isolationLevel !== "serializable";
}

function statementOptions({ prepare, paramTypes, types }: StatementOptions): StatementOptions {
  return { prepare, paramTypes, types };
}
