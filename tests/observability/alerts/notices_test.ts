import { assertEquals, assertRejects } from "@std/assert";
import {
  type AlertChange,
  type AlertEvent,
  AlertNotifier,
  type AlertState,
  type FleetSample,
} from "../../../shared/observability/alerts/mod.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";

const NOW = 1_700_000_000_000;

/** A store in memory, its webhook, and the isolates that evaluate. */
class Rig {
  nowMs = NOW;
  alerts: AlertState[] = [];
  samples: FleetSample[] = [];
  readonly sent: AlertEvent[] = [];
  readonly lines: string[] = [];
  readonly changes: AlertChange[] = [];
  /** Sends an alert to the webhook. */
  send = (alert: AlertEvent): Promise<void> => Promise.resolve(void this.sent.push(alert));

  readonly changeAlerts = (changes: readonly AlertChange[]) => {
    this.changes.push(...changes);
    return Promise.resolve(changes.flatMap((change) => {
      const { rule, function: name, raised, value, misses } = change;
      const former = this.alerts.find((alert) => alert.rule === rule && alert.function === name);
      if ((former?.sinceMs ?? 0) !== change.previousSinceMs) return [];
      if (change.notice === "sending" && former?.noticeMs !== change.previousNoticeMs) return [];
      this.alerts = this.alerts.filter((alert) => alert !== former);
      if (change.notice && former) {
        this.alerts.push({ ...former, noticeMs: change.notice === "sent" ? 0 : this.nowMs });
        return [{ ...change, sinceMs: former.sinceMs }];
      }
      const turns = raised !== former?.raised;
      const sinceMs = turns ? this.nowMs : former.sinceMs;
      const noticeMs = turns ? this.nowMs : former.noticeMs ?? 0;
      this.alerts.push({ rule, function: name, raised, value, misses, sinceMs, noticeMs });
      return [{ ...change, sinceMs }];
    }));
  };

  /** Evaluates as another isolate does `ms` later. */
  async evaluate(ms = 0, hasWebhook = true): Promise<void> {
    this.nowMs += ms;
    const notifier = new AlertNotifier({
      store: this,
      webhook: hasWebhook ? { send: (alert) => this.send(alert) } : undefined,
      log: (_level, event) => this.lines.push(event),
    });
    const { nowMs, samples, alerts } = this;
    const evaluated = notifier.evaluate({ nowMs, samples, alerts });
    // Of an isolate that was killed, nothing is awaited.
    await Promise.race([evaluated, settle()]);
  }

  /** Adds a request that waited too long, now. */
  overload(acquisitionMs = 7_000): void {
    const rest = { waiting: 0, active: 0, limit: 9, calls: 1, errors: 0 };
    this.samples.push({ atMs: this.nowMs, function: "budgets", acquisitionMs, ...rest });
  }
}

const kinds = (alerts: readonly AlertEvent[]) => alerts.map(({ kind, atMs }) => [kind, atMs - NOW]);

Deno.test("AlertNotifier notes that the webhook got an alert, and sends it once", async () => {
  const rig = new Rig();
  rig.overload();
  await rig.evaluate();
  assertEquals([kinds(rig.sent), rig.alerts[0]?.noticeMs], [[["raised", 0]], 0]);
  for (let n = 0; n < 10; n++) {
    rig.overload();
    await rig.evaluate(30_000);
  }
  assertEquals(rig.sent.length, 1);
});

Deno.test("AlertNotifier sends what an isolate that was killed did not, once, with the same instant", async () => {
  const rig = new Rig();
  const { send } = rig;
  rig.overload();
  rig.send = () => new Promise(() => {});
  await rig.evaluate();
  rig.send = send;
  rig.overload();
  await rig.evaluate(59_000);
  assertEquals(rig.sent, [], "the isolate may still be at it");
  await Promise.all([rig.evaluate(2_000), rig.evaluate(), rig.evaluate()]);
  assertEquals(kinds(rig.sent), [["raised", 0]], "several isolates sent it");
  assertEquals([rig.alerts[0]?.noticeMs, rig.lines], [0, ["alert_raised"]]);
});

Deno.test("AlertNotifier sends an alert again while the webhook is down, for an hour, and not if it rejects it", async () => {
  const rig = new Rig();
  let attempts = 0;
  let retry = "transient";
  rig.send = () => {
    attempts++;
    return Promise.reject(Object.assign(new Error("it responded 503"), { retry }));
  };
  rig.overload();
  await rig.evaluate();
  for (let n = 0; n < 100; n++) {
    rig.nowMs += 61_000;
    rig.overload();
    await rig.evaluate();
  }
  assertEquals(attempts, 60);

  const rejecting = new Rig();
  rejecting.send = rig.send;
  retry = "permanent";
  attempts = 0;
  rejecting.overload();
  await rejecting.evaluate();
  await rejecting.evaluate(120_000);
  assertEquals([attempts, rejecting.alerts[0]?.noticeMs], [1, 0]);
});

Deno.test("AlertNotifier leaves notices to the isolates that have a webhook", async () => {
  const rig = new Rig();
  rig.overload();
  await rig.evaluate(0, false);
  await rig.evaluate(90_000, false);
  assertEquals([rig.sent, rig.changes.some(({ notice }) => notice !== undefined)], [[], false]);
  await rig.evaluate(0);
  assertEquals(kinds(rig.sent), [["raised", 0]]);
});

Deno.test("AlertNotifier sends a notice after the clock was set back, and none of a state that turns", async () => {
  const rig = new Rig();
  rig.overload();
  await rig.evaluate(0, false);
  await rig.evaluate(-600_000);
  assertEquals(rig.sent.length, 1);

  const turning = new Rig();
  turning.overload();
  await turning.evaluate(0, false);
  turning.alerts = turning.alerts.map((alert) => ({ ...alert, misses: 7 }));
  await turning.evaluate(300_000);
  assertEquals(kinds(turning.sent), [["cleared", 300_000]]);
});

Deno.test("AlertNotifier gives up on a store that does not reply within 3 s", async () => {
  const clock = new FakeClock();
  let signal: AbortSignal | undefined;
  const store = {
    changeAlerts: (_changes: readonly AlertChange[], given?: AbortSignal) => {
      signal = given;
      return new Promise<never>(() => {});
    },
  };
  const rig = new Rig();
  rig.overload();
  const rejected = assertRejects(
    () => new AlertNotifier({ store, clock }).evaluate({ nowMs: NOW, samples: rig.samples, alerts: [] }),
    Error,
    "it did not reply within 3000 ms",
  );
  await clock.advance(3_000);
  await rejected;
  assertEquals(signal?.aborted, true);
});

Deno.test("AlertNotifier ignores a rule of another version", async () => {
  const rig = new Rig();
  const alert = { rule: "tomorrow", function: "budgets", raised: true, sinceMs: NOW, value: 1, misses: 0 };
  rig.alerts = [{ ...alert, noticeMs: NOW - 90_000 } as never];
  await rig.evaluate();
  assertEquals(rig.sent, []);
});
