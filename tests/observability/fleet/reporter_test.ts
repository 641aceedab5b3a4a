import { assert, assertEquals } from "@std/assert";
import {
  FleetReporter,
  type FleetReporterOptions,
  FleetStoreError,
  type ObservedRequest,
} from "../../../shared/observability/fleet/mod.ts";
import type { FleetReply, FleetReport, FleetStore } from "../../../shared/observability/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { reportOf, statsOf } from "./reports.ts";

const IDENTITY = { isolate: "i-1", function: "budgets", region: "local", startedAtMs: 7 };

const OK: ObservedRequest = { status: 200, waitMs: 3 };

/** A store that keeps what it is given. */
class FakeStore implements FleetStore {
  readonly kind = "postgres";
  readonly clock: FakeClock;
  readonly reports: FleetReport[] = [];
  readonly times: number[] = [];
  readonly removed: string[] = [];
  signal: AbortSignal | undefined = undefined;
  /** Replies to a report. */
  reply: () => Promise<FleetReply> = () => Promise.resolve({ version: 1 });

  constructor(clock: FakeClock) {
    this.clock = clock;
  }

  report(report: FleetReport, signal?: AbortSignal): Promise<FleetReply> {
    this.signal = signal;
    this.reports.push(report);
    this.times.push(this.clock.now());
    return this.reply();
  }

  remove(isolate: string): Promise<void> {
    this.removed.push(isolate);
    return Promise.resolve();
  }

  read(): Promise<never> {
    throw new Error("a reporter does not read");
  }

  changeAlerts(): Promise<never> {
    throw new Error("a reporter changes no alert");
  }
}

function rig(options: Partial<FleetReporterOptions> = {}) {
  const clock = new FakeClock();
  const store = new FakeStore(clock);
  const kept: Promise<void>[] = [];
  const lines: string[] = [];
  const reporter = new FleetReporter({
    store,
    identity: IDENTITY,
    clock,
    keepAlive: (promise) => void kept.push(promise),
    log: (level, event, data) => void lines.push(`${level} ${event} ${data.reason ?? ""}`.trim()),
    ...options,
  });
  reporter.watch({ getStats: () => statsOf(), circuits: { snapshot: () => ({ rest: { state: "closed" } }) } });
  return { clock, store, kept, lines, reporter };
}

Deno.test("FleetReporter goes on although its log and its runtime throw", async () => {
  const fault = () => {
    throw new Error("a log");
  };
  const { clock, store, reporter } = rig({ log: fault, keepAlive: fault });
  store.reply = () => Promise.reject(new Error("down"));
  reporter.requestEnded(OK);
  await clock.advance(0);
  store.reply = () => Promise.resolve({ version: 1 });
  await clock.advance(10_000);
  assertEquals(store.reports.length, 2);
  store.reply = () => Promise.reject(new FleetStoreError("missing", "no migration"));
  await clock.advance(10_000);
  assertEquals([store.reports.length, clock.timers], [3, 0]);
  let recorders = 0;
  const record = () => {
    recorders++;
    return { [Symbol.dispose]() {} };
  };
  reporter.watch({ getStats: () => statsOf(), record });
  assertEquals(recorders, 0, "the leases of an isolate that does not report are recorded");
  await reporter.close();
});

Deno.test("FleetReporter reports after the first request, and then at most once in 5 s", async () => {
  const { clock, store, kept, reporter } = rig();
  reporter.requestEnded(OK);
  assertEquals(store.reports.length, 0, "the response waited for the report");
  await clock.advance(0);
  assertEquals(store.reports.length, 1, "the report was not sent at once");
  for (let n = 0; n < 300; n++) {
    reporter.requestEnded(OK);
    await clock.advance(100);
  }
  const gaps = store.times.slice(1).map((time, n) => time - (store.times[n] ?? 0));
  assertEquals(gaps, gaps.map(() => 5_000));
  assertEquals(store.reports.length, 7);
  assertEquals(store.reports.map(({ interval }) => interval.calls), [1, 50, 50, 50, 50, 50, 50]);
  assertEquals(kept.length, 7, "the isolate is kept once for each report");
  await clock.advance(5_000);
  await Promise.all(kept);
});

Deno.test("FleetReporter reports the end of a burst, and then every 10 s without keeping the isolate", async () => {
  const { clock, store, kept, reporter } = rig();
  reporter.requestEnded(OK);
  await clock.advance(0);
  reporter.requestEnded(OK);
  await clock.advance(5_000);
  assertEquals(store.reports.map(({ interval }) => interval.calls), [1, 1]);
  await clock.advance(30_000);
  assertEquals(store.reports.length, 5);
  assertEquals(kept.length, 2);
});

