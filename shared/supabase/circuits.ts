/**
 * The circuit breakers of a client pool.
 *
 * @module
 */
import type { PoolEvents } from "../pool/mod.ts";
import { type CircuitBreaker, type CircuitEvents, type CircuitSnapshot, EventHub } from "../resilience/mod.ts";
import type { TargetGuards } from "./calls/target_guard.ts";

/** The state of the circuit of each target, by the name of the target: `rest`, `auth`, `storage`, `functions/<name>`. */
export type CircuitStates = Readonly<Record<string, CircuitSnapshot>>;

/** The events of the circuit breakers of a pool, by name. `target` is a name as in {@linkcode CircuitStates}. */
export interface CircuitPoolEvents {
  /** The circuit of a target opened: calls to it are rejected. */
  circuitOpened: CircuitEvents["opened"];
  /** The first probe is sent to a target. */
  circuitHalfOpened: CircuitEvents["halfOpened"];
  /** The circuit of a target closed: calls to it are sent. */
  circuitClosed: CircuitEvents["closed"];
}

/** The events of a client pool, by name. */
export interface ClientPoolEvents extends PoolEvents, CircuitPoolEvents {}

/** Emits the events of a pool's circuit breakers. */
export class CircuitEventHub extends EventHub<CircuitPoolEvents & Pick<PoolEvents, "error">> {
  constructor() {
    super({ listenerError: (error) => ({ error, source: "listener" }) });
  }

  /** Emits the events of `breaker` as those of a target of the pool. */
  watch(breaker: CircuitBreaker, target: string): void {
    breaker.on("opened", (event) => this.emit("circuitOpened", { ...event, target }));
    breaker.on("halfOpened", () => this.emit("circuitHalfOpened", { target }));
    breaker.on("closed", (event) => this.emit("circuitClosed", { ...event, target }));
  }
}

/**
 * The circuit breakers of a pool. Each part of the project (`rest`, `auth`, `storage`) has its own, which is created with
 * the first call to it; so has each edge function (`functions/<name>`).
 *
 * @example
 * ```ts
 * pool.circuits.force("storage", "open"); // during maintenance of the storage
 * ```
 */
export class PoolCircuits {
  readonly #guards: TargetGuards | undefined;

  /** For the pool. */
  constructor(guards: TargetGuards | undefined) {
    this.#guards = guards;
  }

  /** Returns the state of each circuit, as plain data. Empty if `circuitBreaker` is off. */
  snapshot(): CircuitStates {
    const states = [...this.#guards?.breakers ?? []].map(([target, breaker]) => [target, breaker.snapshot()]);
    return Object.freeze(Object.fromEntries(states));
  }

  /**
   * Opens or closes the circuit of a target, whatever the results of calls are, until it is called with `undefined`.
   *
   * @param target `rest`, `auth`, `storage`, or `functions/<name>`.
   * @throws {TypeError} if `circuitBreaker` is off.
   */
  force(target: string, state: "open" | "closed" | undefined): void {
    this.#breakerOf(target).force(state);
  }

  /**
   * Puts circuits into the states that {@linkcode snapshot} of another pool returned, such as that of an earlier isolate.
   * A circuit stays open for no longer than its own options say.
   *
   * @throws {TypeError} if `circuitBreaker` is off.
   */
  seed(states: CircuitStates): void {
    for (const [target, state] of Object.entries(states)) this.#breakerOf(target).restore(state);
  }

  #breakerOf(target: string): CircuitBreaker {
    const breaker = this.#guards?.guardOf(target).breaker;
    if (!breaker) throw new TypeError("This pool has no circuit breakers: circuitBreaker is false");
    return breaker;
  }
}
