/** Providers that throw. */
import { assertEquals, assertRejects } from "@std/assert";
import * as api from "@opentelemetry/api";
import { OpenTelemetry, type OpenTelemetryApi, type TracedTimes } from "../../../../shared/observability/mod.ts";
import { runIn } from "../../../../shared/observability/tracing/otel/safely.ts";
import { registerFakeProvider } from "./fake_provider.ts";

const TIMES: TracedTimes = { waitedMs: 1, connectMs: 2, executionMs: 3 };

/** Methods of a provider, each of which may throw. */
const METHODS = [
  "active",
  "with",
  "startSpan",
  "spanContext",
  "setAttribute",
  "setAttributes",
  "setStatus",
  "end",
  "record",
  "inject",
  "extract",
];

/** OpenTelemetry on a fake provider, and a function that runs a statement. */
function setUp() {
  const provider = registerFakeProvider();
  const telemetry = new OpenTelemetry(api);
  const runs: (() => Promise<unknown>)[] = [];
  let calls = 0;
  telemetry.observeStatements({
    observeStatements: (observer) => {
      const work = { kind: "statement", texts: ["SELECT 1"] } as const;
      runs.push(() => observer.observe(work, TIMES, () => Promise.resolve(++calls)));
      runs.push(() => observer.observe(work, TIMES, () => Promise.reject(new Error(`failed ${++calls}`))));
      return { [Symbol.dispose]() {} };
    },
  });
  const [succeed, fail] = runs;
  if (!succeed || !fail) throw new Error("statements are not observed");
  return { provider, telemetry, succeed, fail, [Symbol.dispose]: () => provider[Symbol.dispose]() };
}

Deno.test("OpenTelemetry.observeStatements() runs each statement once, whatever the provider throws, and ends its span", async (t) => {
  for (const method of METHODS) {
    await t.step(method, async () => {
      using rig = setUp();
      rig.provider.faults.add(method);
      assertEquals(await rig.succeed(), 1);
      await assertRejects(() => rig.fail(), Error, "failed 2");
      const begins = !["active", "startSpan"].includes(method);
      assertEquals(rig.provider.spans.map(({ ended }) => ended), begins ? [1, 1] : []);
      assertEquals(rig.provider.measurements.length, method === "record" ? 0 : 2);
    });
  }
});

Deno.test("OpenTelemetry.beginRequest() serves a request, whatever the provider throws, and ends a span that it returns", async (t) => {
  const headers = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" };
  const request = new Request("https://x.test/", { headers });
  for (const method of METHODS) {
    await t.step(method, async () => {
      using rig = setUp();
      rig.provider.faults.add(method);
      const span = rig.telemetry.beginRequest(request);
      assertEquals(span === undefined, ["active", "startSpan", "spanContext", "extract"].includes(method));
      if (!span) return assertEquals(rig.provider.spans.map(({ ended }) => ended), method === "spanContext" ? [1] : []);
      assertEquals(await span.run(() => Promise.resolve(7)), 7);
      const sent = span.run(() => span.headers());
      assertEquals(Object.keys(sent ?? {}), ["inject", "with"].includes(method) ? [] : ["traceparent"]);
      span.end({ request, status: 500, error: undefined, waitedMs: 0, verifyMs: 0, upstreamMs: 0 });
      assertEquals(rig.provider.spans.map(({ ended }) => ended), [1]);
    });
  }
});

Deno.test("OpenTelemetry.observePool() keeps what the provider or a pool throws from the others", () => {
  using rig = setUp();
  const stats = { activeConnections: 1, idleConnections: 0, waitingForConnection: 0 };
  let recorder: { waitTime(ms: number): void; useTime(ms: number): void } | undefined;
  let created: ((event: { readonly durationMs: number }) => void) | undefined;
  rig.telemetry.observePool("broken", {
    getStats: () => {
      throw new Error("shut down");
    },
  });
  rig.telemetry.observePool("user", {
    getStats: () => stats,
    record: (each) => (recorder = each, { [Symbol.dispose]() {} }),
    on: (_name, listener) => (created = listener, { [Symbol.dispose]() {} }),
  });
  assertEquals(rig.provider.collect().map(({ name, value }) => [name, value]), [
    ["db.client.connection.count", 1],
    ["db.client.connection.count", 0],
    ["db.client.connection.pending_requests", 0],
    ["db.client.connection.timeouts", 0],
  ]);
  rig.provider.faults.add("record");
  recorder?.waitTime(1);
  recorder?.useTime(1);
  created?.({ durationMs: 1 });
  assertEquals(rig.provider.measurements, []);
});