Deno.test("FleetReporter reports statistics, circuits, errors by code, slow requests and metrics", async () => {
  const slow = reportOf("a").slowRequests;
  const { clock, store, reporter } = rig({ metrics: () => ({ m: 1 }), slowRequests: () => slow });
  let disposals = 0;
  reporter.watch({
    getStats: () => statsOf({ activeConnections: 5, limit: 3 }),
    retryBudget: { totalRetries: 4 },
    record: (recorder) => {
      recorder.waitTime(7);
      recorder.useTime(40_000);
      return { [Symbol.dispose]: () => disposals++ };
    },
  });
  reporter.watch({
    getStats: () => {
      throw new Error("closed");
    },
  });
  reporter.requestEnded({ status: 503, code: "ACQUIRE_TIMEOUT", waitMs: 900 });
  await clock.advance(0);
  const [report] = store.reports;
  assert(report);
  assertEquals([report.isolate, report.function, report.region, report.startedAtMs], ["i-1", "budgets", "local", 7]);
  assertEquals([report.stats.activeConnections, report.stats.limit, report.stats.totalConnections], [5, 13, 4]);
  assertEquals(report.interval, { calls: 1, errors: 1, maxWaitMs: 900 });
  assertEquals([report.errors, report.retries, report.metrics], [{ ACQUIRE_TIMEOUT: 1 }, 4, { m: 1 }]);
  assertEquals(report.circuits, { rest: { state: "closed" } });
  assertEquals(report.slowRequests, slow);
  assertEquals([report.wait?.counts[3], report.wait?.maxMs], [1, 7]);
  assertEquals([report.use?.counts.at(-1), report.use?.maxMs], [1, 40_000]);
  await reporter.close();
  assertEquals(disposals, 1);
});

Deno.test("FleetReporter counts 50 codes apart, with names that are safe as labels", async () => {
  const { clock, store, reporter } = rig();
  for (let n = 0; n < 70; n++) reporter.requestEnded({ ...OK, status: 500, code: `C${n}\n"` });
  reporter.requestEnded({ ...OK, status: 502 });
  await clock.advance(5_000);
  const { errors = {} } = store.reports.at(-1) ?? {};
  assertEquals([Object.keys(errors).length, errors["C0__"], errors.OTHER], [51, 1, 21]);
});

Deno.test("FleetReporter asks a failing store more and more seldom, loses no count, and logs it once", async () => {
  const { clock, store, lines, reporter } = rig();
  store.reply = () => Promise.reject(new FleetStoreError("unavailable", "it is down"));
  reporter.requestEnded(OK);
  for (let n = 0; n < 40; n++) {
    await clock.advance(5_000);
    reporter.requestEnded(OK);
  }
  const gaps = store.times.slice(1).map((time, n) => time - (store.times[n] ?? 0));
  assertEquals(gaps, [10_000, 20_000, 40_000, 60_000, 60_000]);
  assertEquals(lines, ["warn fleet_unavailable it is down"]);
  store.reply = () => Promise.resolve({ version: 1 });
  await clock.advance(60_000);
  assertEquals(lines.slice(1), ["info fleet_recovered"]);
  assertEquals(store.reports.at(6)?.interval.calls, 41);
});

Deno.test("FleetReporter without the migration says so once and stops", async () => {
  const { clock, store, lines, kept, reporter } = rig();
  store.reply = () => Promise.reject(new FleetStoreError("missing", "the function does not exist"));
  for (let n = 0; n < 20; n++) {
    reporter.requestEnded(OK);
    await clock.advance(5_000);
  }
  assertEquals([store.reports.length, clock.timers], [1, 0]);
  assertEquals(lines, ["info fleet_missing the function does not exist"]);
  await Promise.all(kept);
  await reporter.close();
  assertEquals(store.removed, []);
});

Deno.test("FleetReporter gives up on a store that does not reply within 3 s, and aborts the call", async () => {
  const { clock, store, lines, kept, reporter } = rig();
  store.reply = () => new Promise(() => {});
  reporter.requestEnded(OK);
  await clock.advance(2_999);
  assertEquals(store.signal?.aborted, false);
  await clock.advance(1);
  assertEquals([store.signal?.aborted, lines], [true, ["warn fleet_unavailable it did not reply within 3000 ms"]]);
  await Promise.all(kept);
});

Deno.test("FleetReporter removes its isolate when it is closed, aborts the report under way, and leaves no timer", async () => {
  const { clock, store, kept, lines, reporter } = rig();
  store.reply = () => new Promise(() => {});
  reporter.requestEnded(OK);
  await clock.advance(0);
  reporter.requestEnded(OK);
  await Promise.all([reporter.close(), reporter.close()]);
  await Promise.all(kept);
  assertEquals([store.removed, store.signal?.aborted, clock.timers, lines], [["i-1"], true, 0, []]);
  reporter.requestEnded(OK);
  await clock.advance(20_000);
  assertEquals(store.reports.length, 1);
});

