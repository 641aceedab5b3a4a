/**
 * Health probes that a flood of requests cannot multiply.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import type { Clock } from "./clock.ts";
import { timeoutSignal } from "./signals.ts";

/** The time that a result is reused, in ms. */
const PROBE_CACHE_MS = 1_000;

/** The outcome of one probe. */
export interface ProbeResult {
  /** The duration of the probe, in ms. */
  readonly durationMs: number;
  /** The error of the probe; absent if it succeeded. Never `undefined` or `null` for a failed probe. */
  readonly error?: unknown;
}

/** Options for {@linkcode CachedProbe}. */
export interface CachedProbeOptions<T> {
  /** Runs the probe; a rejection is a failure. It may ignore the signal: it is not waited for after that aborts. */
  readonly run: (signal: AbortSignal) => PromiseLike<unknown>;
  /** Called once per probe; its result is cached and returned to everyone who asked. It must not throw. */
  readonly report: (result: ProbeResult) => T;
  /** The longest that a probe may take, in ms. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** Runs one probe at a time and reuses its result for a second. */
export class CachedProbe<T> {
  readonly #options: CachedProbeOptions<T>;
  #latest: Promise<T> | undefined = undefined;
  #validUntil = -Infinity;
  readonly #stop = new AbortController();

  constructor(options: CachedProbeOptions<T>) {
    this.#options = options;
  }

  /** Returns the cached result, the result of the probe that is running, or that of a new probe. Never rejects. */
  check(): Promise<T> {
    if (!this.#latest || this.#options.clock.now() >= this.#validUntil) {
      this.#validUntil = Infinity; // shared while it runs
      this.#latest = this.#probe().finally(() => this.#validUntil = this.#options.clock.now() + PROBE_CACHE_MS);
    }
    return this.#latest;
  }

  /** Fails the running probe and every later one with `reason`. */
  stop(reason: unknown): void {
    this.#latest = undefined;
    this.#stop.abort(reason);
  }

  async #probe(): Promise<T> {
    const { run, report, timeoutMs, clock } = this.#options;
    const startMs = clock.now();
    const durationMs = () => clock.now() - startMs;
    using timeout = timeoutSignal(
      timeoutMs,
      clock,
      () => new Error(`The health check timed out after ${timeoutMs} ms`),
    );
    const signal = AbortSignal.any([this.#stop.signal, timeout.signal]);
    try {
      signal.throwIfAborted();
      await abortable(Promise.resolve(run(signal)), signal);
    } catch (error) {
      return report({ durationMs: durationMs(), error: error ?? new Error("The health check failed") });
    }
    return report({ durationMs: durationMs() });
  }
}
