/**
 * Transfers between categories, on direct Postgres.
 *
 * @module
 */
import { type Clock, NotFoundError, retry, RetryTimeoutError, ServiceError, toServiceError } from "../../shared/mod.ts";
import type { PostgresQueries, Transaction } from "../../shared/postgres/mod.ts";
import type { Transfer } from "./database.ts";

/** What is to be moved. */
export interface TransferOrder {
  /** The category it is taken from. */
  readonly fromCategoryId: string;
  /** The category of the same budget that gets it. */
  readonly toCategoryId: string;
  /** How much, in minor units of the budget's currency: a whole number from 1. */
  readonly amount: number;
  /** Chosen by the caller: an order that is sent twice under one key is carried out once. */
  readonly idempotencyKey: string;
}

/** What became of an order. */
export interface TransferOutcome {
  readonly transfer: Transfer;
  /** Whether an earlier order of this key had made it. */
  readonly replayed: boolean;
}

/** The codes of the errors that {@linkcode TransferService} throws, beside those of every service. */
export type TransferErrorCode =
  /** 409: there is less in the category than is to be taken from it. */
  | "INSUFFICIENT_BALANCE"
  /** 409: the other category would hold more than a category may. */
  | "BALANCE_TOO_LARGE"
  /** 409: the categories are of two budgets. */
  | "DIFFERENT_BUDGETS"
  /** 422: the key was used for another transfer. */
  | "IDEMPOTENCY_KEY_REUSED";

/** Options of {@linkcode TransferService}. All times are in milliseconds. */
export interface TransferServiceOptions {
  /** How often it is tried again after what may pass. Default: 3. */
  readonly retries?: number;
  /** The delay before the first of these; it doubles each time. Default: 50. */
  readonly retryDelayMs?: number;
  /** How long one attempt may take before it is rolled back. Default: 5,000. */
  readonly timeoutMs?: number;
  /** Default: the isolate's own. */
  readonly clock?: Clock;
}

interface LockedCategory {
  readonly id: string;
  readonly budget_id: string;
}

interface TransferRow extends Omit<Transfer, "amount" | "created_at"> {
  /** `int8` comes as text. */
  readonly amount: string;
  readonly created_at: Date;
}

/** In one order, whichever way the money goes: two transfers between the same categories wait, and cannot deadlock. */
const LOCK = "select id, budget_id from public.categories where id in ($1, $2) order by id for no key update";

const COLUMNS = "id, budget_id, from_category_id, to_category_id, amount, created_at";

/** The table's trigger moves the money. Where another transaction is about to use the same key, this waits for its end. */
const RECORD = `insert into public.transfers (budget_id, from_category_id, to_category_id, amount, idempotency_key)
values ($1, $2, $3, $4, $5) on conflict (user_id, idempotency_key) do nothing returning ${COLUMNS}`;

const FIND_BY_KEY = `select ${COLUMNS} from public.transfers where idempotency_key = $1`;

const FIND_BY_ID = `select ${COLUMNS} from public.transfers where id = $1`;

/** What the table's trigger refuses, by the constraint it names. */
const REFUSALS: Readonly<Record<string, readonly [TransferErrorCode, message: string]>> = {
  transfers_sufficient_balance: [
    "INSUFFICIENT_BALANCE",
    "There is less in the category than is to be taken from it",
  ],
  transfers_room_for_amount: ["BALANCE_TOO_LARGE", "The category would hold more than a category may"],
};

function refuse(code: TransferErrorCode, status: number, message: string, hint?: string): ServiceError {
  return new ServiceError({ code, status, message, hint });
}

function toTransfer({ amount, created_at, ...rest }: TransferRow): Transfer {
  return { ...rest, amount: Number(amount), created_at: created_at.toISOString() };
}

/** The refusal that an error of the database stands for, if it is one. */
function refusalOf(error: unknown): ServiceError | undefined {
  const constraint: unknown = typeof error === "object" && error !== null && Reflect.get(error, "constraint");
  if (typeof constraint !== "string" || !Object.hasOwn(REFUSALS, constraint)) return undefined;
  const known = REFUSALS[constraint];
  return known && refuse(known[0], 409, known[1]);
}

/**
 * Moves money between the categories of one caller, who is decided by the
 * queries it is given: `manager.as(…)`. Row-level security holds, so nobody
 * moves what is not theirs.
 */
export class TransferService {
  readonly #queries: PostgresQueries;
  readonly #options: TransferServiceOptions;

  constructor(queries: PostgresQueries, options: TransferServiceOptions = {}) {
    this.#queries = queries;
    this.#options = options;
  }

  /**
   * Moves money, in one transaction. It is tried again after whatever may pass,
   * a COMMIT that nobody answered included: its key shows whether it was made.
   * An order that is refused leaves nothing behind, its key included.
   *
   * @param signal Gives up; what had begun is rolled back.
   * @throws {ServiceError} `NOT_FOUND` for a category, `RETRY_TIMEOUT`, or one of {@linkcode TransferErrorCode}.
   * @throws {PoolError} when the database did not carry it out: where its code is `COMMIT_OUTCOME_UNKNOWN` or
   * `CONNECTION_LOST`, the same order under the same key finds out.
   */
  async transfer(order: TransferOrder, signal?: AbortSignal): Promise<TransferOutcome> {
    const { retries = 3, retryDelayMs: delayMs = 50, timeoutMs = 5_000, clock } = this.#options;
    const attempt = (signal: AbortSignal) =>
      this.#queries.transaction((tx) => this.#move(tx, order), {
        signal,
        timeoutMs,
        retries,
        // An isolate that is frozen or cut off half-way must not hold the rows.
        idleInTransactionSessionTimeoutMs: timeoutMs,
      });
    try {
      return await retry(({ signal }) => attempt(signal), {
        retries,
        delayMs,
        idempotent: true,
        signal,
        ...(clock ? { clock } : {}),
      });
    } catch (error) {
      throw refusalOf(error) ?? (error instanceof RetryTimeoutError ? toServiceError(error) : error);
    }
  }

  /** @throws {ServiceError} `NOT_FOUND` */
  async getTransfer(id: string, signal?: AbortSignal): Promise<Transfer> {
    const { timeoutMs = 5_000 } = this.#options;
    const { rows: [row] } = await this.#queries.query<TransferRow>(FIND_BY_ID, [id], { signal, timeoutMs });
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
      throw refuse("DIFFERENT_BUDGETS", 409, "The categories are of two budgets, which may differ in currency");
    }
    const values = [from.budget_id, fromCategoryId, toCategoryId, amount, idempotencyKey];
    const { rows: [made] } = await tx.query<TransferRow>(RECORD, values);
    if (!made) return await this.#replay(tx, order);
    return { transfer: toTransfer(made), replayed: false };
  }

  async #replay(tx: Transaction, order: TransferOrder): Promise<TransferOutcome> {
    const { rows: [row] } = await tx.query<TransferRow>(FIND_BY_KEY, [order.idempotencyKey]);
    const transfer = row && toTransfer(row);
    const same = transfer?.from_category_id === order.fromCategoryId &&
      transfer.to_category_id === order.toCategoryId && transfer.amount === order.amount;
    if (transfer && same) return { transfer, replayed: true };
    throw refuse(
      "IDEMPOTENCY_KEY_REUSED",
      422,
      "The idempotency key was used for another transfer",
      "Choose a new key for each transfer, and send the same one only to repeat it.",
    );
  }
}
