/** The counters of one pool, logged at an interval. */
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { addPrioritySource, ConnectionHealthMonitor, monitors, monitorsOf } from "../../../shared/observability/mod.ts";
import { PostgresPools } from "../../../shared/postgres/mod.ts";
import { createSystemClock } from "../../../shared/resilience/clock.ts";
import { FakeClock } from "../../support/fake_clock.ts";

/** A pool whose counters a test sets, a monitor of it, and what the monitor printed. */
function setUp() {
  const pool = { totalCount: 4, idleCount: 3, waitingCount: 0 };
  const printed: unknown[][] = [];
  const print = (level: string) => (...line: unknown[]) => void printed.push([level, ...structuredClone(line)]);
  const console = { log: print("log"), warn: print("warn"), error: print("error") };
  const clock = new FakeClock();
  const monitor = new ConnectionHealthMonitor(pool, "highPriority", { console, clock });
  return { pool, printed, clock, monitor };
}

Deno.test("ConnectionHealthMonitor.updateMetrics() reads the counters of the pool", () => {
  const { monitor } = setUp();
  const metrics = { totalConnections: 0, idleConnections: 0, waitingRequests: 0, errors: 0, lastError: null };
  assertEquals(monitor.metrics, metrics);
  monitor.updateMetrics();
  assertEquals(monitor.metrics, { ...metrics, totalConnections: 4, idleConnections: 3 });
});

Deno.test("ConnectionHealthMonitor.startMonitoring() prints the metrics every 30 s, and stopMonitoring() ends that", async () => {
  const { printed, clock, monitor } = setUp();
  monitor.startMonitoring();
  await clock.advance(29_999);
  assertEquals(printed, []);
  await clock.advance(30_001);
  const metrics = { totalConnections: 4, idleConnections: 3, waitingRequests: 0, errors: 0, lastError: null };
  assertEquals(printed, Array(2).fill(["log", "Pool highPriority metrics:", metrics]));
  monitor.stopMonitoring();
  monitor.stopMonitoring();
  await clock.advance(60_000);
  assertEquals([printed.length, clock.timers], [2, 0]);
});

Deno.test("ConnectionHealthMonitor warns of more than 10 waiting requests and of more than 5 errors", async () => {
  const { pool, printed, clock, monitor } = setUp();
  monitor.startMonitoring(1_000);
  pool.waitingCount = 10;
  for (let count = 0; count < 5; count++) monitor.recordError(new Error("refused"));
  await clock.advance(1_000);
  assertEquals(printed.map(([level]) => level), ["log"]);
  pool.waitingCount = 11;
  monitor.recordError(new Error("refused"));
  await clock.advance(1_000);
  assertEquals(printed.slice(2), [
    ["warn", "High number of waiting requests in highPriority pool: 11"],
    ["error", "High number of errors in highPriority pool: 6"],
  ]);
});

Deno.test("ConnectionHealthMonitor.startMonitoring() has one timer however often it is called, and rejects a bad interval", async () => {
  const { printed, clock, monitor } = setUp();
  monitor.startMonitoring(1_000);
  monitor.startMonitoring(500);
  assertEquals(clock.timers, 1);
  await clock.advance(1_000);
  assertEquals(printed.length, 2);
  for (const bad of [0, -1, NaN]) assertThrows(() => monitor.startMonitoring(bad), RangeError, "interval");
});

Deno.test("ConnectionHealthMonitor prints once after a freeze, and goes on when the console throws", async () => {
  const { pool, clock } = setUp();
  let calls = 0;
  const log = () => {
    calls++;
    throw new Error("closed");
  };
  const monitor = new ConnectionHealthMonitor(pool, "admin", { console: { ...console, log }, clock });
  monitor.startMonitoring(1_000);
  clock.freeze(60_000);
  for (const expected of [1, 2]) {
    // What a timer throws would end the isolate.
    await clock.advance(expected === 1 ? 0 : 1_000);
    assertEquals([calls, clock.timers, monitor.metrics.errors], [expected, 1, 0]);
  }
});

Deno.test("ConnectionHealthMonitor records an error of a pool that cannot be counted, and goes on", async () => {
  const { printed, clock } = setUp();
  const pool = {
    get totalCount(): number {
      throw new Error("shut down");
    },
    idleCount: 0,
    waitingCount: 0,
  };
  const print = (...line: unknown[]) => void printed.push(structuredClone(line));
  const monitor = new ConnectionHealthMonitor(pool, "admin", {
    console: { log: print, warn: print, error: print },
    clock,
  });
  monitor.startMonitoring(1_000);
  await clock.advance(6_000);
  assertEquals([monitor.metrics.errors, monitor.metrics.lastError?.message], [6, "shut down"]);
  assertEquals(printed.length, 7);
  assertEquals(printed.at(-1), ["High number of errors in admin pool: 6"]);
  monitor.stopMonitoring();
});

