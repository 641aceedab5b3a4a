/**
 * The limit of `maxConnections: "auto"`.
 *
 * @module
 */
import type { AdaptiveLimit, LimitedCall } from "../resilience/adaptive_limit.ts";
import type { Clock } from "../resilience/mod.ts";
import type { PoolLoad } from "../pool/mod.ts";
import type { LoadObserver, LoadOutcome } from "./calls/target_guard.ts";

/** The limit until the first calls were measured, and where it does not adapt. */
export const INITIAL_LIMIT = 10;

/** The part of a pool that an {@linkcode AutoLimit} drives. */
export interface LimitedPool {
  /** Returns the leases of the lanes that the limit concerns. */
  load(): PoolLoad;
  /** Applies a limit. */
  adapt(limit: number): void;
  /** Emits a limit that is not applied. */
  reportLimit(limit: number, before: number): void;
}

/** Options for an {@linkcode AutoLimit}. */
export interface AutoLimitOptions {
  readonly clock: Clock;
  /** Yields numbers in `[0, 1)`. */
  readonly random: () => number;
  /** The highest limit. */
  readonly max: number;
  /** True to emit changes in place of applying them. */
  readonly isDryRun: boolean;
}

/**
 * Observes the calls of a pool and adapts its limit. The algorithm is loaded with the first call, so that pools with a
 * fixed limit do not load it.
 */
export class AutoLimit implements LoadObserver {
  readonly #pool: LimitedPool;
  readonly #options: AutoLimitOptions;
  #max: number;
  #create: (() => AdaptiveLimit) | undefined = undefined;
  #limit: AdaptiveLimit | undefined = undefined;
  #loading: Promise<void> | undefined = undefined;
  #reported = INITIAL_LIMIT;

  constructor(pool: LimitedPool, options: AutoLimitOptions) {
    this.#pool = pool;
    this.#options = options;
    this.#max = options.max;
    if (!options.isDryRun) pool.adapt(INITIAL_LIMIT);
  }

  /** Resolves when the algorithm is loaded. Begins to load it. */
  get loaded(): Promise<void> {
    return this.#loading ??= this.#load();
  }

  /** Changes the highest limit. */
  set max(max: number) {
    this.#max = max;
    if (!this.#limit || this.#options.isDryRun) return;
    this.#limit.max = max;
    this.#pool.adapt(this.#limit.limit);
  }

  begin(): LimitedCall | undefined {
    if (!this.#limit) {
      // Until it is loaded, and if it cannot be, the limit stays as it is.
      this.loaded.catch(() => {});
      return undefined;
    }
    const { leased, hasWaiters } = this.#pool.load();
    return this.#limit.begin(this.#options.clock.now(), leased, hasWaiters);
  }

  end(call: LimitedCall | undefined, outcome: LoadOutcome): void {
    const limit = this.#limit;
    if (!limit || !call) return;
    const before = limit.limit;
    limit.end(call, this.#options.clock.now(), outcome);
    if (limit.limit === before) return;
    if (this.#options.isDryRun) this.#report(limit.limit);
    else this.#pool.adapt(limit.limit);
  }

  /** An experiment that is not applied has no result: each begins at the limit in force. */
  #report(limit: number): void {
    this.#limit = this.#create?.();
    if (limit === this.#reported) return;
    this.#reported = limit;
    this.#pool.reportLimit(limit, INITIAL_LIMIT);
  }

  async #load(): Promise<void> {
    const { AdaptiveLimit } = await import("../resilience/adaptive_limit.ts");
    this.#create = () => new AdaptiveLimit({ initial: INITIAL_LIMIT, max: this.#max, random: this.#options.random });
    this.#limit = this.#create();
  }
}
