/** The lines of the log about connections. */
import { assertEquals, assertThrows } from "@std/assert";
import { type LogLevel, PoolLog, type PoolLogOptions, StructuredLog } from "../../../shared/observability/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";

/** A log of a pool whose events a test emits. */
function setUp(level: LogLevel, options: PoolLogOptions = {}) {
  const clock = new FakeClock();
  const lines: string[] = [];
  const listeners = new Map<string, (event: unknown) => void>();
  const pool = {
    getStats: () => ({ totalConnections: 3 }),
    on: (name: string, listener: (event: unknown) => void) => void listeners.set(name, listener),
  };
  const log = new PoolLog(new StructuredLog({ sink: (line) => lines.push(line), level, clock }), { clock, ...options });
  log.watch(pool);
  const emit = (name: string, event: unknown) => listeners.get(name)?.(event);
  return { clock, lines, listeners, pool, log, emit, take: () => lines.splice(0).map((line) => JSON.parse(line)) };
}

const LEASE = { leaseId: 7, resourceId: 2, lane: "normal" };

Deno.test("PoolLog logs leases in the form of the specification, with the id of the request that holds them", async () => {
  const { clock, pool, log, emit, take } = setUp("debug");
  emit("acquired", { ...LEASE, waitedMs: 5 });
  // The event comes before the request knows its lease.
  log.own(pool, 7, () => "request-1");
  emit("acquired", { ...LEASE, leaseId: 8, waitedMs: 0 });
  await clock.advance(0);
  emit("released", { ...LEASE, heldMs: 12 });
  emit("released", { ...LEASE, leaseId: 8, heldMs: 1 });
  await clock.advance(0);
  const lines = take();
  assertEquals(lines.map(({ event, level, correlationId }) => [event, level, correlationId === "request-1"]), [
    ["connection_acquired", "debug", true],
    ["connection_acquired", "debug", false],
    ["connection_released", "debug", true],
    ["connection_released", "debug", false],
  ]);
  assertEquals(Object.keys(lines[0]), ["timestamp", "correlationId", "level", "event", "data"]);
  assertEquals(lines[0].data, { connectionId: "2", poolSize: 3, leaseId: 7, lane: "normal", waitedMs: 5 });
  assertEquals(lines[2].data, { connectionId: "2", poolSize: 3, leaseId: 7, lane: "normal", heldMs: 12 });
});

Deno.test("PoolLog logs health checks and errors at their levels, and bounds the errors of one outage", async () => {
  const { clock, emit, take } = setUp("debug");
  emit("healthCheck", { healthy: true, durationMs: 4 });
  emit("healthCheck", { healthy: false, durationMs: 9, error: new Error("away: password=hunter2") });
  const error = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
  emit("error", { error, source: "create" });
  emit("error", { error: new Error("lost"), source: "invalidate", connectionId: 4 });
  const lines = take();
  assertEquals(lines.map(({ event, level }) => [event, level]), [
    ["health_check", "debug"],
    ["health_check", "warn"],
    ["connection_error", "error"],
    ["connection_error", "error"],
  ]);
  assertEquals(lines[0].data, { poolSize: 3, healthy: true, durationMs: 4 });
  assertEquals([lines[1].data.healthy, String(lines[1].data.error).includes("hunter2")], [false, false]);
  assertEquals([lines[2].data.error, lines[2].data.source, lines[2].data.poolSize], ["refused", "create", 3]);
  assertEquals(lines[3].data.connectionId, "4");
  for (let count = 0; count < 500; count++) emit("error", { error, source: "create" });
  assertEquals(take().length, 4);
  await clock.advance(1_000);
  emit("error", { error, source: "create" });
  assertEquals(take()[0].data.count, 497);
});

Deno.test("PoolLog listens to nothing that its level does not write", () => {
  const names = (level: LogLevel, options?: PoolLogOptions) => [...setUp(level, options).listeners.keys()];
  assertEquals(names("debug"), ["acquired", "released", "healthCheck", "error"]);
  assertEquals(names("debug", { sample: 0 }), ["healthCheck", "error"]);
  assertEquals([names("info"), names("warn")], [["healthCheck", "error"], ["healthCheck", "error"]]);
  assertEquals(names("error"), ["error"]);
  const { pool, log, listeners } = setUp("error");
  listeners.clear();
  log.watch(pool);
  log.watch({ getStats: pool.getStats });
  assertEquals(listeners.size, 0);
});

