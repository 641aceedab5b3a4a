/**
 * A health check that many may ask for and few run.
 *
 * @module
 */
import type { Clock } from "../resilience/mod.ts";
import type { PoolHealth } from "../supabase/mod.ts";

/** How long the outcome of a probe serves, in ms. */
export const KEEP_MS = 1_000;

/** How long a probe may take before it counts as failed, in ms. */
export const PROBE_TIMEOUT_MS = 5_000;

/** The outcome of a probe. */
export interface ProbeResult {
  readonly healthy: boolean;
  readonly testQuery: PoolHealth["details"]["testQuery"];
}

function failed(error: string): ProbeResult {
  return { healthy: false, testQuery: { success: false, error } };
}

/**
 * Runs `check` at most once at a time and keeps its outcome for
 * {@linkcode KEEP_MS}. A check that hangs is reported as failed after
 * {@linkcode PROBE_TIMEOUT_MS}, and no second one is started beside it.
 */
export class HealthProbe {
  readonly #check: () => Promise<PoolHealth>;
  readonly #clock: Clock;
  #last: { readonly result: ProbeResult; readonly at: number } | undefined;
  #reading: Promise<ProbeResult> | undefined;
  #hangs = false;

  constructor(check: () => Promise<PoolHealth>, clock: Clock) {
    this.#check = check;
    this.#clock = clock;
  }

  /** The kept outcome, or that of a new check. Never rejects. */
  read(): Promise<ProbeResult> {
    const last = this.#last;
    if (last && (this.#hangs || this.#clock.now() - last.at < KEEP_MS)) return Promise.resolve(last.result);
    return this.#reading ??= this.#run();
  }

  #run(): Promise<ProbeResult> {
    return new Promise((resolve) => {
      const settle = (result: ProbeResult) => {
        this.#last = { result, at: this.#clock.now() };
        this.#reading = undefined;
        resolve(result);
      };
      const timer = this.#clock.setTimer(() => {
        this.#hangs = true;
        settle(failed(`no answer within ${PROBE_TIMEOUT_MS} ms`));
      }, PROBE_TIMEOUT_MS);
      this.#checked().then((result) => {
        timer.cancel();
        this.#hangs = false;
        settle(result);
      });
    });
  }

  async #checked(): Promise<ProbeResult> {
    try {
      const { healthy, details } = await this.#check();
      return { healthy, testQuery: details.testQuery };
    } catch (error) {
      return failed(error instanceof Error ? error.message : String(error));
    }
  }
}
