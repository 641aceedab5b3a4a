import { assert, assertEquals, assertFalse, assertMatch, assertThrows } from "@std/assert";
import { delay } from "@std/async";
import { FakeTime } from "@std/testing/time";
import { type LogFormat, MAX_LINE_LENGTH, StructuredLog } from "../../shared/observability/mod.ts";

function setUp(options: Omit<ConstructorParameters<typeof StructuredLog>[0] & object, "sink"> = {}) {
  const lines: string[] = [];
  const log = new StructuredLog({ ...options, sink: (line) => lines.push(line) });
  return { log, lines, parsed: () => lines.map((line): LogFormat => JSON.parse(line)) };
}

Deno.test("StructuredLog writes timestamp, correlationId, level, event and data", () => {
  using _time = new FakeTime(new Date("2026-01-02T03:04:05.678Z"));
  const { log, lines, parsed } = setUp();
  log.info("connection_acquired", { correlationId: "42", data: { connectionId: "c1", poolSize: 3 } });
  assertEquals(lines, [
    '{"timestamp":"2026-01-02T03:04:05.678Z","correlationId":"42","level":"info","event":"connection_acquired",' +
    '"data":{"connectionId":"c1","poolSize":3}}',
  ]);
  log.warn("health_check");
  log.error("connection_error", { error: new Error("refused") });
  const [, warn, error] = parsed();
  assertEquals(Object.keys(warn ?? {}), ["timestamp", "correlationId", "level", "event"]);
  assertMatch(warn?.correlationId ?? "", /^[\da-f-]{36}$/);
  assertEquals(error?.correlationId, warn?.correlationId);
  assertEquals([error?.data?.error, error?.data?.name], ["refused", "Error"]);
  assertMatch(error?.data?.stack ?? "", /structured_log_test/);
});

Deno.test("StructuredLog writes nothing below its level, and computes no correlation id for it", () => {
  const { log, parsed } = setUp({ level: "warn" });
  let asked = 0;
  for (const level of ["debug", "info", "warn", "error"] as const) {
    log[level]("e", { correlationId: () => `${++asked}` });
  }
  assertEquals(parsed().map(({ level, correlationId }) => [level, correlationId]), [["warn", "1"], ["error", "2"]]);
  const other = setUp();
  other.log.debug("e");
  assertEquals(other.lines, []);
});

Deno.test("StructuredLog limits the lines with one event, code and name to perSecond, and counts the others", () => {
  using time = new FakeTime();
  const { log, parsed } = setUp();
  const fail = (code: string) => log.error("e", { error: Object.assign(new Error(), { code }), perSecond: 2 });
  for (let i = 0; i < 5; i++) fail("A");
  fail("B");
  time.tick(1_000);
  fail("A");
  assertEquals(parsed().map(({ data }) => [data?.code, data?.count]), [["A", 1], ["A", 1], ["B", 1], ["A", 4]]);
});

Deno.test("StructuredLog bounds every line, whatever is logged", () => {
  const { log, lines } = setUp();
  const deep: Record<string, unknown> = {};
  let inner = deep;
  for (let depth = 0; depth < 100_000; depth++) inner = inner.a = {} as Record<string, unknown>;
  const wide = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`m${index}`, "\u0000".repeat(1_000)]));
  let chain: Error = new Error("\u0000".repeat(100_000));
  for (let depth = 0; depth < 100_000; depth++) chain = new Error("\u0000".repeat(2_000), { cause: chain });
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  const all = new AggregateError(Array.from({ length: 100_000 }, () => chain), "\u{1f4a5}".repeat(100_000));
  for (const data of [deep, wide, cyclic, { list: new Array(1_000_000).fill(deep) }]) log.info("e", { data });
  for (const error of [chain, all, "\u0000".repeat(1_000_000), { message: "x".repeat(1_000_000) }, deep, wide]) {
    log.info("\u0000".repeat(10_000), { error, correlationId: "\u0000".repeat(10_000) });
  }
  assertEquals(lines.length, 10);
  for (const line of lines) {
    assert(line.length <= MAX_LINE_LENGTH, `${line.length}`);
    JSON.parse(line);
  }
});

Deno.test("StructuredLog hides members named like secrets, and reads nothing that could run code", () => {
  const { log, lines } = setUp();
  const data = {
    password: "hunter2",
    nested: { Authorization: "hunter2", apiKey: "hunter2", list: [{ set_cookie: "hunter2" }] },
    text: "Bearer hunter2",
    url: new URL("https://x.test/?q=hunter2").href,
    toJSON: () => "hunter2",
    get thrown(): string {
      throw new Error("hunter2");
    },
    date: new Date(0),
    bytes: new Uint8Array(3),
    huge: 10n ** 30n,
    error: "some text",
  };
  log.info("e", { data });
  assertFalse(lines.join().includes("hunter2"), lines.join());
  const hostile = new Proxy({}, {
    get: () => {
      throw new Error("no");
    },
    ownKeys: () => {
      throw new Error("no");
    },
    getPrototypeOf: () => {
      throw new Error("no");
    },
  });
  log.info("e", { data: hostile });
  log.info("e", { error: hostile });
  log.info("e", { data: { hostile } });
  log.info("e", {
    correlationId: () => {
      throw new Error("no");
    },
  });
  assertEquals(lines.length, 5);
});

