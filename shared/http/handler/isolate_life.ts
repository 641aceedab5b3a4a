/**
 * What becomes of the requests of an isolate when the runtime is about to end it.
 *
 * @module
 */
import { PoolClosedError } from "../../pool/mod.ts";
import { type Clock, memberOf, systemClock, type Timer } from "../../resilience/mod.ts";

/** Pools that end with the isolate. */
export interface OwnedPools {
  /** Refuses at once, and cuts what runs after `deadlineMs` (default: the pool's own deadline). */
  shutdown(deadlineMs?: number): Promise<void>;
  /** How long requests may go on once the isolate is ending, in ms. */
  readonly drainMs: number;
}

/**
 * Listens to what Supabase's edge runtime says of the end of an isolate, in
 * `detail.reason` of `beforeunload`:
 *
 * - `wall_clock`, `cpu` (nine tenths of the limit are used) and `termination`:
 *   new requests are refused; those under way go on, the pools with them, and
 *   what is not done after `drainMs` is cut. Then the pools are shut down.
 * - `early_drop`: nothing is under way any more. The pools are shut down at once.
 * - `memory`: the isolate lives on, and goes on answering. What can be spared is
 *   dropped; see {@linkcode onMemoryLow}.
 * - no reason, as in plain Deno, whose event loop is empty then: as for `termination`.
 *
 * `drain` comes when the isolate is retired (half of its wall clock has passed,
 * say, of which it is told in no other way) and its last request is answered:
 * background work goes on, and with it ends all there is.
 */
export class IsolateLife {
  readonly #clock: Clock;
  readonly #target: EventTarget;
  readonly #pools = new Set<OwnedPools>();
  readonly #memoryLow = new Set<() => void>();
  #state: "open" | "draining" | "closed" = "open";
  #underWay = 0;
  #timer: Timer | undefined = undefined;

  /**
   * Begins to listen.
   *
   * @param target Where the runtime tells of the end. Default: the isolate's own `globalThis`.
   */
  constructor(clock: Clock, target: EventTarget = globalThis) {
    this.#clock = clock;
    this.#target = target;
    target.addEventListener("beforeunload", this.#unload);
    target.addEventListener("drain", this.#drain);
  }

  /** Whether everything has been shut down; what is made later needs a life of its own. */
  get over(): boolean {
    return this.#state === "closed";
  }

  /** Shuts `pools` down at the end. */
  own(pools: OwnedPools): void {
    this.#pools.add(pools);
  }

  /**
   * A request comes in; what is returned is to be called when it is over, background work included.
   *
   * @throws {PoolClosedError} once the isolate is ending.
   */
  enter(): () => void {
    if (this.#state !== "open") throw new PoolClosedError("Cannot serve the request: this isolate is shutting down");
    this.#underWay++;
    let over = false;
    return () => {
      if (over) return;
      over = true;
      if (--this.#underWay === 0 && this.#state === "draining") this.#close();
    };
  }

  /** Has `drop` called when the isolate is short of memory. */
  onMemoryLow(drop: () => void): void {
    this.#memoryLow.add(drop);
  }

  readonly #unload = (event: object): void => {
    switch (reasonOf(event)) {
      case "memory":
        for (const drop of this.#memoryLow) drop();
        return;
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
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#timer?.cancel();
    this.#target.removeEventListener("beforeunload", this.#unload);
    this.#target.removeEventListener("drain", this.#drain);
    // What refuses new work happens before this returns; nobody is left to be told of a failure.
    for (const pools of this.#pools) pools.shutdown(deadlineMs).catch(() => {});
  }
}

let current: IsolateLife | undefined;

/** The life of this isolate; one, since handlers may share their pools. */
export function lifeOfIsolate(): IsolateLife {
  if (current === undefined || current.over) current = new IsolateLife(systemClock);
  return current;
}

/** `detail.reason` of an event, where it has one. */
function reasonOf(event: object): unknown {
  return memberOf(memberOf(event, "detail"), "reason");
}
