/**
 * Retries that are safe.
 *
 * @module
 */
import {
  classifyFailure,
  type Clock,
  type FailureKind,
  MAX_TIMER_MS,
  retry,
  type RetryEvent,
} from "../../resilience/mod.ts";
import { TransactionRolledBackError } from "../errors/errors.ts";
import type { QueryOptions } from "./query_options.ts";

/** SQLSTATE of a transaction that was rolled back for the sake of another one. */
const CONFLICTS: ReadonlySet<string> = new Set(["40001", "40P01"]);

/** Delays after a conflict, in ms: the other one is mostly through in no time. */
const CONFLICT_BACKOFF = { delayMs: 10, maxDelayMs: 1_000 };

/** Options of `executeQueryWithRetry` and `executeTransactionWithRetry`. */
export interface ExecuteOptions extends QueryOptions {
  /**
   * Whether it may run twice: then it is tried again even when it is not known
   * whether it took effect. Default: false.
   */
  readonly idempotent?: boolean | undefined;
  /** Told before each retry. */
  readonly onRetry?: ((event: RetryEvent) => void) | undefined;
}

/** How to try again. */
export interface AttemptOptions {
  /** How often; 0 is never. */
  readonly retries: number;
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
}

/** How to try again after a conflict. */
export interface ConflictAttemptOptions extends AttemptOptions {
  /** No attempt begins after that, in ms of the clock; `Infinity` for ever. */
  readonly until: number;
  /** Whether the latest attempt was rolled back: what was committed is not run again, whatever was thrown after that. */
  readonly undone: () => boolean;
}

/** How to try again after whatever is transient. */
export interface RetryAttemptOptions extends AttemptOptions {
  /** The delay before the first retry, in ms; it doubles, lengthened at random by up to a half. */
  readonly delayMs: number;
  /** Whether it may run twice, so that a failure of unknown effect may be retried. */
  readonly idempotent: boolean;
  readonly onRetry?: ((event: RetryEvent) => void) | undefined;
}

function codeOf(error: unknown): unknown {
  return typeof error === "object" && error !== null ? Reflect.get(error, "code") : undefined;
}

/** Errors of transactions that certainly were not committed, whatever they would mean elsewhere. */
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
  const kind = classifyFailure(error);
  const certain = typeof error === "object" && error !== null && rolledBack.has(error);
  return kind === "ambiguous" && certain ? "transient" : kind;
}

/** Whether a transaction failed because another one was in its way, be it that its function kept that back. */
export function isConflict(error: unknown): boolean {
  if (error instanceof TransactionRolledBackError) return isConflict(error.cause);
  const code = codeOf(error);
  return typeof code === "string" && CONFLICTS.has(code);
}

/**
 * Runs attempts with `retry`. The signal interrupts a delay; an attempt that
 * runs is asked to end by its own use of the signal, and how it ended is what counts.
 */
async function attempt<T>(
  once: () => Promise<T>,
  judge: (error: unknown) => FailureKind,
  { retries, signal, clock }: AttemptOptions,
  backoff: { readonly delayMs: number; readonly maxDelayMs: number },
  idempotent: boolean,
  onRetry: ((event: RetryEvent) => void) | undefined,
  until = Infinity,
): Promise<T> {
  let running = false;
  let failure: unknown;
  const waiting = new AbortController();
  const aborted = () => {
    if (!running) waiting.abort(signal?.reason);
  };
  signal?.addEventListener("abort", aborted, { once: true });
  const late = () => {
    if (!running) waiting.abort(failure);
  };
  const timer = until === Infinity ? undefined : clock.setTimer(late, until - clock.now());
  try {
    // Wrapped: a result is whatever it is, though it may look like a failed one.
    const done = await retry(
      async () => {
        running = true;
        try {
          return { value: await once() };
        } catch (error) {
          failure = error;
          throw error;
        } finally {
          running = false;
        }
      },
      {
        retries,
        ...backoff,
        deadlineMs: MAX_TIMER_MS,
        idempotent,
        signal: waiting.signal,
        clock,
        classify: (error) => signal?.aborted || clock.now() >= until ? "permanent" : judge(error),
        ...(onRetry ? { onRetry } : {}),
      },
    );
    return done.value;
  } finally {
    timer?.cancel();
    signal?.removeEventListener("abort", aborted);
  }
}

/** Runs a transaction, and again after a conflict. */
export async function retryTransaction<T>(once: () => Promise<T>, options: ConflictAttemptOptions): Promise<T> {
  if (options.retries === 0) return await once();
  const onlyConflicts = (error: unknown) => isConflict(error) && options.undone() ? "transient" : "permanent";
  return await attempt(once, onlyConflicts, options, CONFLICT_BACKOFF, false, undefined, options.until);
}

/** Runs something, and again after what is transient; after what is ambiguous only if it may run twice. */
export async function retryTransient<T>(once: () => Promise<T>, options: RetryAttemptOptions): Promise<T> {
  const { delayMs, idempotent, onRetry } = options;
  const backoff = { delayMs, maxDelayMs: Math.max(30_000, delayMs) };
  return await attempt(once, classifyPostgresFailure, options, backoff, idempotent, onRetry);
}
