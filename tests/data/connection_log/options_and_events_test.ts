import { assertEquals, assertThrows } from "@std/assert";
import {
  CONNECTION_LOG_STATUSES,
  ConnectionLog,
  ConnectionLogClosedError,
  type ConnectionLogOptions,
} from "../../../shared/data/connection_log/mod.ts";
import { type ConnectionLogRow, subscribe } from "../../../shared/data/connection_log/log_rows.ts";
import { ConfigError } from "../../../shared/pool/mod.ts";
import { freePort } from "../../../local/ports.ts";
import { garbageCollector } from "../../support/collect_garbage.ts";
import { until } from "../../support/until.ts";
import { Emitter } from "./emitter.ts";

/** A database that is away. */
const connection = { host: "127.0.0.1", port: freePort(), database: "x", user: "x", password: "x", ssl: false };

Deno.test("ConnectionLog rejects bad options, naming each, with a stable code", () => {
  const bad: ConnectionLogOptions[] = [
    { rowsPerSecond: 0 },
    { maxRows: 10 },
    { flushIntervalMs: NaN },
    { maxBufferedRows: 1.5 },
    { retentionDays: "7" as never },
    { statuses: ["x"] as never },
    { statuses: ["created", "constructor"] as never },
    { statuses: "created" as never },
    { statuses: {} as never },
  ];
  for (const options of bad) {
    const error = assertThrows(() => new ConnectionLog(options), ConfigError, Object.keys(options)[0]);
    assertEquals(error.code, "CONFIG_INVALID");
  }
  const all = assertThrows(() => new ConnectionLog({ rowsPerSecond: 0, statuses: ["x"] as never }), ConfigError);
  assertEquals(all.issues.map(({ path }) => path), ["rowsPerSecond", "statuses"]);
});

Deno.test("ConnectionLog.watch() is rejected after close(), with a stable code", async () => {
  const log = new ConnectionLog({ connection });
  await log[Symbol.asyncDispose]();
  assertEquals(assertThrows(() => log.watch(new Emitter()), ConnectionLogClosedError).code, "CONNECTION_LOG_CLOSED");
});

Deno.test("ConnectionLog.watch() keeps nothing of a subscription that is disposed of", async () => {
  const log = new ConnectionLog({ connection, statuses: ["recovered", "recovered"] });
  const emitter = new Emitter();
  const reference = ((other: Emitter) => {
    log.watch(other)[Symbol.dispose]();
    assertEquals(other.listeners, 0);
    return new WeakRef(other);
  })(new Emitter());
  const collect = garbageCollector();
  for (let n = 0; n < 50 && reference.deref(); n++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    collect();
  }
  assertEquals(reference.deref(), undefined);
  using subscription = log.watch(emitter);
  assertEquals(emitter.listeners, 1);
  emitter.emit("recovered", { downMs: 1 });
  assertEquals(log.waiting, 1);
  void subscription;
  await log.close();
  assertEquals(emitter.listeners, 0);
});

Deno.test("ConnectionLog reports a failed write as one line of the log, unless onFailure is given", async () => {
  const lines: string[] = [];
  const { error: write } = console;
  // The timers of a pool keep no program alive.
  const alive = setInterval(() => {}, 1_000);
  console.error = (line: unknown) => void lines.push(String(line));
  try {
    const log = new ConnectionLog({ connection });
    const emitter = new Emitter();
    log.watch(emitter);
    emitter.emit("recovered", { downMs: 1 });
    await log.flush();
    await until("the line is written", () => lines.length > 0);
    await log.close();
  } finally {
    console.error = write;
    clearInterval(alive);
  }
  assertEquals(lines.filter((line) => line.includes("connection_log_failed")).length, 1);
});

Deno.test("subscribe() makes a row of each event", () => {
  const emitter = new Emitter();
  const rows: ConnectionLogRow[] = [];
  subscribe(emitter, CONNECTION_LOG_STATUSES, "log", () => true, (row) => rows.push(row));
  const events = {
    acquired: { resourceId: 3, lane: "normal", waitedMs: 1 },
    released: { resourceId: 3, lane: "normal", heldMs: 2 },
    created: { resourceId: 3, durationMs: 3 },
    destroyed: { resourceId: 3, reason: "idle", abandoned: false },
    healthCheck: { healthy: true, durationMs: 4, stats: { totalConnections: 5 } },
    error: { error: new Error("broken"), source: "pool", connectionId: 3 },
    leaked: { resourceId: 3, lane: "normal", heldMs: 6 },
    timedOut: { lane: "normal", waitedMs: 7 },
    recovered: { downMs: 8 },
    circuitOpened: {},
    circuitClosed: {},
    closed: { abandoned: 0 },
  };
  for (const [name, event] of Object.entries(events)) emitter.emit(name as "recovered", event as never);
  assertEquals(rows.map(({ status }) => status), [...CONNECTION_LOG_STATUSES]);
  const byStatus = new Map(rows.map((row) => [row.status, row]));
  assertEquals(byStatus.get("leaked")?.connectionId, "log/3");
  assertEquals(byStatus.get("timed_out")?.metadata["waitedMs"], 7);
  assertEquals(byStatus.get("circuit_opened")?.connectionId, "log");
  assertEquals(byStatus.get("error")?.errorMessage, "broken");
});