Deno.test("PoolLog logs both lines of a sampled lease, and about the fraction of leases that is asked for", async () => {
  const { clock, emit, lines } = setUp("debug", { sample: 0.25 });
  const seen = new Map<number, number>();
  for (let leaseId = 1; leaseId <= 2_000; leaseId++) {
    emit("acquired", { ...LEASE, leaseId, waitedMs: 0 });
    emit("released", { ...LEASE, leaseId, heldMs: 0 });
    // Within the limit of the log.
    await clock.advance(1_000);
    for (const line of lines.splice(0)) {
      const { data } = JSON.parse(line);
      seen.set(data.leaseId, (seen.get(data.leaseId) ?? 0) + 1);
    }
  }
  assertEquals([...seen.values()].every((count) => count === 2), true);
  assertEquals(seen.size > 450 && seen.size < 550, true, String(seen.size));
  for (const bad of [-0.1, 1.1, NaN]) assertThrows(() => setUp("debug", { sample: bad }), RangeError, "sample");
});

Deno.test("PoolLog logs all leases of a request or none, and asks for no id that no line needs", async () => {
  const { clock, pool, log, emit, lines } = setUp("debug", { sample: 0.5 });
  const seen = new Map<string, number>();
  let leaseId = 0;
  for (let request = 0; request < 400; request++) {
    for (const _lease of [1, 2, 3]) {
      leaseId++;
      emit("acquired", { ...LEASE, leaseId, waitedMs: 0 });
      log.own(pool, leaseId, () => `request-${request}`);
      emit("released", { ...LEASE, leaseId, heldMs: 0 });
    }
    await clock.advance(10_000);
    for (const line of lines.splice(0)) {
      const { correlationId } = JSON.parse(line);
      seen.set(correlationId, (seen.get(correlationId) ?? 0) + 1);
    }
  }
  assertEquals([...seen.values()].every((count) => count === 6), true);
  assertEquals([...seen.keys()].every((id) => id.startsWith("request-")), true);
  assertEquals(seen.size > 160 && seen.size < 240, true, String(seen.size));

  let asked = 0;
  const idOf = () => `${++asked}`;
  for (const quiet of [setUp("info"), setUp("warn"), setUp("debug", { sample: 0 })]) {
    quiet.log.own(quiet.pool, 1, idOf);
  }
  log.own({ getStats: pool.getStats }, 1, idOf);
  assertEquals(asked, 0);
});

Deno.test("PoolLog.own() throws for no id", async () => {
  const { clock, pool, log, emit, lines } = setUp("debug");
  emit("acquired", LEASE);
  log.own(pool, LEASE.leaseId, () => {
    throw new Error("no id");
  });
  emit("acquired", { ...LEASE, resourceId: Object.create(null) });
  emit("released", LEASE);
  await clock.advance(0);
  assertEquals(lines.map((line) => JSON.parse(line).event), ["connection_acquired", "connection_released"]);
});

Deno.test("PoolLog stays within the hosted limit and bounded, whatever events hold", async () => {
  const { clock, pool, log, emit, lines } = setUp("debug");
  const hostile = {
    leaseId: 1,
    resourceId: "\n\u001b[31m".repeat(9_000),
    lane: "\u2028",
    waitedMs: {
      toJSON() {
        throw 1;
      },
    },
  }; // deno-fmt-ignore
  emit("acquired", hostile);
  emit("released", undefined);
  emit("healthCheck", "odd");
  emit("error", null);
  await clock.advance(0);
  assertEquals(lines.length, 4);
  for (const line of lines.splice(0)) {
    assertEquals([line.length <= 10_000, /^[\x20-\x7e]*$/.test(line)], [true, true]);
    JSON.parse(line);
  }
  for (let leaseId = 0; leaseId < 20_000; leaseId++) {
    log.own(pool, leaseId, () => "x");
    emit("acquired", { ...LEASE, leaseId, waitedMs: 0 });
  }
  await clock.advance(0);
  assertEquals(lines.length <= 100, true, String(lines.length));
});

Deno.test("PoolLog reads no statistics for lines beyond the limit, and counts them", async () => {
  const { clock, pool, log, emit, take } = setUp("debug");
  let reads = 0;
  Object.assign(pool, { getStats: () => (reads++, { totalConnections: 3 }) });
  for (let turn = 0; turn < 10; turn++) {
    for (let lease = 10 * turn; lease < 10 * turn + 10; lease++) {
      emit("acquired", { ...LEASE, leaseId: lease, waitedMs: 0 });
      log.own(pool, lease, () => "request-1");
      emit("released", { ...LEASE, leaseId: lease, heldMs: 1 });
    }
    await clock.advance(0);
  }
  assertEquals([take().length, reads], [50, 50]);
  await clock.advance(1_000);
  emit("acquired", { ...LEASE, leaseId: 7, waitedMs: 0 });
  await clock.advance(0);
  const [suppressed, line] = take();
  assertEquals([suppressed.event, suppressed.data.count], ["log_suppressed", 150]);
  // The request that held a lease of this number is no longer known, although the line of its release was suppressed.
  assertEquals([line.event, line.correlationId === "request-1"], ["connection_acquired", false]);
});
