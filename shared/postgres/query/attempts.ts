/**
 * Retries that are safe.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import {
  AttemptCounter,
  backoffDelayMs,
  CircuitOpenError,
  classifyFailure,
  type Clock,
  codeOf,
  type FailureKind,
  MAX_TIMER_MS,
  observe,
  retryAfterMs,
  type RetryBudget,
  type RetryEvent,
} from "../../resilience/mod.ts";
import { TransactionRolledBackError } from "../errors/transaction_error.ts";
import { isStale } from "../wire/stale_statement.ts";
import type { QueryOptions } from "./query_options.ts";

/** SQLSTATEs of a transaction that was rolled back in favor of another one: serialization failure and deadlock. */
const CONFLICTS: ReadonlySet<string | undefined> = new Set(["40001", "40P01"]);

/** Delays after a conflict, in ms: the other transaction has usually ended by then. */
const CONFLICT_BACKOFF = { baseMs: 10, capMs: 1_000 };

/** The longest delay of other retries, in ms, unless `delayMs` is longer. */
const MAX_DELAY_MS = 30_000;

/** Options of `executeQueryWithRetry` and `executeTransactionWithRetry`. */
export interface ExecuteOptions extends QueryOptions {
  /** True if it may run twice: then a failure of unknown effect is retried too. Default: false. */
  readonly idempotent?: boolean | undefined;
  /** Called before each delay. Default: none. */
  readonly onRetry?: ((event: RetryEvent) => void) | undefined;
}

/** Options of all retries here. */
interface AttemptOptions {
  /** The maximum number of retries, from 0 to 100. */
  readonly retries: number;
  /** Ends a delay. An attempt uses the signal itself, and its outcome counts. */
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
}

/** Options of {@linkcode retryTransaction}. */
export interface ConflictAttemptOptions extends AttemptOptions {
  /** The latest time at which an attempt may start, in ms of the clock; `Infinity` for no limit. */
  readonly until: number;
  /** Returns whether the latest attempt was rolled back: what was committed never runs again. */
  readonly undone: () => boolean;
}

/** Options of {@linkcode retryTransient}. */
export interface RetryAttemptOptions extends AttemptOptions {
  /** The delay before the first retry, in ms; it doubles, lengthened at random by up to a half. */
  readonly delayMs: number;
  /** True if it may run twice: then a failure of unknown effect is retried too. */
  readonly idempotent: boolean;
  /** Bounds the retries of all operations that have it. Default: none. */
  readonly budget?: RetryBudget | undefined;
  readonly onRetry?: ((event: RetryEvent) => void) | undefined;
}

/** Errors of transactions that were certainly not committed. */
const rolledBack = new WeakSet<object>();

/** Notes that the transaction which failed with this error was certainly not committed. */
export function noteRolledBack(error: unknown): void {
  if (typeof error === "object" && error !== null) rolledBack.add(error);
}

/**
 * Classifies a failure of a query or transaction for retries. Unlike `classifyFailure`, it knows which transactions were
 * certainly rolled back when their connection broke: these are transient, not ambiguous.
 */
export function classifyPostgresFailure(error: unknown): FailureKind {
  if (isStale(error)) return "transient";
  const kind = classifyFailure(error);
  const certain = typeof error === "object" && error !== null && rolledBack.has(error);
  return kind === "ambiguous" && certain ? "transient" : kind;
}

/**
 * Returns whether a transaction failed because of a concurrent one, or of a change of the schema, even if its function
 * caught that error.
 */
function isConflict(error: unknown): boolean {
  if (error instanceof TransactionRolledBackError) return isConflict(error.cause);
  return CONFLICTS.has(codeOf(error)) || isStale(error);
}

/**
 * Returns whether a retry after a failure takes from the retry budget. One after a conflict does not: the server works,
 * and asks for it. Neither does one of what the circuit rejected, which was not sent.
 */
export function drawsOnBudget(failure: unknown): boolean {
  return !(failure instanceof CircuitOpenError) && !isConflict(failure);
}

/** Runs a transaction, and retries it after conflicts, which draw on no budget. `retries`, `until` and pauses bound them. */
export function retryTransaction<T>(once: () => Promise<T>, options: ConflictAttemptOptions): Promise<T> {
  if (options.retries === 0) return once();
  const delayOf = (error: unknown, retry: number) =>
    isConflict(error) && options.undone() ? backoffDelayMs(retry, CONFLICT_BACKOFF) : undefined;
  return attempt(once, delayOf, options, options.until);
}

/** Runs an operation, and retries it after transient failures; after ambiguous ones only if it may run twice. */
export function retryTransient<T>(once: () => Promise<T>, options: RetryAttemptOptions): Promise<T> {
  const { delayMs, idempotent, budget, onRetry } = options;
  if (!(delayMs >= 0 && delayMs <= MAX_TIMER_MS)) {
    return Promise.reject(
      new RangeError(`Cannot wait ${delayMs} ms: the delay must be a number from 0 to ${MAX_TIMER_MS}`),
    );
  }
  const backoff = { baseMs: delayMs, capMs: Math.max(MAX_DELAY_MS, delayMs) };
  const delayOf = (failure: unknown, retry: number) => {
    const kind = classifyPostgresFailure(failure);
    if (kind === "permanent" || (kind === "ambiguous" && !idempotent)) return undefined;
    if (drawsOnBudget(failure) && budget?.tryRetry() === false) return undefined;
    const delayMs = Math.max(backoffDelayMs(retry, backoff), retryAfterMs(failure) ?? 0);
    observe(() => onRetry?.({ retry: retry + 1, delayMs, failure, kind }), () => {}); // it decides nothing
    return delayMs;
  };
  budget?.countRequest();
  return attempt(once, delayOf, options, Infinity);
}

/** @param delayOf Returns the delay before the next retry, in ms; `undefined` for a failure that is not retried. */
async function attempt<T>(
  once: () => Promise<T>,
  delayOf: (error: unknown, retry: number) => number | undefined,
  { retries, signal, clock }: AttemptOptions,
  until: number,
): Promise<T> {
  if (!Number.isInteger(retries) || retries < 0 || retries > 100) {
    throw new RangeError(`Cannot retry ${retries} times: retries must be a whole number from 0 to 100`);
  }
  const counter = new AttemptCounter(clock);
  for (let retry = 0;; retry++) {
    counter.begin();
    try {
      return await once();
    } catch (error) {
      const mayRetry = counter.fail(error) <= retries && !signal?.aborted;
      const delayMs = mayRetry ? delayOf(error, retry) : undefined;
      if (delayMs === undefined || clock.now() + delayMs >= until) {
        counter.end(error);
        throw error;
      }
      await sleep(Math.min(delayMs, MAX_TIMER_MS), signal, clock);
      // A frozen isolate goes on late.
      if (clock.now() >= until) {
        counter.end(error);
        throw error;
      }
    }
  }
}

async function sleep(delayMs: number, signal: AbortSignal | undefined, clock: Clock): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  // The caller waits for it: a script must not end because nothing else is left to do.
  const timer = clock.setTimer(resolve, delayMs, { keepAlive: true });
  try {
    await (signal ? abortable(promise, signal) : promise);
  } finally {
    timer.cancel();
  }
}
