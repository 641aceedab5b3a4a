/**
 * A circuit breaker on a fake clock.
 *
 * @module
 */
import { assertInstanceOf } from "@std/assert";
import { CircuitBreaker, type CircuitBreakerOptions, CircuitOpenError } from "../../shared/resilience/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** A breaker on a fake clock. */
export interface BreakerSetUp {
  readonly clock: FakeClock;
  /** The events that the breaker emitted. */
  readonly events: string[];
  readonly breaker: CircuitBreaker;
  /** Sends calls that fail, one after the other. */
  fail(times?: number): void;
  /** Sends calls that succeed, one after the other. */
  succeed(times?: number): void;
}

/** Sets up a breaker on a fake clock. */
export function setUp(options: Partial<CircuitBreakerOptions> = {}): BreakerSetUp {
  const clock = new FakeClock();
  const events: string[] = [];
  const breaker = new CircuitBreaker({ target: "api", clock, random: () => 0, ...options });
  breaker.on("opened", ({ reason }) => events.push(`opened: ${reason}`));
  breaker.on("halfOpened", () => events.push("half-opened"));
  breaker.on("closed", ({ openMs }) => events.push(`closed after ${openMs}`));
  const fail = (times = 1) => {
    for (let i = 0; i < times; i++) breaker.settle(breaker.admit(), "failed");
  };
  const succeed = (times = 1) => {
    for (let i = 0; i < times; i++) breaker.settle(breaker.admit(), "succeeded");
  };
  return { clock, events, breaker, fail, succeed };
}

/** Returns a breaker that may send probes. */
export function setUpProbing(options: Partial<CircuitBreakerOptions> = {}): BreakerSetUp {
  const all = setUp(options);
  all.fail(10);
  all.clock.freeze(500);
  return all;
}

/** Returns whether the breaker rejects a call now. */
export function isRejected(breaker: CircuitBreaker): boolean {
  try {
    breaker.settle(breaker.admit(), "ignored");
    return false;
  } catch (error) {
    assertInstanceOf(error, CircuitOpenError);
    return true;
  }
}
