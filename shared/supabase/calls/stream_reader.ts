/**
 * The reader of a body that is read as a stream: its progress, and the time for which it has stopped.
 *
 * @module
 */
import type { Clock, Deadlines, Timer } from "../../resilience/mod.ts";

/** The dependencies of a {@linkcode StreamReader}. */
export interface StreamReaderOptions {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  /** The time after which a reader that does not ask for more has stalled, in ms. */
  readonly stallMs: number;
  /** Called when it has stalled. */
  readonly onStalled: () => void;
}

/** The progress of one reader. One timer serves many chunks. */
export class StreamReader {
  readonly #options: StreamReaderOptions;
  #progressMs: number;
  #state: "asking" | "busy" | "stalled" = "busy";
  #check: Timer | undefined = undefined;

  /** Starts with a reader that has not asked for anything. */
  constructor(options: StreamReaderOptions) {
    this.#options = options;
    this.#progressMs = options.clock.now();
    this.#watch(options.stallMs);
  }

  /** True while it has not asked for more for `stallMs`. */
  get isStalled(): boolean {
    return this.#state === "stalled";
  }

  /** The time since the last chunk, or since its reader asked for the next one, in ms. */
  get silentMs(): number {
    return this.#options.clock.now() - this.#progressMs;
  }

  /** Notes that the reader asks for more. */
  onPull(): void {
    this.#progressMs = this.#options.clock.now();
    this.#state = "asking";
  }

  /** Notes that the reader has a chunk. */
  onChunk(): void {
    const { clock, stallMs } = this.#options;
    this.#progressMs = clock.now();
    this.#state = "busy";
    if (!this.#check) this.#watch(stallMs);
  }

  /** Stops the timer. */
  stop(): void {
    this.#check?.cancel();
  }

  #watch(delayMs: number): void {
    this.#check = this.#options.deadlines.start(delayMs, () => {
      this.#check = undefined;
      if (this.#state !== "busy") return;
      const leftMs = this.#options.stallMs - this.silentMs;
      if (leftMs > 0) return this.#watch(leftMs);
      this.#state = "stalled";
      this.#options.onStalled();
    });
  }
}
