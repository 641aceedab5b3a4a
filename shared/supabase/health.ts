/**
 * Whether a pool can do its work.
 *
 * @module
 */
import type { Clock } from "../resilience/mod.ts";
import { messageOf, type PoolStats } from "../pool/mod.ts";

/** What a health check found. */
export interface PoolHealth {
  /** Whether the test query succeeded and the pool lends. */
  readonly healthy: boolean;
  readonly details: {
    /** How the pool stands. */
    readonly stats: PoolStats;
    /** The query that was made. */
    readonly testQuery: {
      readonly success: boolean;
      /** How long it took, in ms. */
      readonly durationMs: number;
      /** Why it failed. For operators: not to be shown to the public. */
      readonly error?: string;
    };
  };
}

/** How long an answer of {@linkcode HealthProbe} is kept, in ms. */
const KEPT_MS = 1_000;

/** The longest a question is waited for, in ms, whatever the pool's own deadlines are. */
const MAX_WAIT_MS = 5_000;

/** A question to the database. It is to be given up when the signal aborts. */
export type HealthQuestion = (signal: AbortSignal) => PromiseLike<{ error: unknown }>;

/**
 * Asks one question at a time and keeps the answer for a second, so that a
 * flood of health checks costs one query a second.
 */
export class HealthProbe {
  readonly #ask: HealthQuestion;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #answer: Promise<PoolHealth["details"]["testQuery"]> | undefined = undefined;
  #answeredAt = -Infinity;
  #asking: AbortController | undefined = undefined;
  #stopped: unknown = undefined;

  /** @param timeoutMs How long an answer is waited for; 5,000 ms at most. */
  constructor(ask: HealthQuestion, clock: Clock, timeoutMs: number) {
    this.#ask = ask;
    this.#clock = clock;
    this.#timeoutMs = Math.min(timeoutMs, MAX_WAIT_MS);
  }

  /** The latest answer, or a new one. Never rejects. */
  check(): Promise<PoolHealth["details"]["testQuery"]> {
    if (!this.#answer || this.#clock.now() - this.#answeredAt >= KEPT_MS) {
      this.#answeredAt = Infinity; // under way: whoever asks meanwhile shares it
      this.#answer = this.#query().finally(() => this.#answeredAt = this.#clock.now());
    }
    return this.#answer;
  }

  /** Asks nothing any more; a question that is under way fails with `reason`. */
  stop(reason: Error): void {
    this.#stopped = reason;
    this.#answer = undefined;
    this.#asking?.abort(reason);
  }

  async #query(): Promise<PoolHealth["details"]["testQuery"]> {
    const start = this.#clock.now();
    let error: unknown;
    try {
      ({ error } = await this.#bounded());
    } catch (thrown) {
      error = thrown ?? new Error("the health query failed");
    }
    const durationMs = this.#clock.now() - start;
    if (error === null || error === undefined) return { success: true, durationMs };
    return { success: false, durationMs, error: describe(error) };
  }

  /** The question, for as long as it is waited for. A query of the user's own may never settle by itself. */
  async #bounded(): Promise<{ error: unknown }> {
    if (this.#stopped) throw this.#stopped;
    const controller = this.#asking = new AbortController();
    const { signal } = controller;
    const gaveUp = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    const timer = this.#clock.setTimer(
      () => controller.abort(new Error(`The health query was not answered within ${this.#timeoutMs} ms`)),
      this.#timeoutMs,
    );
    try {
      return await Promise.race([this.#ask(signal), gaveUp]);
    } finally {
      timer.cancel();
      this.#asking = undefined;
    }
  }
}

function describe(error: unknown): string {
  const message: unknown = typeof error === "object" && error !== null ? Reflect.get(error, "message") : error;
  return typeof message === "string" ? message : messageOf(error);
}
