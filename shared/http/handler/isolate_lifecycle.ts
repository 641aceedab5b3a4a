/**
 * The end of an isolate: what the runtime announces, and what happens to requests and pools.
 *
 * @module
 */
import type { LogData, LogLevel } from "../../observability/log/mod.ts";
import { PoolClosedError } from "../../pool/mod.ts";
import { type Clock, memberOf, messageOf, observe, systemClock, type Timer } from "../../resilience/mod.ts";
import { isolateMemory, type LowMemory, MemoryWatch, type ReadMemory } from "./memory_watch.ts";

/** Pools that end with the isolate. */
export interface OwnedPools {
  /** Rejects new work at once, and aborts what still runs after `deadlineMs` (default: the pool's own deadline). */
  shutdown(deadlineMs?: number): Promise<void>;
  /** The time requests may go on once the isolate is ending, in ms. */
  readonly drainMs: number;
  /** Called when memory becomes low, and when it is no longer: caches are dropped and limits halved in between. */
  setMemoryLow?(isLow: boolean): void;
}

/** Writes a line of the log about memory. */
export type LogMemory = (level: LogLevel, event: string, data: LogData) => void;

function megabytes(bytes: number | undefined): number | undefined {
  return bytes === undefined ? undefined : Math.round(bytes / 2 ** 20);
}

/** Returns the target of the runtime's events. The `globalThis` of Node is none. */
function runtimeEvents(): EventTarget {
  return "addEventListener" in globalThis ? globalThis : new EventTarget();
}

/**
 * Listens for the end of an isolate, which Supabase's edge runtime announces in
 * `detail.reason` of `beforeunload`:
 *
 * - `wall_clock`, `cpu` (nine tenths of the limit are used) and `termination`:
 *   new requests are rejected; those under way go on, the pools with them, and
 *   what still runs after `drainMs` is aborted. Then the pools are shut down.
 * - `early_drop`: no request is under way. The pools are shut down at once.
 * - `memory`: the isolate lives on and serves requests. Caches are dropped and
 *   limits halved until memory has recovered, as when {@linkcode watchMemory}
 *   finds it low; see {@linkcode onMemoryLow}.
 * - no reason, as in plain Deno, whose event loop is empty then: as for `termination`.
 *
 * `drain` comes when the isolate is retired (at half of its wall clock, for
 * example, which is not announced in another way) and its last request is
 * answered: background work goes on, and the isolate ends with it.
 */
export class IsolateLifecycle {
  readonly #clock: Clock;
  readonly #target: EventTarget;
  readonly #pools = new Set<OwnedPools>();
  readonly #memoryLow = new Set<() => void>();
  readonly #memory: MemoryWatch;
  #logMemory: LogMemory | undefined = undefined;
  #state: "open" | "draining" | "closed" = "open";
  #underWay = 0;
  #timer: Timer | undefined = undefined;

  /**
   * Starts listening.
   *
   * @param target The target of the events. Default: the isolate's own `globalThis`; on Node, which announces
   * no end, one without events.
   * @param readMemory Reads the memory in use. Default: that of this isolate.
   */
  constructor(clock: Clock, target: EventTarget = runtimeEvents(), readMemory: ReadMemory = isolateMemory) {
    this.#clock = clock;
    this.#memory = new MemoryWatch(clock, readMemory, {
      low: (memory, begins) => this.#onLowMemory(memory, begins),
      recovered: (usedBytes) => {
        for (const pools of this.#pools) this.#notify(() => pools.setMemoryLow?.(false));
        this.#logMemory?.("info", "memory_recovered", { usedMb: megabytes(usedBytes) });
      },
    });
    this.#target = target;
    target.addEventListener("beforeunload", this.#unload);
    target.addEventListener("drain", this.#drain);
  }

  /** True once everything has been shut down; pools that are created later need a new instance. */
  get isClosed(): boolean {
    return this.#state === "closed";
  }

  /** Registers `pools` to be shut down at the end. */
  registerPools(pools: OwnedPools): void {
    this.#pools.add(pools);
  }

  /**
   * Counts a request until the returned function is called: when it has ended, background work included.
   *
   * @throws {PoolClosedError} once the isolate is ending.
   */
  beginRequest(): () => void {
    if (this.#state !== "open") throw new PoolClosedError("Cannot serve the request: this isolate is shutting down");
    this.#memory.check();
    this.#underWay++;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      if (--this.#underWay === 0 && this.#state === "draining") this.#close();
    };
  }

  /** Calls `drop` when the isolate is short of memory. */
  onMemoryLow(drop: () => void): void {
    this.#memoryLow.add(drop);
  }

  /**
   * Checks the memory with requests from now on, every few seconds at most.
   *
   * @param limitBytes The limit of the isolate, in bytes.
   * @param log Writes a line when an episode begins or ends. Of several, the first does.
   */
  watchMemory(limitBytes: number | undefined, log?: LogMemory): void {
    this.#logMemory ??= log;
    if (limitBytes !== undefined) this.#memory.limit(limitBytes);
  }

  #onLowMemory({ usedBytes, limitBytes, source }: LowMemory, begins: boolean): void {
    for (const drop of this.#memoryLow) this.#notify(drop);
    // Again with each check: idle connections come back with every burst.
    for (const pools of this.#pools) this.#notify(() => pools.setMemoryLow?.(true));
    if (begins) {
      const data = { source, usedMb: megabytes(usedBytes), limitMb: megabytes(limitBytes) };
      this.#logMemory?.("warn", "memory_low", data);
    }
  }

  /** Calls what a program may have supplied: memory is checked at the beginning of requests, which must not fail by it. */
  #notify(call: () => void): void {
    observe(call, (error) => this.#logMemory?.("error", "memory_hook_failed", { reason: messageOf(error) }));
  }

  readonly #unload = (event: object): void => {
    switch (memberOf(memberOf(event, "detail"), "reason")) {
      case "memory":
        return this.#memory.announce();
      case "early_drop":
        return this.#close(0);
      default:
        return this.#drain();
    }
  };

  readonly #drain = (): void => {
    if (this.#state !== "open") return;
    this.#state = "draining";
    if (this.#underWay === 0) return this.#close();
    const drainMs = Math.max(...[...this.#pools].map((pools) => pools.drainMs));
    this.#timer = this.#clock.setTimer(() => this.#close(0), drainMs);
  };

  #close(deadlineMs?: number): void {
    this.#state = "closed";
    this.#timer?.cancel();
    this.#target.removeEventListener("beforeunload", this.#unload);
    this.#target.removeEventListener("drain", this.#drain);
    // New work is rejected before this returns; a failure has no one left to handle it.
    for (const pools of this.#pools) pools.shutdown(deadlineMs).catch(() => {});
  }
}

let current: IsolateLifecycle | undefined;

/** Returns the lifecycle of this isolate: a single one, since handlers may share their pools. */
export function isolateLifecycle(): IsolateLifecycle {
  if (current === undefined || current.isClosed) current = new IsolateLifecycle(systemClock);
  return current;
}
