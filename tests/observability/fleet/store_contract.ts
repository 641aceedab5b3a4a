/**
 * The behavior that every store of the fleet has.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { AlertNotifier } from "../../../shared/observability/alerts/mod.ts";
import { FleetStoreError } from "../../../shared/observability/fleet/mod.ts";
import type {
  AlertChange,
  AlertEvaluation,
  AppliedChange,
  FleetIsolate,
  FleetStore,
} from "../../../shared/observability/mod.ts";
import { reportOf, statsOf } from "./reports.ts";

/** A store under test, with the means to change what it has kept. */
export interface StoreUnderTest {
  readonly store: FleetStore;
  /** Empties the store. */
  clear(): Promise<void>;
  /** Sets the time since the latest report of an isolate, in ms. Negative: as after the clock was set back. */
  age(isolate: string, ageMs: number): Promise<void>;
  /** Ends the pause of 15 s until the next evaluation. */
  endPause(): Promise<void>;
  /** Adds a sample of a function that is `ms` later than now, as after the clock was set back. */
  addLaterSample(ms: number): Promise<void>;
}

const RAISE: AlertChange = {
  rule: "waiting_requests",
  function: "budgets",
  raised: true,
  value: 12,
  misses: 0,
  previousSinceMs: 0,
};

/** Changes as they were sent. */
const sent = (applied: readonly AppliedChange[]): AlertChange[] => applied.map(({ sinceMs: _, ...change }) => change);

const ids = (isolates: readonly FleetIsolate[]) => isolates.map(({ isolate }) => isolate).sort();

async function evaluationOf(test: StoreUnderTest, isolate: string): Promise<AlertEvaluation> {
  await test.endPause();
  const { evaluation } = await test.store.report(reportOf(isolate));
  assert(evaluation, "it was not the turn of the isolate");
  return evaluation;
}

