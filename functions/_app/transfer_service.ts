/**
 * Transfers between categories, on direct Postgres.
 *
 * @module
 */
import { PooledPostgresService } from "../../shared/http/postgres.ts";
import { type Clock, NotFoundError, ServiceError } from "../../shared/mod.ts";
import type { PostgresPool, Transaction } from "../../shared/postgres/mod.ts";
import type { Transfer } from "./database.ts";

/** The order of a transfer. */
export interface TransferOrder {
  /** The source category. */
  readonly fromCategoryId: string;
  /** The destination: another category of the same budget. */
  readonly toCategoryId: string;
  /** The amount in minor units of the budget's currency: a whole number from 1. */
  readonly amount: number;
  /** A key that the caller chooses. Orders with one key take effect once. */
  readonly idempotencyKey: string;
}

/** The result of an order. */
export interface TransferOutcome {
  /** The transfer. */
  readonly transfer: Transfer;
  /** True if an earlier order with this key made the transfer. */
  readonly replayed: boolean;
}

/** The codes of the errors that {@linkcode TransferService} adds to those of every service. */
export type TransferErrorCode =
  /** 409: the balance of the source category is lower than the amount. */
  | "INSUFFICIENT_BALANCE"
  /** 409: the destination category would exceed the maximum balance. */
  | "BALANCE_TOO_LARGE"
  /** 409: the categories belong to different budgets. */
  | "DIFFERENT_BUDGETS"
  /** 422: the key was used for another transfer. */
  | "IDEMPOTENCY_KEY_REUSED";

/** Options for {@linkcode TransferService}. */
export interface TransferServiceOptions {
  /** Maximum number of retries. Default: 3. */
  readonly retries?: number;
  /** Delay before the first retry, in ms. It doubles with each retry. Default: 50. */
  readonly retryDelayMs?: number;
  /** Time limit of one attempt, in ms; then it is rolled back. Default: 5,000. */
  readonly timeoutMs?: number;
  /** The clock of delays and timeouts. Default: the system clock. */
  readonly clock?: Clock;
}

interface LockedCategory {
  readonly id: string;
  readonly budget_id: string;
}

interface TransferRow extends Omit<Transfer, "amount" | "created_at"> {
  /** `int8` arrives as text. */
  readonly amount: string;
  readonly created_at: Date;
}

/** Locks rows in one order, whatever the direction: transfers between the same categories wait and cannot deadlock. */
const LOCK = "select id, budget_id from public.categories where id in ($1, $2) order by id for no key update";

const COLUMNS = "id, budget_id, from_category_id, to_category_id, amount, created_at";

/** A trigger of the table moves the money. If another transaction is using the same key, this waits for its end. */
const RECORD = `insert into public.transfers (budget_id, from_category_id, to_category_id, amount, idempotency_key)
values ($1, $2, $3, $4, $5) on conflict (user_id, idempotency_key) do nothing returning ${COLUMNS}`;

const FIND_BY_KEY = `select ${COLUMNS} from public.transfers where idempotency_key = $1`;

const FIND_BY_ID = `select ${COLUMNS} from public.transfers where id = $1`;

/** The errors of the table's trigger, by the constraint that they name. */
const REJECTIONS: Readonly<Record<string, readonly [code: TransferErrorCode, message: string]>> = {
  transfers_sufficient_balance: ["INSUFFICIENT_BALANCE", "Insufficient balance in the source category"],
  transfers_room_for_amount: ["BALANCE_TOO_LARGE", "The destination would exceed the maximum balance"],
};

function transferError(code: TransferErrorCode, status: number, message: string, hint?: string): ServiceError {
  return new ServiceError({ code, status, message, hint });
}

function toTransfer({ amount, created_at, ...rest }: TransferRow): Transfer {
  return { ...rest, amount: Number(amount), created_at: created_at.toISOString() };
}

/** Returns the rejection that a database error stands for. */
function rejectionOf(error: unknown): ServiceError | undefined {
  const constraint: unknown = typeof error === "object" && error !== null && Reflect.get(error, "constraint");
  if (typeof constraint !== "string" || !Object.hasOwn(REJECTIONS, constraint)) return undefined;
  const known = REJECTIONS[constraint];
  return known && transferError(known[0], 409, known[1]);
}

