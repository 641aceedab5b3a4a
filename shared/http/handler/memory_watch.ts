/**
 * The memory of an isolate: low when it comes near its limit, until it has fallen well below.
 *
 * @module
 */
import type { Clock } from "../../resilience/mod.ts";

/** Returns the memory that the isolate uses, in bytes; `undefined` where the runtime does not say. It must not throw. */
export type ReadMemory = () => number | undefined;

/** The part of `memoryUsage()` of Deno, Node and the hosted runtime that is counted here. */
interface MemoryUsage {
  readonly heapUsed: number;
  /** The size of array buffers, for example. */
  readonly external: number;
}

interface RuntimeGlobals {
  readonly Deno?: { readonly memoryUsage?: () => MemoryUsage };
  readonly process?: { readonly memoryUsage?: () => MemoryUsage };
}

/**
 * Returns the heap and the external memory of this isolate, in bytes. The resident memory, which the hosted runtime does
 * not report, is that of the process, and a process may have many isolates.
 */
export function isolateMemory(): number | undefined {
  const globals: RuntimeGlobals = globalThis;
  let usage: MemoryUsage | undefined;
  try {
    usage = globals.Deno?.memoryUsage?.() ?? globals.process?.memoryUsage?.();
  } catch {
    // A runtime may have the function and not support it.
  }
  const bytes = usage ? usage.heapUsed + usage.external : NaN;
  return Number.isFinite(bytes) ? bytes : undefined;
}

/** An episode of low memory. */
export interface LowMemory {
  /** The memory in use when it was noticed, in bytes; `undefined` where the runtime does not say. */
  readonly usedBytes: number | undefined;
  /** The limit, in bytes; `undefined` where none is known. */
  readonly limitBytes: number | undefined;
  /** `runtime`: announced by `beforeunload`. `usage`: found by a check. */
  readonly source: "runtime" | "usage";
}

/** The observer of a {@linkcode MemoryWatch}. Its functions must not throw. */
export interface MemoryListener {
  /**
   * Called when memory is low, and again with each check as long as it is: what was dropped may be there again.
   *
   * @param begins True for the first call of an episode.
   */
  low(memory: LowMemory, begins: boolean): void;
  /** Called when memory is no longer low. `usedBytes` is `undefined` where the runtime does not say. */
  recovered(usedBytes: number | undefined): void;
}

/** The time between checks, in ms. One costs about as much as a request. */
const CHECK_MS = 2_000;

/** The fraction of the limit from which on memory is low. The runtime announces it at nine tenths. */
const LOW = 0.8;

const ANNOUNCED = 0.9;

/** The fraction of the limit below which memory is no longer low: far enough from {@linkcode LOW} not to alternate. */
const RECOVERED = 0.65;

/** The time after which an episode ends in which the memory cannot be read, in ms. */
const UNREADABLE_MS = 60_000;

/** Watches the memory of an isolate: with requests, and without a timer. */
export class MemoryWatch {
  readonly #clock: Clock;
  readonly #read: ReadMemory;
  readonly #listener: MemoryListener;
  #limitBytes = Infinity;
  /** While memory is low: it has recovered below this, in bytes. */
  #recoversBelow: number | undefined = undefined;
  /** The instant of the latest sign of low memory, in ms of the clock. */
  #lowAt = -Infinity;
  /** The instant of the next check, in ms of the clock. Without a limit there is none. */
  #dueAt = Infinity;

  constructor(clock: Clock, read: ReadMemory, listener: MemoryListener) {
    this.#clock = clock;
    this.#read = read;
    this.#listener = listener;
  }

  /** True while memory is low. */
  get isLow(): boolean {
    return this.#recoversBelow !== undefined;
  }

  /** Sets the limit, in bytes. Of several, the lowest counts. */
  limit(bytes: number): void {
    this.#limitBytes = Math.min(this.#limitBytes, bytes);
    this.#dueAt = -Infinity;
  }

  /** Checks the memory if the latest check was long enough ago. */
  check(): void {
    if (this.#dueAt === Infinity) return;
    const now = this.#clock.now();
    if (now < this.#dueAt) return;
    this.#dueAt = now + CHECK_MS;
    const used = this.#read();
    if (used === undefined) {
      if (this.isLow && now - this.#lowAt >= UNREADABLE_MS) this.#recover(used);
    } else if (this.#recoversBelow !== undefined && used < this.#recoversBelow) {
      this.#recover(used);
    } else if (this.isLow || used >= this.#limitBytes * LOW) {
      this.#low(used, this.#limitBytes, "usage");
    }
  }

  /** Notes that the runtime has announced low memory. */
  announce(): void {
    const used = this.#read();
    // The runtime may count more than is read here, and where no limit is set, it knows one.
    this.#low(used, Math.min(this.#limitBytes, (used ?? 0) / ANNOUNCED), "runtime");
    this.#dueAt = this.#clock.now() + CHECK_MS;
  }

  #recover(usedBytes: number | undefined): void {
    this.#recoversBelow = undefined;
    if (this.#limitBytes === Infinity) this.#dueAt = Infinity;
    this.#listener.recovered(usedBytes);
  }

  #low(usedBytes: number | undefined, referenceBytes: number, source: LowMemory["source"]): void {
    const begins = !this.isLow;
    this.#lowAt = this.#clock.now();
    if (begins || source === "runtime") this.#recoversBelow = referenceBytes * RECOVERED;
    const limitBytes = this.#limitBytes === Infinity ? undefined : this.#limitBytes;
    this.#listener.low({ usedBytes, limitBytes, source }, begins);
  }
}