/** Runs the tests of a store as steps of `t`. */
export async function testStore(t: Deno.TestContext, test: StoreUnderTest): Promise<void> {
  const { store } = test;
  const step = (name: string, fn: () => Promise<void>) =>
    t.step(name, async () => {
      await test.clear();
      await fn();
    });

  await step("keeps the latest report of each isolate and returns it as it was", async () => {
    const metrics = { note: "é and 'quotes'", buckets: [1, 2] };
    await store.report(reportOf("a", { stats: statsOf({ activeConnections: 9 }) }));
    await store.report(reportOf("a", { metrics }));
    await store.report(reportOf("b", { function: "transfers", region: "eu-central-1" }));
    const full = await store.read("full");
    assertEquals(ids(full.isolates), ["a", "b"]);
    const { ageMs, ...report } = full.isolates.find(({ isolate }) => isolate === "a") ?? assert(false) as never;
    assertEquals(report, reportOf("a", { metrics }));
    assert(ageMs >= 0 && ageMs < 30_000);
    assertEquals([full.version, full.missing], [1, []]);
    assert(full.nowMs > 1_700_000_000_000);

    const totals = await store.read("totals");
    const [first] = totals.isolates;
    assertEquals([first?.metrics, first?.slowRequests, first?.errors], [undefined, [], { ACQUIRE_TIMEOUT: 1 }]);
    assertEquals([totals.samples, totals.alerts], [[], []]);
  });

  await step("drops an isolate that stopped reporting, and one from the future", async () => {
    for (const isolate of ["fresh", "late", "silent", "future"]) await store.report(reportOf(isolate));
    await test.age("late", 20_000);
    await test.age("silent", 30_500);
    await test.age("future", -60_000);
    assertEquals(ids((await store.read("totals")).isolates), ["fresh", "late"]);
    // What a killed isolate has sent may arrive later, and a state is reused for a second: all within 30 s.
    await test.age("late", 28_500);
    assertEquals(ids((await store.read("totals")).isolates), ["fresh"]);
    await test.age("late", 30_500);
    await store.report(reportOf("fresh"));
    await test.age("silent", 0);
    assertEquals(ids((await store.read("totals")).isolates), ["fresh"], "the row was only hidden");
  });

  await step("removes an isolate that ends", async () => {
    await store.report(reportOf("a"));
    await store.report(reportOf("b"));
    await store.remove("a");
    await store.remove("unknown");
    assertEquals(ids((await store.read("totals")).isolates), ["b"]);
  });

  await step("takes 500 isolates, and refuses one more until another is dropped", async () => {
    const all = Array.from({ length: 500 }, (_, n) => `i${n}`);
    for (let at = 0; at < 500; at += 50) {
      await Promise.all(all.slice(at, at + 50).map((id) => store.report(reportOf(id))));
    }
    const full = await assertRejects(() => store.report(reportOf("late")), FleetStoreError);
    assertEquals(full.failure, "full");
    await store.report(reportOf("i7"));
    await test.age("i0", 31_000);
    assertEquals((await store.read("totals")).missing, []);
    await store.report(reportOf("late"));
    const { isolates, missing } = await store.read("totals");
    const note = "isolates, perhaps: the store is full with 500, and refuses the reports of others";
    assertEquals([isolates.length, missing], [500, [note]]);
  });

  await step("refuses a report that is too long", async () => {
    const metrics = "x".repeat(70_000);
    const error = await assertRejects(() => store.report(reportOf("a", { metrics })), FleetStoreError);
    assertEquals(error.failure, "refused");
    assertEquals((await store.read("totals")).isolates, []);
  });

  await step("leaves out the metrics beyond 2 MB, and says so", async () => {
    const metrics = "x".repeat(60_000);
    for (let n = 0; n < 40; n++) await store.report(reportOf(`i${n}`, { metrics }));
    const { isolates, missing } = await store.read("full");
    const shown = isolates.filter((isolate) => isolate.metrics !== undefined).length;
    assert(shown >= 30 && shown < 40, `${shown}`);
    assertEquals(isolates.length, 40);
    assertEquals(missing, [`metrics or slow requests of ${40 - shown} isolate(s): the reports are too long`]);
  });

  await step("survives a report of another version", async () => {
    const odd = { ...reportOf("odd"), version: 9, stats: "none", interval: null, slowRequests: 7, circuits: [1] };
    await store.report(reportOf("a"));
    await store.report(odd as never).catch((error) => assert(error instanceof TypeError, `${error}`));
    assert(ids((await store.read("full")).isolates).includes("a"));
  });

  await step("passes samples to one isolate in 15 s", async () => {
    const stats = statsOf({ activeConnections: 4, waitingForConnection: 6 });
    const first = await store.report(reportOf("a", { stats }));
    assert(first.evaluation);
    const replies = await Promise.all(["b", "c", "d"].map((id) => store.report(reportOf(id, { stats }))));
    assertEquals(replies.map(({ evaluation }) => evaluation), [undefined, undefined, undefined]);
    await test.endPause();
    const turns = await Promise.all(["a", "b", "c", "d"].map((id) => store.report(reportOf(id, { stats }))));
    const evaluations = turns.flatMap(({ evaluation }) => evaluation ?? []);
    assertEquals(evaluations.length, 1);
    const { samples } = await store.read("full");
    const latest = samples.at(-1) ?? assert(false) as never;
    assertEquals(
      [latest.function, latest.waiting, latest.active, latest.limit, latest.acquisitionMs],
      ["budgets", 24, 16, 40, 7],
    );
    const sum = (name: "calls" | "errors") => samples.reduce((total, sample) => total + sample[name], 0);
    assertEquals([sum("calls"), sum("errors")], [24, 8]);
    assertEquals(latest.atMs % 15_000, 0);
  });

  await step("forgets its history when the clock was set back, so that no sample of then is one of now", async () => {
    await store.report(reportOf("a"));
    await test.addLaterSample(12_000);
    await store.report(reportOf("a"));
    assert((await store.read("full")).samples.length > 1, "a small step is no jump");
    await test.addLaterSample(600_000);
    const interval = { calls: 1, errors: 0, maxWaitMs: 0 };
    const { samples, nowMs } = await evaluationOf(test, "b").then(() => store.read("full"));
    assert(samples.every(({ atMs }) => atMs <= nowMs), "a sample of the future");
    assertEquals(samples.map(({ calls }) => calls), [3]);
    await store.report(reportOf("b", { interval }));
    const { samples: [latest] } = await store.read("full");
    assert(latest && latest.calls >= 1);
  });

  await step("keeps working after reports with numbers of any size", async () => {
    for (const number of [Number.MAX_VALUE, 5e-324, -1, 1e21, NaN, Infinity, "7", null]) {
      const interval = { calls: number, errors: number, maxWaitMs: number };
      const stats = { ...statsOf(), waitingForConnection: number, activeConnections: number, limit: number };
      const odd = { interval, stats, startedAtMs: number, retries: number } as never;
      for (const isolate of ["odd", "other", "odd"]) await store.report(reportOf(isolate, odd));
    }
    await store.report(reportOf("a"));
    const { isolates, samples } = await store.read("full");
    assertEquals(ids(isolates), ["a", "odd", "other"]);
    for (const { calls, waiting, limit } of samples) assert([calls, waiting, limit].every(Number.isFinite));
  });

  await step("applies a change of an alert from one isolate only", async () => {
    const raised = await Promise.all([1, 2, 3, 4].map(() => store.changeAlerts([RAISE])));
    assertEquals(sent(raised.flat()), [RAISE]);
    const { alerts: [alert] } = await evaluationOf(test, "a");
    assert(alert);
    assertEquals([alert.rule, alert.function, alert.raised, alert.value], ["waiting_requests", "budgets", true, 12]);
    assertEquals(raised.flat()[0]?.sinceMs, alert.sinceMs);

    const miss = { ...RAISE, misses: 1, previousSinceMs: alert.sinceMs };
    assertEquals(sent(await store.changeAlerts([miss])), [miss]);
    const clear = { ...miss, raised: false, misses: 0 };
    const cleared = await Promise.all([1, 2, 3].map(() => store.changeAlerts([clear])));
    assertEquals(sent(cleared.flat()), [clear]);
    const { alerts } = await store.read("full");
    assertEquals(alerts.map(({ raised }) => raised), [false]);
    assert((alerts[0]?.sinceMs ?? 0) > alert.sinceMs);
    assertEquals(await store.changeAlerts([RAISE]), [], "the state is another one");
    const again = { ...RAISE, previousSinceMs: alerts[0]?.sinceMs ?? 0 };
    assertEquals(sent(await store.changeAlerts([again])), [again]);
  });

  await step("lets isolates that evaluate at once raise an alert once, and clear it once", async () => {
    const events: string[] = [];
    const isolates = Array.from({ length: 3 }, () => {
      return new AlertNotifier({ store, onAlert: ({ kind, rule }) => events.push(`${kind} ${rule}`) });
    });
    const sample = { function: "budgets", waiting: 0, active: 0, limit: 9, acquisitionMs: 0, calls: 1, errors: 0 };
    const evaluate = async (acquisitionMs: number) => {
      const { nowMs, alerts } = await store.read("full");
      const evaluation = { nowMs, alerts, samples: [{ ...sample, atMs: nowMs, acquisitionMs }] };
      await Promise.all(isolates.map((isolate) => isolate.evaluate(evaluation)));
    };
    await evaluate(9_000);
    assertEquals(events, ["raised acquisition_time"]);
    await evaluate(9_000);
    for (let n = 0; n < 12 && events.length < 2; n++) await evaluate(0);
    await evaluate(0);
    assertEquals(events, ["raised acquisition_time", "cleared acquisition_time"]);
  });

  await step("lets one isolate at a time send a notice, and keeps the alert as it is", async () => {
    const stateOf = async () => (await store.read("full")).alerts[0] ?? assert(false) as never;
    const [raised] = await store.changeAlerts([RAISE]);
    const first = await stateOf();
    assert(raised && first.noticeMs && first.noticeMs > 1_700_000_000_000, "a new alert has a notice to send");
    const notice = { ...RAISE, misses: 9, value: 1, previousSinceMs: first.sinceMs };
    const begin = { ...notice, notice: "sending", previousNoticeMs: first.noticeMs } as const;
    const stale = { ...begin, previousNoticeMs: first.noticeMs - 5 };
    assertEquals(await store.changeAlerts([stale]), []);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const begun = await Promise.all([1, 2, 3].map(() => store.changeAlerts([begin])));
    assertEquals(begun.flat(), [{ ...begin, sinceMs: first.sinceMs }]);
    const taken = await stateOf();
    assert((taken.noticeMs ?? 0) > first.noticeMs);
    assertEquals({ ...taken, noticeMs: 0 }, { ...first, noticeMs: 0 });

    const end = { ...notice, notice: "sent" } as const;
    assertEquals(sent(await store.changeAlerts([end])), [end]);
    assertEquals(await stateOf(), { ...first, noticeMs: 0 });
    const miss = { ...RAISE, misses: 1, previousSinceMs: first.sinceMs };
    await store.changeAlerts([miss]);
    assertEquals((await stateOf()).noticeMs, 0, "a miss is no news");
    await store.changeAlerts([{ ...miss, raised: false, misses: 0 }]);
    const cleared = await stateOf();
    assert((cleared.noticeMs ?? 0) > 0, "a cleared alert has a notice to send");
    assertEquals(await store.changeAlerts([end]), [], "the notice of another state");
  });
}