/**
 * Transfers between the categories of one caller. The pool decides who the caller is (`ctx.postgres`, or
 * `manager.as(caller)`): row-level security applies, so that callers transfer between their own categories only.
 */
export class TransferService extends PooledPostgresService {
  readonly #options: TransferServiceOptions;

  /** Creates a service that acts for the caller of `pool`. */
  constructor(pool: PostgresPool, options: TransferServiceOptions = {}) {
    super(pool);
    this.#options = options;
  }

  /**
   * Makes a transfer, in one transaction. It is retried after every transient failure, also after a COMMIT without a
   * response: the key shows whether the transfer was made. A rejected order leaves nothing behind, and its key is free.
   *
   * @param signal Aborts the transfer; an open transaction is rolled back. Default: none but that of the pool.
   * @throws {ServiceError} `NOT_FOUND` for a category, `RETRY_TIMEOUT`, or one of {@linkcode TransferErrorCode}.
   * @throws {PoolError} if the database did not complete the transfer. With the code `COMMIT_OUTCOME_UNKNOWN` or
   * `CONNECTION_LOST`, send the same order again to learn its outcome.
   */
  async transfer(order: TransferOrder, signal?: AbortSignal): Promise<TransferOutcome> {
    const { retries = 3, retryDelayMs = 50, timeoutMs = 5_000, clock } = this.#options;
    // An isolate that freezes or ends during the transaction must not keep the rows locked.
    const transactionOptions = { timeoutMs, idleInTransactionSessionTimeoutMs: timeoutMs };
    try {
      return await this.withRetry(
        (connection) => connection.transaction((tx) => this.#move(tx, order), transactionOptions),
        retries,
        retryDelayMs,
        { idempotent: true, lease: { signal }, ...(clock ? { clock } : {}) },
      );
    } catch (error) {
      throw rejectionOf(error) ?? error;
    }
  }

  /**
   * Returns a transfer.
   *
   * @throws {ServiceError} `NOT_FOUND`
   */
  async getTransfer(id: string): Promise<Transfer> {
    const { timeoutMs = 5_000 } = this.#options;
    const { rows: [row] } = await this.withPooledClient((connection) =>
      connection.query<TransferRow>(FIND_BY_ID, [id], { timeoutMs })
    );
    if (!row) throw new NotFoundError("transfer");
    return toTransfer(row);
  }

  async #move(tx: Transaction, order: TransferOrder): Promise<TransferOutcome> {
    const { fromCategoryId, toCategoryId, amount, idempotencyKey } = order;
    const { rows: locked } = await tx.query<LockedCategory>(LOCK, [fromCategoryId, toCategoryId]);
    const from = locked.find(({ id }) => id === fromCategoryId);
    const to = locked.find(({ id }) => id === toCategoryId);
    if (!from || !to) throw new NotFoundError("category");
    if (from.budget_id !== to.budget_id) {
      throw transferError("DIFFERENT_BUDGETS", 409, "The categories belong to different budgets");
    }
    const values = [from.budget_id, fromCategoryId, toCategoryId, amount, idempotencyKey];
    const { rows: [inserted] } = await tx.query<TransferRow>(RECORD, values);
    if (!inserted) return await this.#replay(tx, order);
    return { transfer: toTransfer(inserted), replayed: false };
  }

  async #replay(tx: Transaction, order: TransferOrder): Promise<TransferOutcome> {
    const { rows: [row] } = await tx.query<TransferRow>(FIND_BY_KEY, [order.idempotencyKey]);
    const transfer = row && toTransfer(row);
    const isSame = transfer?.from_category_id === order.fromCategoryId &&
      transfer.to_category_id === order.toCategoryId && transfer.amount === order.amount;
    if (transfer && isSame) return { transfer, replayed: true };
    throw transferError(
      "IDEMPOTENCY_KEY_REUSED",
      422,
      "The idempotency key was used for another transfer",
      "Choose a new key for each transfer, and send the same one only to repeat it.",
    );
  }
}