Deno.test("StructuredLog writes nothing that affects a terminal, wherever it comes from", () => {
  const { log, lines } = setUp();
  const hostile = "\x1b[31m\x9b31m\x7f\u2028\u2029\u202e\u200b\r\n\ud800";
  const error = Object.assign(new Error(hostile, { cause: hostile }), { name: hostile, code: hostile, hint: hostile });
  log.info(hostile, { correlationId: hostile, data: { [hostile]: hostile }, error });
  // deno-lint-ignore no-control-regex -- what must not be there
  assertFalse(/[\x00-\x1f\x7f-\x9f\u2028-\u202e\u200b\ud800-\udfff]/.test(lines[0] ?? ""), lines[0]);
  assertEquals(JSON.parse(lines[0] ?? "").correlationId, hostile);
});

Deno.test("StructuredLog does not throw when its sink throws or rejects", async () => {
  const failing = () => {
    throw new Error("no log");
  };
  for (const sink of [failing, () => Promise.reject(new Error("no log"))]) new StructuredLog({ sink }).info("e");
  await delay(0);
  assertThrows(failing);
});

Deno.test("StructuredLog shares the limits of a sink among logs, and writes to another sink", () => {
  using _time = new FakeTime();
  const lines: string[] = [];
  const sink = (line: string) => lines.push(line);
  for (let i = 0; i < 100; i++) new StructuredLog({ sink }).info("e");
  assertEquals(lines.length, 50);
  const { log, lines: others } = setUp();
  log.info("e");
  assertEquals(others.length, 1);
});

Deno.test("StructuredLog writes the error alone, cut to 1,000 characters, where escapes make a line too long", () => {
  const { log, parsed } = setUp();
  // Each of these characters takes six in JSON.
  const data = { a: "\u0001".repeat(1_000), b: "\u0001".repeat(1_000) };
  log.info("e", { data });
  for (const length of [999, 1_000]) log.info("e", { data, error: `${"x".repeat(length)} y` });
  assertEquals(parsed().map((line) => line.data), [
    { error: "the data of this line is too long" },
    { error: `${"x".repeat(999)} [2 more]` },
    { error: `${"x".repeat(1_000)} [2 more]` },
  ]);
  log.info("e", { data, error: `${"x".repeat(998)} y` });
  assertEquals(parsed().at(-1)?.data, { error: `${"x".repeat(998)} y` });
});

Deno.test("StructuredLog says with log_suppressed how many lines of a sink were not written", () => {
  using time = new FakeTime();
  const { log, parsed } = setUp();
  for (let line = 0; line < 53; line++) log.info("e");
  assertEquals(parsed().length, 50);
  time.tick(1_000);
  log.info("after");
  assertEquals(parsed().slice(50).map(({ level, event, data }) => [level, event, data]), [
    ["warn", "log_suppressed", { count: 3 }],
    ["info", "after", undefined],
  ]);
});

Deno.test("StructuredLog throws for no entry, and writes log_failed within the limits for one that cannot be read", () => {
  using time = new FakeTime();
  const { log, parsed } = setUp();
  const fail = () => {
    throw new Error("unreadable");
  };
  const entries: unknown[] = [
    Object.defineProperty({}, "data", { get: fail }),
    new Proxy({}, { get: fail, has: fail }),
    null,
    { error: new Error("x"), secrets: Object.defineProperty({}, Symbol.iterator, { get: fail }) },
    { error: new Error("with a key"), secrets: [Symbol("s"), 5, "key"] },
  ];
  for (const entry of entries) log.info("e", entry as never);
  log.info(Symbol("e") as never, { perSecond: 1 });
  log.info({ toString: fail } as never);
  assertEquals(parsed().map(({ event, level }) => [event, level]), [
    ["log_failed", "info"],
    ["log_failed", "info"],
    ["log_failed", "info"],
    ["e", "info"],
    ["e", "info"],
    ["log_failed", "info"],
    ["log_failed", "info"],
  ]);
  assertEquals(parsed()[0]?.data?.error, "unreadable");
  assertEquals(parsed()[4]?.data?.error, "with a [secret]");
  for (let line = 0; line < 200; line++) log.info("e", null as never);
  assert(parsed().length <= 50, `${parsed().length}`);
  time.tick(10_000);
  log.info("e", null as never);
  assertEquals(parsed().slice(-2).map(({ event }) => event), ["log_suppressed", "log_failed"]);
});

Deno.test("StructuredLog bounds a line whose data has a count that is not a number", () => {
  const { log, lines, parsed } = setUp();
  const long = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`m${index}`, "\u0001".repeat(900)]));
  log.info("e", { data: { count: long as never, error: long as never } });
  assertEquals(parsed()[0]?.data, { error: "the data of this line is too long" });
  assert((lines[0]?.length ?? Infinity) <= MAX_LINE_LENGTH);
  log.info("e", { data: { count: 7, long } });
  assertEquals(parsed()[1]?.data?.count, 7);
});

Deno.test("StructuredLog rejects a level that it does not know", () => {
  for (const level of ["loud", "toString", undefined as never, 1 as never]) {
    if (level === undefined) new StructuredLog({ level });
    else {assertThrows(
        () => new StructuredLog({ level: level as never }),
        RangeError,
        "one of debug, info, warn, error",
      );}
  }
});

Deno.test("StructuredLog counts each occurrence of a cause, also while the limit of all lines is reached", () => {
  using time = new FakeTime();
  const { log, parsed } = setUp();
  const fail = () => log.error("cause", { error: new Error("x"), perSecond: 1 });
  fail();
  let occurrences = 1;
  for (let second = 0; second < 20; second++) {
    for (let other = 0; other < 60; other++) log.info("other");
    for (let each = 0; each < 10; each++) fail();
    occurrences += 10;
    time.tick(1_000);
  }
  time.tick(60_000);
  fail();
  const counts = parsed().filter(({ event }) => event === "cause").map(({ data }) => data?.count ?? 0);
  assertEquals(counts.reduce((sum, count) => sum + count, 0), occurrences + 1);
});
