/**
 * The attempts of an operation that is retried: their number and history.
 *
 * @module
 */
import { CircuitOpenError } from "./circuit_open_error.ts";
import { type Clock, systemClock } from "./clock.ts";
import { responseOf } from "./failed_response.ts";
import { failureChain } from "./failure.ts";
import { memberOf, textOf } from "./unknown.ts";

/** One failed attempt of an operation. */
export interface FailedAttempt {
  /** The time at which it failed, in ms after the first failure. */
  readonly afterMs: number;
  /** Its code or status, or the name of its error: no message, which may hold anything. */
  readonly outcome: string;
}

/** A failed attempt, with an instant of the clock. */
interface AttemptRecord {
  readonly at: number;
  readonly outcome: string;
}

/** The attempts behind an error that an operation failed with. */
interface AttemptHistory {
  /** The number of the operation, in the order in which operations began. */
  readonly begun: number;
  readonly attempts: number;
  /** The last of them, the earliest first. */
  readonly records: readonly AttemptRecord[];
}

/** The maximum number of attempts that an error keeps: the last ones. */
const KEPT_ATTEMPTS = 10;

const histories = new WeakMap<object, AttemptHistory>();
let operationsBegun = 0;

/** A code, and nothing that a user may have written. */
const CODE = /^\w{1,40}$/;

/** Returns the code, the status or the name of a failure. */
function outcomeOf(failure: unknown): string {
  const links = failureChain(failure);
  const codes = links.map((link) => textOf(link, "code") ?? "");
  const statuses = links.map((link) => responseOf(link)?.status ?? memberOf(link, "status"));
  const names = links.map((link) => textOf(link, "name") ?? "");
  const known = [
    ...codes,
    ...statuses.map((status) => typeof status === "number" && status >= 400 ? String(status) : ""),
    ...names,
  ];
  return known.find((text) => CODE.test(text)) ?? typeof failure;
}

/**
 * Counts the attempts of one operation, and keeps their history. The attempts of a retry inside an attempt count as its
 * own, so that nested retries add up instead of multiplying.
 */
export class AttemptCounter {
  readonly #begun = ++operationsBegun;
  readonly #clock: Clock;
  #records: AttemptRecord[] = [];
  #attempts = 0;
  #before = operationsBegun;

  /** @param clock Default: the isolate's own time. */
  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** The number of failed attempts. */
  get attempts(): number {
    return this.#attempts;
  }

  /** Begins an attempt. */
  begin(): void {
    this.#before = operationsBegun;
  }

  /** Counts the attempts behind the failure of the current one. Returns how many there have been. */
  fail(failure: unknown): number {
    const inner = historyBehind(failure, this.#before);
    const records = inner?.records ?? [{ at: this.#clock.now(), outcome: outcomeOf(failure) }];
    this.#records = [...this.#records, ...records].slice(-KEPT_ATTEMPTS);
    return this.#attempts += inner?.attempts ?? 1;
  }

  /** Notes the attempts in the failure that the operation ends with, for a retry around it and for the log. */
  end(failure: unknown): void {
    // A rejection by a circuit breaker is not an attempt: the one before it is worth knowing.
    if (this.#attempts < (failure instanceof CircuitOpenError ? 1 : 2)) return;
    const history = { begun: this.#begun, attempts: this.#attempts, records: this.#records };
    for (const link of failureChain(failure)) histories.set(link, history);
  }
}

/** Returns the attempts behind a failure, if they are those of an operation that began after `before`. */
function historyBehind(failure: unknown, before: number): AttemptHistory | undefined {
  for (const link of failureChain(failure)) {
    const history = histories.get(link);
    // An error object may be thrown more than once: the attempts of an earlier operation do not count.
    if (history !== undefined && history.begun > before) return history;
  }
  return undefined;
}

/**
 * Returns the last ten failed attempts of the operation that failed with `failure`, the earliest first. Empty if it was
 * not retried.
 */
export function attemptsOf(failure: unknown): readonly FailedAttempt[] {
  const records = historyBehind(failure, 0)?.records ?? [];
  const start = records[0]?.at ?? 0;
  return records.map(({ at, outcome }) => ({ afterMs: at - start, outcome }));
}

/** Notes the attempts behind `failure` in an error that was created from it. */
export function passAttempts(failure: unknown, error: object): void {
  const history = historyBehind(failure, 0);
  if (history) histories.set(error, history);
}