Deno.test("FleetReporter that has never reported removes nothing", async () => {
  const { store, reporter } = rig();
  await reporter.close();
  assertEquals(store.removed, []);
});

/** Returns the first report with these metrics, as the store gets it. */
async function firstReport(options: Partial<FleetReporterOptions>): Promise<FleetReport | undefined> {
  const { clock, store, reporter } = rig(options);
  reporter.requestEnded(OK);
  await clock.advance(0);
  await reporter.close();
  return store.reports[0];
}

Deno.test("FleetReporter leaves out slow requests and then metrics of a report that is too long, or cannot be written", async () => {
  const [slow] = reportOf("a").slowRequests;
  const slowRequests = () => Array(20).fill(slow);
  const full = await firstReport({ metrics: () => "x".repeat(30_000), slowRequests });
  assertEquals([full?.omitted, full?.slowRequests], [["slowRequests"], []]);
  assert(full?.metrics);
  // Characters of three bytes: the store counts bytes.
  const endless: Record<string, unknown> = {};
  endless.self = endless;
  for (const metrics of ["x".repeat(40_000), "\u20ac".repeat(11_000), 7n, endless]) {
    const long = await firstReport({ metrics: () => metrics, slowRequests });
    assertEquals([long?.omitted, long?.metrics], [["slowRequests", "metrics"], undefined]);
  }
});

Deno.test("FleetReporter reports 64 circuits at most, and no closed one in place of an open one", async () => {
  const closed = Array.from({ length: 5_000 }, (_, n) => [`t${n}`, { state: "closed" }] as const);
  const open = Array.from({ length: 9 }, (_, n) => [`o${n}`, { state: "open" }] as const);
  const { clock, store, reporter } = rig();
  reporter.watch({ getStats: () => statsOf(), circuits: { snapshot: () => Object.fromEntries([...closed, ...open]) } });
  reporter.requestEnded(OK);
  await clock.advance(0);
  const circuits = Object.values(store.reports[0]?.circuits ?? {});
  assertEquals([circuits.length, circuits.filter(({ state }) => state === "open").length], [64, 9]);
  await reporter.close();
});

Deno.test("FleetReporter reports a pool that is watched twice once, and what happens during a slow report with the next", async () => {
  const { clock, store, reporter } = rig();
  let recordings = 0;
  const pool = { getStats: () => statsOf(), record: () => ({ [Symbol.dispose]: () => recordings++ }) };
  reporter.watch(pool);
  reporter.watch(pool);
  const { promise, resolve } = Promise.withResolvers<FleetReply>();
  store.reply = () => promise;
  reporter.requestEnded(OK);
  await clock.advance(0);
  for (let n = 0; n < 5; n++) reporter.requestEnded(OK);
  await clock.advance(2_000);
  resolve({ version: 1 });
  await clock.advance(3_000);
  assertEquals(store.reports.map(({ interval }) => interval.calls), [1, 5]);
  assertEquals(store.reports[0]?.stats.totalConnections, 4);
  await reporter.close();
  assertEquals(recordings, 1);
});

Deno.test("FleetReporter keeps no isolate for a store that fails", async () => {
  const { clock, store, kept, reporter } = rig();
  store.reply = () => Promise.reject(new FleetStoreError("unavailable", "it is down"));
  reporter.requestEnded(OK);
  await clock.advance(0);
  assertEquals(kept.length, 1);
  for (let n = 0; n < 10; n++) {
    reporter.requestEnded(OK);
    await clock.advance(5_000);
  }
  assertEquals(kept.length, 1);
  await Promise.all(kept);
  await reporter.close();
});

Deno.test("FleetReporter writes once in 5 s in a flood of requests, whatever its clock does", async () => {
  const { clock, store, reporter } = rig();
  for (let n = 0; n < 50; n++) {
    for (let request = 0; request < 1_000; request++) reporter.requestEnded(OK);
    // A jump, as after an isolate was frozen: timers are late.
    if (n % 10 === 9) clock.freeze(3_600_000);
    await clock.advance(100);
  }
  const gaps = store.times.slice(1).map((time, n) => time - (store.times[n] ?? 0));
  assert(store.reports.length >= 5 && gaps.every((gap) => gap >= 5_000), `${gaps}`);
  await reporter.close();
});

Deno.test("FleetReporter passes the evaluation on and survives its failure", async () => {
  const seen: number[] = [];
  const { clock, store, reporter } = rig({
    evaluate: ({ nowMs }) => {
      seen.push(nowMs);
      return Promise.reject(new Error("the webhook failed"));
    },
  });
  store.reply = () => Promise.resolve({ version: 1, evaluation: { nowMs: 5, samples: [], alerts: [] } });
  reporter.requestEnded(OK);
  await clock.advance(10_000);
  assertEquals([seen, store.reports.length], [[5, 5], 2]);
});
