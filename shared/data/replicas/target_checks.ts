/**
 * Checks the targets of a group: at an interval while it is used, and more often while one is down.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { backoffDelayMs, type Clock, MAX_TIMER_MS, timeoutSignal, type Timer } from "../../resilience/mod.ts";
import type { LeaseOptions } from "../../postgres/mod.ts";
import { isBusy } from "./failures.ts";
import type { ReplicaTarget } from "./replica_target.ts";
import { readReport, REPORT, type ServerReport } from "./server_report.ts";

/**
 * The delay between checks while there is no primary, in ms; and the first one of a target that is down, which doubles up
 * to the interval.
 */
const SEARCH_MS = 100;

/** Options of {@linkcode TargetChecks}. */
export interface TargetChecksOptions {
  readonly clock: Clock;
  /** The interval of checks, in ms. */
  readonly intervalMs: number;
  /** The time limit of a check, in ms. */
  readonly timeoutMs: number;
  /** Called with the report of a target, and the time at which its check began. */
  readonly onReport: (target: ReplicaTarget, report: ServerReport, checkedAt: number) => void;
  /** Called when a target has not answered. */
  readonly onFailure: (target: ReplicaTarget, error: unknown) => void;
  /** Returns whether a primary is known. */
  readonly hasPrimary: () => boolean;
}

/** Waits for checks on behalf of a caller: they let a script end, which the wait of a caller does not. */
export async function waitForChecks(clock: Clock, checked: Promise<unknown>): Promise<void> {
  const hold = clock.setTimer(() => {}, MAX_TIMER_MS, { keepAlive: true });
  try {
    await checked;
  } finally {
    hold.cancel();
  }
}

/** Checks targets, one check of each at a time. */
export class TargetChecks {
  readonly #options: TargetChecksOptions;
  readonly #running = new Map<ReplicaTarget, Promise<void>>();
  readonly #timers = new Map<ReplicaTarget, Timer>();
  #usedAt = -Infinity;
  #checkedAt = -Infinity;
  #stopped = false;

  constructor(options: TargetChecksOptions) {
    this.#options = options;
  }

  /** The end of the latest check of any target while all were checked at the interval, in ms of the clock. */
  get checkedAt(): number {
    return this.#checkedAt;
  }

  /** Notes that the group is used: it is checked as long as it is. */
  used(now: number): void {
    this.#usedAt = now;
  }

  /** Checks a target now, unless it is being checked. Never rejects. */
  check(target: ReplicaTarget): Promise<void> {
    const running = this.#running.get(target);
    if (running || this.#stopped) return running ?? Promise.resolve();
    this.#timers.get(target)?.cancel();
    const check = this.#check(target).finally(() => {
      this.#running.delete(target);
      this.#arm(target);
    });
    this.#running.set(target, check);
    return check;
  }

  /** Ends all checks. */
  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  async #check(target: ReplicaTarget): Promise<void> {
    const { clock, onReport, onFailure } = this.#options;
    const startedAt = clock.now();
    try {
      const report = await this.#ask(target);
      this.#noteChecked();
      if (!this.#stopped) onReport(target, report, startedAt);
    } catch (error) {
      this.#noteChecked();
      // A server that is full answers.
      if (!this.#stopped && !(isBusy(error) && target.state === "up")) onFailure(target, error);
    }
  }

  /** Asks on a connection of the pool; where none is free or the target is not up, on one of its own. */
  async #ask(target: ReplicaTarget): Promise<ServerReport> {
    const { clock, timeoutMs } = this.#options;
    const late = () => new Error(`The target did not answer its check within ${timeoutMs} ms`);
    using timeout = timeoutSignal(timeoutMs, clock, late);
    const { signal } = timeout;
    const report = this.#report(target, signal, clock.now() + timeoutMs);
    report.catch(() => {}); // it may end after the timeout
    return await abortable(report, signal);
  }

  async #report(target: ReplicaTarget, signal: AbortSignal, until: number): Promise<ServerReport> {
    const { clock, timeoutMs } = this.#options;
    const isTrusted = target.state === "up" || target.state === "unknown";
    if (isTrusted) {
      try {
        // Of a busy pool, half of the time is left for a connection of its own.
        return await this.#reportOn(target, signal, { lane: "admin", acquireTimeoutMs: Math.ceil(timeoutMs / 2) });
      } catch (error) {
        if (!isBusy(error)) throw error;
      }
    }
    const leftMs = Math.max(1, Math.ceil(until - clock.now()));
    return await this.#reportOn(target, signal, { lane: "probe", acquireTimeoutMs: leftMs });
  }

  async #reportOn({ manager }: ReplicaTarget, signal: AbortSignal, options: LeaseOptions): Promise<ServerReport> {
    await using connection = await manager.lease({ ...options, signal, outsideTransaction: true });
    const { rows } = await connection.query(REPORT, [], { signal, timeoutMs: this.#options.timeoutMs });
    return readReport(rows[0]);
  }

  /** Returns whether the group was used lately, so that all targets are checked at the interval. */
  get #isUsed(): boolean {
    const { clock, intervalMs } = this.#options;
    return clock.now() - this.#usedAt <= Math.max(10_000, 2 * intervalMs);
  }

  /** Notes the end of a check. One of a single target, after a pause, says nothing about the others. */
  #noteChecked(): void {
    if (this.#isUsed) this.#checkedAt = this.#options.clock.now();
  }

  #arm(target: ReplicaTarget): void {
    const { clock, intervalMs, hasPrimary } = this.#options;
    if (this.#stopped || !this.#isUsed) return;
    const capMs = Math.max(intervalMs, SEARCH_MS);
    const downMs = target.state === "up" ? capMs : backoffDelayMs(target.failures, { baseMs: SEARCH_MS, capMs });
    const delayMs = hasPrimary() ? downMs : SEARCH_MS;
    this.#timers.set(target, clock.setTimer(() => void this.check(target), delayMs));
  }
}
