/**
 * Whether a pool can do its work.
 *
 * @module
 */
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

/**
 * Asks one question at a time and keeps the answer for a second, so that a
 * flood of health checks costs one query a second.
 */
export class HealthProbe {
  readonly #ask: () => PromiseLike<{ error: unknown }>;
  readonly #now: () => number;
  #answer: Promise<PoolHealth["details"]["testQuery"]> | undefined = undefined;
  #answeredAt = -Infinity;

  constructor(ask: () => PromiseLike<{ error: unknown }>, now: () => number) {
    this.#ask = ask;
    this.#now = now;
  }

  /** The latest answer, or a new one. Never rejects. */
  check(): Promise<PoolHealth["details"]["testQuery"]> {
    if (!this.#answer || this.#now() - this.#answeredAt >= KEPT_MS) {
      this.#answeredAt = Infinity; // under way: whoever asks meanwhile shares it
      this.#answer = this.#query().finally(() => this.#answeredAt = this.#now());
    }
    return this.#answer;
  }

  async #query(): Promise<PoolHealth["details"]["testQuery"]> {
    const start = this.#now();
    let error: unknown;
    try {
      ({ error } = await this.#ask());
    } catch (thrown) {
      error = thrown ?? new Error("the health query failed");
    }
    const durationMs = this.#now() - start;
    if (error === null || error === undefined) return { success: true, durationMs };
    return { success: false, durationMs, error: describe(error) };
  }
}

function describe(error: unknown): string {
  const message: unknown = typeof error === "object" && error !== null ? Reflect.get(error, "message") : error;
  return typeof message === "string" ? message : messageOf(error);
}
