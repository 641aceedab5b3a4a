/**
 * The errors of transactions.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import { type HttpDescription, INTERNAL_ERROR, messageOf } from "../../resilience/mod.ts";
import { CHECK_EFFECT, UNKNOWN_EFFECT } from "./connection_error.ts";
import { DATABASE_TIMEOUT } from "./statement_error.ts";

/**
 * A transaction took longer than `timeoutMs` and was rolled back.
 *
 * @cause The transaction does too much, or waits for a lock.
 * @fix Do less in the transaction, or raise `timeoutMs`.
 * @sample new TransactionTimeoutError(30_000)
 */
export class TransactionTimeoutError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "TRANSACTION_TIMEOUT";
  /** The retry class. */
  static override readonly retry = "ambiguous";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = DATABASE_TIMEOUT;

  /**
   * Creates the error.
   *
   * @param timeoutMs The time limit, in ms.
   */
  constructor(timeoutMs: number) {
    super(
      `The transaction took longer than ${timeoutMs} ms (timeoutMs) and was rolled back: do less in it, or raise timeoutMs`,
    );
  }
}

/**
 * COMMIT was sent and had no result: the transaction may have been committed. Its connection was destroyed; `cause`
 * says what happened.
 *
 * @cause The connection broke during COMMIT.
 * @fix Check whether the transaction's effects exist before retrying, or mark it `idempotent`.
 * @sample new CommitOutcomeUnknownError(new Error("read ECONNRESET"))
 */
export class CommitOutcomeUnknownError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "COMMIT_OUTCOME_UNKNOWN";
  /** The retry class. */
  static override readonly retry = "ambiguous";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = UNKNOWN_EFFECT;

  /**
   * Creates the error.
   *
   * @param cause The error of the COMMIT.
   */
  constructor(cause: unknown) {
    super(
      `The transaction may or may not have been committed: ${messageOf(cause)}. Its connection was destroyed. ` +
        CHECK_EFFECT,
      { cause },
    );
  }
}

/**
 * COMMIT became a rollback: a statement had failed, and its error did not reach the end of the function.
 *
 * @cause The function caught the error of a statement and returned.
 * @fix Let the error propagate, or run the statement in a nested transaction.
 * @sample new TransactionRolledBackError(new Error("duplicate key"))
 */
export class TransactionRolledBackError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "TRANSACTION_ROLLED_BACK";
  /** The retry class. */
  static override readonly retry: undefined = undefined;
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param cause The error that the function did not throw.
   */
  constructor(cause: unknown) {
    super(
      "The transaction was rolled back at COMMIT because one of its statements had failed: let its error propagate, " +
        "or run the statement in a nested transaction",
      { cause },
    );
  }
}

/**
 * A transaction was used after it had been committed or rolled back, by itself or by work that its function started and
 * did not await.
 *
 * @cause A statement was not awaited before the transaction's function returned, or the transaction was kept.
 * @fix Await every statement inside the function, and begin another transaction for more.
 * @sample new TransactionEndedError()
 */
export class TransactionEndedError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "TRANSACTION_ENDED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param user What was used: the transaction itself, or its pool by work that its function started. Default: the former.
   */
  constructor(user: "transaction" | "detached" = "transaction") {
    super(
      user === "transaction"
        ? "Cannot use this transaction: it has ended. Begin another one"
        : "Cannot run this: the transaction in whose function it was started has ended. Await it inside the function, " +
          "or pass outsideTransaction: true to run it by itself",
    );
  }
}

/**
 * The function of a transaction used its pool, as the same identity: the work would have run on another connection,
 * outside the transaction, and could have waited for the transaction's own locks. Nothing was sent.
 *
 * @cause `pool.query`, `pool.transaction` or `pool.lease` was called inside the function of `pool.transaction`.
 * @fix Use the transaction that the function receives, or pass `outsideTransaction: true` to run the work by itself.
 * @sample new OutsideTransactionError()
 */
export class OutsideTransactionError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "OUTSIDE_TRANSACTION";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  constructor() {
    super(
      "Cannot run this on the pool: a transaction of the pool is open here, and it would run outside. Use the " +
        "transaction that the function receives, or pass outsideTransaction: true to run it by itself",
    );
  }
}

/**
 * A transaction was used while one nested in it is open.
 *
 * @cause A statement of the outer transaction ran inside the nested one's function.
 * @fix Run the statement in the nested transaction, or await its end.
 * @sample new NestedTransactionOpenError()
 */
export class NestedTransactionOpenError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "NESTED_TRANSACTION_OPEN";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  constructor() {
    super("Cannot use this transaction: a nested one is open. Run this in the nested one, or await its end first");
  }
}

/**
 * A connection was used beside a transaction that is open on it, or in a transaction begun by a statement.
 *
 * @cause A statement of the connection ran while its transaction was open.
 * @fix Run the statement in the transaction, or await its end.
 * @sample new TransactionOpenError()
 */
export class TransactionOpenError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "TRANSACTION_OPEN";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  constructor() {
    super("Cannot use this connection: a transaction is open on it. Run this in it, or await its end first");
  }
}

/**
 * A rollback failed, so its connection was destroyed; the server rolls back the open transaction.
 *
 * @cause The connection broke during ROLLBACK.
 * @fix Read `cause`. The transaction took no effect.
 * @sample new RollbackFailedError(new Error("read ECONNRESET"))
 */
export class RollbackFailedError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "ROLLBACK_FAILED";
  /** The retry class. */
  static override readonly retry: undefined = undefined;
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param cause The error of the ROLLBACK.
   */
  constructor(cause: unknown) {
    super(`The rollback failed and its connection was destroyed: ${messageOf(cause)}`, { cause });
  }
}