Deno.test("OpenTelemetry leaves no rejection of a provider whose methods are asynchronous unhandled", async () => {
  using rig = setUp();
  const spanContext = { traceId: "1".repeat(32), spanId: "1".repeat(16), traceFlags: 1 };
  const span = {
    spanContext: () => spanContext,
    setAttributes() {},
    end: () => Promise.reject(new Error("the export failed")),
  };
  const tracing = {
    getSpan: () => undefined,
    setSpan: (active: unknown) => active,
    getTracer: () => ({ startSpan: () => span }),
  };
  const broken = { ...api, trace: Object.assign(Object.create(api.trace), tracing) } as never as OpenTelemetryApi;
  const request = new Request("https://x.test/");
  const begun = new OpenTelemetry(broken).beginRequest(request);
  begun?.end({ request, status: 200, error: undefined, waitedMs: 0, verifyMs: 0, upstreamMs: 0 });
  // An unhandled rejection fails the test.
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals([begun !== undefined, await rig.succeed()], [true, 1]);
});

Deno.test("RequestSpan.headers() passes on valid headers of W3C Trace Context only", () => {
  using _rig = setUp();
  const valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const rows: readonly (readonly [unknown, unknown, Record<string, string> | undefined])[] = [
    [valid, "a=b", { traceparent: valid, tracestate: "a=b" }],
    [valid, "", { traceparent: valid }],
    [valid, "a=\n", { traceparent: valid }],
    [valid, `a=${"b".repeat(511)}`, { traceparent: valid }],
    [valid, 1, { traceparent: valid }],
    [`${valid}\r\nx: y`, "a=b", undefined],
    [undefined, "a=b", undefined],
    [7, undefined, undefined],
  ];
  for (const [traceparent, tracestate, expected] of rows) {
    const propagation = {
      ...api.propagation,
      inject: (_active: unknown, carrier: Record<string, unknown>) =>
        void Object.assign(carrier, { traceparent, tracestate }),
    };
    const telemetry = new OpenTelemetry({ ...api, propagation } as never as OpenTelemetryApi);
    assertEquals(telemetry.beginRequest(new Request("https://x.test/"))?.headers(), expected);
  }
});

Deno.test("runIn() runs work once and returns what it does, whatever the context manager does", async () => {
  type With = (active: unknown, run: () => unknown) => unknown;
  const managers: Record<string, With> = {
    "does not run it": () => undefined,
    "runs it twice": (_active, run) => [run(), run()],
    "returns something else": (_active, run) => (run(), "else"),
    "throws after it": (_active, run) => {
      run();
      throw new Error("after");
    },
    "runs it later": (_active, run) => void queueMicrotask(run),
  };
  for (const [what, context] of Object.entries(managers)) {
    const fake = { context: { with: context } } as never as OpenTelemetryApi;
    let calls = 0;
    assertEquals(runIn(fake, api.ROOT_CONTEXT, () => ++calls), 1, what);
    const failing = () =>
      runIn(fake, api.ROOT_CONTEXT, () => {
        throw new Error(`its own ${++calls}`);
      });
    await assertRejects(() => Promise.resolve().then(failing), Error, "its own 2");
    await Promise.resolve();
    assertEquals(calls, 2, what);
  }
});

Deno.test("OpenTelemetry.observeStatements() bounds the types of errors in the histogram, and not in spans", async () => {
  using rig = setUp();
  const observed: ((code: string) => Promise<unknown>)[] = [];
  rig.telemetry.observeStatements({
    observeStatements: (observer) => {
      const work = { kind: "statement", texts: ["SELECT 1"] } as const;
      observed.push((code) => observer.observe(work, TIMES, () => Promise.reject({ code })));
      return { [Symbol.dispose]() {} };
    },
  });
  const [fail] = observed;
  for (const code of [...Array.from({ length: 150 }, (_, index) => `C${index}`), "C0", "EPIPE", "23505"]) {
    await fail?.(code).catch(() => {});
  }
  const types = rig.provider.measurements.map(({ attributes }) => attributes["error.type"]);
  assertEquals(new Set(types).size, 101);
  assertEquals([types[99], types[100], types[150]], ["C99", "_OTHER", "C0"]);
  const spans = rig.provider.spans.slice(-3).map(({ attributes }) => [
    attributes["error.type"],
    attributes["db.response.status_code"],
  ]);
  // A code of the system has five capitals, too.
  assertEquals(spans, [["C0", undefined], ["EPIPE", undefined], ["23505", "23505"]]);
});
