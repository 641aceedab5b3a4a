import { assertEquals } from "@std/assert";
import { ALERT_RULES, evaluateAlerts, type FleetSample } from "../../../shared/observability/alerts/mod.ts";
import { History, STEP_MS } from "./history.ts";

const MINUTE = 60_000;

/** A load that meets each rule, one that does not, and the time after which it is raised. */
const CASES: readonly [rule: string, bad: Partial<FleetSample>, good: Partial<FleetSample>, forMs: number][] = [
  ["waiting_requests", { waiting: 11 }, { waiting: 10 }, 5 * MINUTE],
  ["acquisition_time", { acquisitionMs: 5_001 }, { acquisitionMs: 5_000 }, 0],
  ["error_rate", { calls: 100, errors: 6 }, { calls: 100, errors: 5 }, 15 * MINUTE],
  ["pool_utilization", { active: 10, limit: 11 }, { active: 9, limit: 10 }, 10 * MINUTE],
  ["errors", { errors: 6 }, { errors: 0 }, 0],
];

for (const [rule, bad, good, forMs] of CASES) {
  Deno.test(`evaluateAlerts() raises ${rule} once, after its time above the threshold, and not at the threshold`, () => {
    const only = (turned: string[]) => turned.filter((text) => text.endsWith(` ${rule}`));
    assertEquals(only(new History().run(30 * MINUTE, good)), []);
    const history = new History();
    assertEquals(only(history.run(forMs, bad)), []);
    assertEquals(only(history.run(MINUTE, bad)), [`raised ${rule}`]);
    assertEquals(only(history.run(30 * MINUTE, bad)), []);
  });
}

Deno.test("evaluateAlerts() knows the five rules of the specification", () => {
  assertEquals(ALERT_RULES.map(({ name, above, forMs }) => [name, above, forMs / MINUTE]), [
    ["waiting_requests", 10, 5],
    ["acquisition_time", 5_000, 0],
    ["error_rate", 0.05, 15],
    ["pool_utilization", 0.9, 10],
    ["errors", 5, 0],
  ]);
});

Deno.test("ALERT_RULES have the value 0 without a sample, and without a request or a limit", () => {
  for (const { value } of ALERT_RULES) assertEquals(value([]), 0);
  const atRest = {
    function: "budgets",
    atMs: 1,
    waiting: 0,
    active: 0,
    limit: 0,
    acquisitionMs: 0,
    calls: 0,
    errors: 0,
  };
  for (const { value } of ALERT_RULES) assertEquals(value([atRest]), 0);
});

Deno.test("evaluateAlerts() begins the time again after a sample at the threshold", () => {
  const history = new History();
  history.run(4 * MINUTE, { waiting: 50 });
  history.run(STEP_MS, { waiting: 10 });
  assertEquals(history.run(5 * MINUTE, { waiting: 50 }), []);
  assertEquals(history.run(STEP_MS, { waiting: 50 }), ["raised waiting_requests"]);
});

Deno.test("evaluateAlerts() clears an alert once, after four evaluations without its condition", () => {
  const history = new History();
  history.run(6 * MINUTE, { waiting: 11 });
  assertEquals(history.run(3 * STEP_MS, { waiting: 0 }), []);
  assertEquals(history.run(STEP_MS, { waiting: 11 }), [], "a condition that holds again begins the count again");
  assertEquals(history.run(3 * STEP_MS, { waiting: 0 }), []);
  assertEquals(history.run(STEP_MS, { waiting: 0 }), ["cleared waiting_requests"]);
  assertEquals(history.run(10 * MINUTE, { waiting: 0 }), []);
  assertEquals(history.run(6 * MINUTE, { waiting: 11 }), ["raised waiting_requests"]);
});

Deno.test("evaluateAlerts() clears the alert of a function that no longer reports", () => {
  const history = new History();
  history.run(6 * MINUTE, { waiting: 11 });
  const turned: string[] = [];
  for (let n = 0; n < 10; n++) {
    history.nowMs += STEP_MS;
    turned.push(...history.evaluate());
  }
  assertEquals(turned, ["cleared waiting_requests"]);
});

Deno.test("evaluateAlerts() neither raises nor clears when the clock of the store jumps", () => {
  for (const jumpMs of [6 * MINUTE, 20 * MINUTE, 3_600_000, -6 * MINUTE, -3_600_000]) {
    const pending = new History();
    pending.run(2 * MINUTE, { waiting: 11 });
    pending.nowMs += jumpMs;
    assertEquals(pending.run(2 * MINUTE, { waiting: 11 }), [], `raised by a jump of ${jumpMs} ms`);

    const raised = new History();
    raised.run(6 * MINUTE, { waiting: 11 });
    raised.nowMs += jumpMs;
    assertEquals(raised.evaluate(), []);
    assertEquals(raised.run(10 * MINUTE, { waiting: 11 }), [], `changed by a jump of ${jumpMs} ms`);
  }
});

