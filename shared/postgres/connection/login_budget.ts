/**
 * Limits the logins that a server has refused or may refuse.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import type { Clock } from "../../resilience/mod.ts";

/**
 * The number of logins in {@linkcode LOGIN_WINDOW_MS} that may fail. Supavisor bans an address after 10 (`auth_error` in its
 * `circuit_breaker.ex`), and several isolates share one.
 */
const MAX_FAILURES = 5;

/** The time for which a refused login counts, in ms: the longest window of Supavisor. */
export const LOGIN_WINDOW_MS = 300_000;

/** The time for which a login counts that was abandoned while the server checked an unproven password, in ms. */
const ABANDONED_MS = 60_000;

/** The end of one login: `refused` for its credentials, `abandoned` without a response to them, or anything else. */
export type LoginEnd = "refused" | "abandoned" | "other";

/** The logins to one address as one user, over all pools of the isolate. */
export class LoginBudget {
  readonly #clock: Clock;
  /** The instants at which failures cease to count, in ms of the clock. */
  #failures: number[] = [];
  #running = 0;
  #ended: PromiseWithResolvers<void> | undefined = undefined;
  /** The instant of the latest use, in ms of the clock. */
  usedAt: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.usedAt = clock.now();
  }

  /** The number of logins under way. */
  get running(): number {
    return this.#running;
  }

  /** True if no login may start before a failure ceases to count. */
  get isExhausted(): boolean {
    const now = this.#clock.now();
    this.#failures = this.#failures.filter((until) => until > now);
    return this.#failures.length >= MAX_FAILURES;
  }

  /** True if a login may start: even if it and all that run are refused, the limit is kept. */
  get hasRoom(): boolean {
    return !this.isExhausted && this.#failures.length + this.#running < MAX_FAILURES;
  }

  /** Counts a login in. */
  begin(): void {
    this.usedAt = this.#clock.now();
    this.#running++;
  }

  /** Counts a login out. */
  end(how: LoginEnd): void {
    const now = this.usedAt = this.#clock.now();
    this.#running--;
    if (how !== "other") this.#failures.push(now + (how === "refused" ? LOGIN_WINDOW_MS : ABANDONED_MS));
    this.#ended?.resolve();
    this.#ended = undefined;
  }

  /**
   * Waits until a login under way ends.
   *
   * @throws the signal's reason.
   */
  async nextEnd(signal: AbortSignal): Promise<void> {
    await abortable((this.#ended ??= Promise.withResolvers<void>()).promise, signal);
  }
}