Deno.test("ConnectionHealthMonitor prints to the console every 30,000 ms by default, in the words of the specification", async () => {
  const pool = { totalCount: 1, idleCount: 0, waitingCount: 11 };
  using time = new FakeTime();
  const { log, warn, error } = console;
  const printed: unknown[][] = [];
  const print = (level: string) => (...line: unknown[]) => void printed.push([level, ...line]);
  Object.assign(console, { log: print("log"), warn: print("warn"), error: print("error") });
  using _console = { [Symbol.dispose]: () => void Object.assign(console, { log, warn, error }) };
  // The system's clock reads the time of the test.
  const clock = createSystemClock();
  const monitor = new ConnectionHealthMonitor(pool, "lowPriority", { clock });
  for (let count = 0; count < 6; count++) monitor.recordError(new Error("refused"));
  monitor.startMonitoring();
  await time.tickAsync(29_999);
  assertEquals(printed, []);
  await time.tickAsync(1);
  assertEquals(printed, [
    ["log", "Pool lowPriority metrics:", monitor.metrics],
    ["warn", "High number of waiting requests in lowPriority pool: 11"],
    ["error", "High number of errors in lowPriority pool: 6"],
  ]);
  monitor.stopMonitoring();
});

Deno.test("monitors count the pools of the data layer, and nothing while it has none", () => {
  const names = ["highPriority", "lowPriority", "admin"] as const;
  const read = () =>
    names.map((name) => {
      monitors[name].updateMetrics();
      const { totalConnections, idleConnections, waitingRequests } = monitors[name].metrics;
      return [monitors[name].name, totalConnections, idleConnections, waitingRequests];
    });
  const none = names.map((name) => [name, 0, 0, 0]);
  assertEquals([Object.keys(monitors), read()], [[...names], none]);
  const counts = (totalConnections: number) => ({ totalConnections, idleConnections: 2, waitingForConnection: 1 });
  const first = addPrioritySource({ getStats: () => ({ highPriority: counts(5) }) });
  assertEquals(read(), [["highPriority", 5, 2, 1], ...none.slice(1)]);
  const second = addPrioritySource({ getStats: () => ({ admin: counts(7) }) });
  // Another one has replaced it.
  first[Symbol.dispose]();
  assertEquals(read(), [...none.slice(0, 2), ["admin", 7, 2, 1]]);
  second[Symbol.dispose]();
  assertEquals(read(), none);
});

Deno.test("ConnectionHealthMonitor.recordError() keeps the latest error without credentials", () => {
  const { monitor } = setUp();
  monitor.recordError(new Error("first"));
  monitor.recordError(new Error("cannot reach postgres://user:hunter2@db.test/postgres"));
  const { errors, lastError } = monitor.metrics;
  assertEquals(errors, 2);
  assertEquals(lastError?.message.includes("hunter2"), false);
  assertMatch(lastError?.message ?? "", /^cannot reach postgres/);
  assertMatch(lastError?.timestamp ?? "", /^\d{4}-\d\d-\d\dT.*Z$/);
  for (
    const hostile of [undefined, null, "text", {
      get message() {
        throw new Error("no");
      },
    }]
  ) { // deno-fmt-ignore
    monitor.recordError(hostile);
  }
  assertEquals(monitor.metrics.errors, 6);
});

Deno.test("monitorsOf() creates a monitor for each pool by priority", async () => {
  await using pools = new PostgresPools({ host: "127.0.0.1", port: 1, minConnections: 0 }, {
    highPriority: { minConnections: 0 },
    lowPriority: { minConnections: 0 },
    admin: { minConnections: 0 },
  });
  const monitors = monitorsOf(pools);
  Object.values(monitors).forEach((monitor) => monitor.startMonitoring());
  assertEquals(Object.keys(monitors), ["highPriority", "lowPriority", "admin"]);
  assertEquals(Object.values(monitors).map(({ name }) => name), Object.keys(monitors));
  assertEquals(monitors.lowPriority.pool, pools.lowPriority);
  monitors.admin.updateMetrics();
  assertEquals(
    [pools.admin.totalCount, pools.admin.idleCount, pools.admin.waitingCount],
    [monitors.admin.metrics.totalConnections, 0, 0],
  );
  Object.values(monitors).forEach((monitor) => monitor.stopMonitoring());
});
