/**
 * Invariant 25, of the breaker: whatever the order of calls, results and pauses, at most `maxProbes` probes that
 * are not late are under way, results of an earlier generation change nothing, the circuit opens exactly by its rules,
 * and it never stays open or half open once its target responds.
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  type CallOutcome,
  CircuitBreaker,
  type CircuitBreakerOptions,
  CircuitOpenError,
  type CircuitPermit,
} from "../../../shared/resilience/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";

type Step =
  | { readonly kind: "admit" }
  | { readonly kind: "settle"; readonly nth: number; readonly outcome: CallOutcome }
  | { readonly kind: "wait"; readonly ms: number };

const WINDOW_MS = 1_000;

const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.constant<Step>({ kind: "admit" }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("settle" as const),
      nth: fc.nat(20),
      outcome: fc.constantFrom<CallOutcome>("succeeded", "failed", "failed", "ignored"),
    }),
  },
  {
    weight: 3,
    // From none to a freeze of minutes.
    arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(0, 1, 50, 99, 100, 500, 300_000) }),
  },
);

const rules = fc.record({
  consecutiveFailures: fc.integer({ min: 1, max: 5 }),
  failureRatio: fc.constantFrom(0.2, 0.5, 1),
  minimumCalls: fc.integer({ min: 1, max: 8 }),
  maxProbes: fc.integer({ min: 1, max: 3 }),
  successesToClose: fc.integer({ min: 1, max: 3 }),
  openMs: fc.constantFrom(100, 200),
  probeTimeoutMs: fc.constantFrom(100, 1_000),
});

type Rules = typeof rules extends fc.Arbitrary<infer R> ? R : never;

/** The rules that open a closed circuit, as the documentation states them: over all results, without counters. */
class OpeningRules {
  readonly #results: { readonly failed: boolean; readonly at: number }[] = [];
  readonly #rules: Rules;

  constructor(rules: Rules) {
    this.#rules = rules;
  }

  /** Notes a result. Returns whether the circuit must open, and whether it may: a window ends within a tenth of it. */
  add(failed: boolean, at: number): { readonly must: boolean; readonly may: boolean } {
    this.#results.push({ failed, at });
    const ratios = [WINDOW_MS * 0.9, WINDOW_MS].map((ms) => this.#failsSince(at - ms));
    const inARow = this.#failuresInARow() >= this.#rules.consecutiveFailures;
    return { must: failed && (inARow || ratios.every(Boolean)), may: failed && (inARow || ratios.some(Boolean)) };
  }

  #failuresInARow(): number {
    let count = 0;
    for (let i = this.#results.length - 1; i >= 0; i--) {
      const { failed, at } = this.#results[i] as { failed: boolean; at: number };
      if (!failed || (this.#results[i + 1]?.at ?? at) - at > WINDOW_MS) break;
      count++;
    }
    return count;
  }

  #failsSince(instant: number): boolean {
    const calls = this.#results.filter((result) => result.at > instant);
    const failures = calls.filter((result) => result.failed).length;
    return calls.length >= this.#rules.minimumCalls && failures / calls.length >= this.#rules.failureRatio;
  }
}

/** A call under way. */
interface UnderWay {
  readonly permit: CircuitPermit;
  readonly state: "closed" | "half-open";
  readonly at: number;
}

Deno.test("CircuitBreaker keeps invariant 25 in any order of calls, results and pauses", () => {
  fc.assert(
    fc.property(
      rules,
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      fc.array(steps, { maxLength: 150, size: "max" }),
      check,
    ),
    { numRuns: 2_000, seed: 20_261_128 },
  );
});

function check(rules: Rules, random: number, script: readonly Step[]): void {
  const clock = new FakeClock();
  const breaker = new CircuitBreaker(
    {
      target: "api",
      windowMs: WINDOW_MS,
      ...rules,
      clock,
      random: () => random,
    } satisfies CircuitBreakerOptions,
  );
  /** The calls of the current generation, and those of earlier ones. */
  let current: UnderWay[] = [];
  let stale: UnderWay[] = [];
  let opening = new OpeningRules(rules);
  let successes = 0;
  let openUntil = 0;

  /** The probes that are not late. */
  const timely = (now: number) => current.filter(({ at }) => now < at + rules.probeTimeoutMs).length;
  const begin = () => {
    stale = [...stale, ...current];
    current = [];
    successes = 0;
    opening = new OpeningRules(rules);
  };

  for (const step of script) {
    const before = breaker.snapshot();
    if (step.kind === "wait") clock.freeze(step.ms);

    if (step.kind === "admit") {
      const now = clock.now();
      const permit = tryAdmit(breaker);
      const mayProbe = before.state === "open" ? now >= openUntil : timely(now) < rules.maxProbes;
      assertEquals(permit !== undefined, before.state === "closed" || mayProbe, "admitted exactly when it may be");
      if (permit) {
        const after = breaker.snapshot();
        assert(after.state !== "open");
        if (after.state !== before.state) begin();
        current.push({ permit, state: after.state, at: now });
      }
    }

    if (step.kind === "settle" && current.length + stale.length > 0) {
      const all = [...current, ...stale];
      const call = all[step.nth % all.length] as UnderWay;
      const wasCurrent = current.includes(call);
      current = current.filter((other) => other !== call);
      stale = stale.filter((other) => other !== call);
      breaker.settle(call.permit, step.outcome);
      const after = breaker.snapshot();
      if (!wasCurrent || step.outcome === "ignored") {
        assertEquals(after.state, before.state);
      } else if (call.state === "closed") {
        const { must, may } = opening.add(step.outcome === "failed", clock.now());
        if (must) assertEquals(after.state, "open");
        if (!may) assertEquals(after.state, "closed");
      } else if (step.outcome === "failed") {
        assertEquals(after.state, "open");
      } else {
        assertEquals(after.state, ++successes >= rules.successesToClose ? "closed" : "half-open");
      }
      if (after.state === "open" && before.state !== "open") {
        assert(after.retryAfterMs !== undefined && after.retryAfterMs >= rules.openMs);
        assert(after.retryAfterMs <= rules.openMs * 1.5);
        openUntil = clock.now() + after.retryAfterMs;
      }
      if (after.state !== before.state) begin();
    }

    const now = breaker.snapshot();
    if (now.state === "half-open") {
      assertEquals(now.probes, current.length);
      assert(timely(clock.now()) <= rules.maxProbes, "more probes than allowed");
    }
  }

  // Whatever happened: once the target responds, calls are sent again.
  clock.freeze(Math.max(rules.openMs * 1.5, rules.probeTimeoutMs));
  for (let i = 0; i < rules.successesToClose; i++) {
    const permit = tryAdmit(breaker);
    assert(permit, "still rejects");
    breaker.settle(permit, "succeeded");
  }
  assertEquals(breaker.snapshot(), { state: "closed" });
  assertEquals(clock.timers, 0);
}

function tryAdmit(breaker: CircuitBreaker): CircuitPermit | undefined {
  try {
    return breaker.admit();
  } catch (error) {
    assert(error instanceof CircuitOpenError);
    assert(error.retryAfterMs !== undefined && error.retryAfterMs > 0);
    return undefined;
  }
}