Deno.test("evaluateAlerts() keeps an alert on the last five minutes raised when the clock of the store jumps", () => {
  for (const jumpMs of [6 * MINUTE, 3_600_000, -6 * MINUTE, -3_600_000]) {
    for (const load of [{ calls: 5, errors: 1 }, { calls: 100, errors: 6 }]) {
      const history = new History();
      history.run(25 * MINUTE, load);
      history.nowMs += jumpMs;
      // Of the first minute after the jump, nothing has failed yet.
      const turned = [...history.run(MINUTE, { ...load, errors: 0 }), ...history.run(20 * MINUTE, load)];
      assertEquals(turned, [], `changed by a jump of ${jumpMs} ms`);
    }
  }
});

Deno.test("evaluateAlerts() does not raise an alert again that was cleared when the clock of the store is set back", () => {
  for (const [rule, bad, good] of CASES) {
    const history = new History();
    assertEquals(history.run(20 * MINUTE, bad).at(-1), `raised ${rule}`);
    assertEquals(history.run(15 * MINUTE, good).at(-1), `cleared ${rule}`);
    for (const jumpMs of [-16 * MINUTE, -20 * MINUTE]) {
      history.nowMs += jumpMs;
      assertEquals([...history.evaluate(), ...history.run(2 * MINUTE, good)], [], `raised by a jump of ${jumpMs} ms`);
    }
  }
});

Deno.test("evaluateAlerts() finds a wait that was added to its sample after that was evaluated", () => {
  const rest = { function: "budgets", waiting: 0, active: 0, limit: 9, calls: 1, errors: 0 };
  // Reports every 5 s: the evaluations at 5 and 20 s both miss the sample of 0 s as it was at 10 s.
  const atMs = 1_700_000_010_000;
  for (const laterMs of [15_000, 30_000, 45_000]) {
    const samples = [{ ...rest, atMs, acquisitionMs: 7_000 }, { ...rest, atMs: atMs + laterMs, acquisitionMs: 3 }];
    const changes = evaluateAlerts({ nowMs: atMs + laterMs + 5_000, samples, alerts: [] });
    assertEquals(changes.map(({ rule, value }) => [rule, value]), [["acquisition_time", 7_000]]);
  }
});

Deno.test("evaluateAlerts() clears an alert on the last five minutes five minutes after its value is back", () => {
  const history = new History();
  history.run(MINUTE, { errors: 6 });
  assertEquals(history.run(10 * MINUTE, { errors: 0 }), []);
  assertEquals(history.run(2 * MINUTE, { errors: 0 }), ["cleared errors"]);
});

Deno.test("evaluateAlerts() ignores a sample that is later than now, as after the clock was set back", () => {
  const history = new History();
  const rest = { function: "budgets", waiting: 0, active: 0, limit: 9, calls: 1, errors: 9 };
  const future = { ...rest, atMs: history.nowMs + 10_000, acquisitionMs: 9_000 };
  assertEquals(evaluateAlerts({ nowMs: history.nowMs, samples: [future], alerts: [] }), []);
  assertEquals(evaluateAlerts({ nowMs: future.atMs, samples: [future], alerts: [] }).length, 2);
});

Deno.test("evaluateAlerts() needs samples without a gap above 60 s", () => {
  const history = new History();
  history.run(3 * MINUTE, { waiting: 11 });
  history.nowMs += 50_000;
  history.run(STEP_MS, { waiting: 11 });
  history.nowMs += 90_000;
  assertEquals(history.run(4 * MINUTE, { waiting: 11 }), []);
  assertEquals(history.run(2 * MINUTE, { waiting: 11 }), ["raised waiting_requests"]);
});

Deno.test("evaluateAlerts() reads the latest 200 samples of a function, however many a store returns", () => {
  const lengths: number[] = [];
  const rule = {
    name: "errors",
    above: 5,
    forMs: 30 * MINUTE,
    summary: "s",
    windowMs: 60 * MINUTE,
    value: (recent: readonly FleetSample[]) => {
      lengths.push(recent.length);
      return 9;
    },
  } as const;
  const rest = { function: "budgets", waiting: 0, active: 0, limit: 9, acquisitionMs: 0, calls: 0, errors: 0 };
  const samples = Array.from({ length: 5_000 }, (_, n) => ({ ...rest, atMs: 1_700_000_000_000 + n }));
  evaluateAlerts({ nowMs: 1_700_000_005_000, samples, alerts: [] }, [rule]);
  assertEquals([lengths.length, Math.max(...lengths)], [200, 200]);
});

Deno.test("evaluateAlerts() keeps functions apart", () => {
  const history = new History();
  history.run(6 * MINUTE, { waiting: 11 });
  const samples = history.samples.map((sample) => ({ ...sample, function: "transfers", waiting: 99 }));
  const changes = evaluateAlerts({ ...history, samples: [...history.samples, ...samples] });
  assertEquals(changes.map((change) => [change.function, change.rule, change.value]), [
    ["transfers", "waiting_requests", 99],
  ]);
});
