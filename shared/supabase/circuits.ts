/**
 * The circuit breakers of a client pool.
 *
 * @module
 */
import { ConfigError, type PoolEvents } from "../pool/mod.ts";
import {
  type CircuitBreaker,
  type CircuitEvents,
  type CircuitSnapshot,
  EventHub,
  messageOf,
} from "../resilience/mod.ts";
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

/** The events of the calls of a client pool, by name. */
export interface CallPoolEvents {
  /**
   * A call to the project was answered, or failed: each attempt of a read that is retried. `durationMs`: the time from
   * when it was sent until the head of its response. `status`: `undefined` if there was none.
   */
  called: {
    readonly durationMs: number;
    readonly method: string;
    readonly status: number | undefined;
    readonly error: unknown;
  };
}

/** The events of the health checks of a pool. */
export interface HealthPoolEvents {
  /** A health check has ended. */
  healthCheck: {
    readonly healthy: boolean;
    /** The duration of the check, in ms. */
    readonly durationMs: number;
    /** The reason why it failed; for operators. */
    readonly error?: unknown;
  };
}

/** The events of a client pool, by name. */
export interface ClientPoolEvents extends PoolEvents, CircuitPoolEvents, CallPoolEvents, HealthPoolEvents {}

type OwnEvents = CircuitPoolEvents & CallPoolEvents & HealthPoolEvents & Pick<PoolEvents, "error">;

/** Emits the events of a client pool that its core does not emit: of circuit breakers, calls and health checks. */
export class CircuitEventHub extends EventHub<OwnEvents> {
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
   * @throws {ConfigError} if `circuitBreaker` is off, or `target` or `state` is not one of these.
   */
  force(target: string, state: "open" | "closed" | undefined): void {
    if (typeof target !== "string") throw new ConfigError([BAD_TARGET], "circuit");
    checked("state", () => this.#breakerOf(target).force(state));
  }

  /**
   * Puts circuits into the states that {@linkcode snapshot} of another pool returned, such as that of an earlier isolate.
   * A circuit stays open for no longer than its own options say.
   *
   * @throws {ConfigError} if `circuitBreaker` is off, or `states` has something else; the circuits before that are seeded.
   */
  seed(states: CircuitStates): void {
    if (typeof states !== "object" || states === null) throw new ConfigError([BAD_STATES], "circuits");
    for (const [target, state] of Object.entries(states)) {
      checked(target, () => this.#breakerOf(target).restore(state));
    }
  }

  #breakerOf(target: string): CircuitBreaker {
    const breaker = this.#guards?.guardOf(target).breaker;
    if (!breaker) throw new ConfigError([{ path: "circuitBreaker", message: "is false: this pool has no circuits" }]);
    return breaker;
  }
}

const BAD_TARGET = { path: "target", message: "must be the name of a target, such as rest" };
const BAD_STATES = { path: "states", message: "must be what snapshot() returned" };

/** Calls `change`, and throws a `ConfigError` with its reason if it rejects the state. */
function checked(path: string, change: () => void): void {
  try {
    change();
  } catch (error) {
    if (error instanceof RangeError) throw new ConfigError([{ path, message: messageOf(error) }], "circuit");
    throw error;
  }
}
