/** Spans and metrics of a function, as Deno exports them to a collector. */
import { assert, assertEquals } from "@std/assert";
import { denoArgs } from "../support/deno_process.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { type OtlpCollector, type ReceivedSpan, startOtlpCollector } from "../support/otlp_collector.ts";
import { until } from "../support/until.ts";
import { TestDatabase } from "./support.ts";

/** The first version of Deno that exports what `@opentelemetry/api` reports without a flag. */
const EXPORTS_SINCE = [2, 4];

const [major = 0, minor = 0] = Deno.version.deno.split(".").map(Number);
const exports = major > (EXPORTS_SINCE[0] ?? 0) || minor >= (EXPORTS_SINCE[1] ?? 0);

const TRACE = "0af7651916cd43dd8448eb211c80319c";

/** A function in a process of its own. */
async function startFunction(env: Record<string, string>) {
  const script = new URL("../http/isolates/traced.ts", import.meta.url);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", ...denoArgs(), script.pathname],
    env: { ...env, NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream());
  const reader = output.getReader();
  const { value = "" } = await reader.read();
  reader.releaseLock();
  const log = new Response(child.stderr).text();
  return {
    url: `http://127.0.0.1:${value.trim()}`,
    /** Ends it, so that it exports what is left, and returns its log. */
    async end(): Promise<string> {
      await child.stdin.close();
      await output.cancel();
      await child.status;
      return await log;
    },
  };
}

/** Returns the one span of this library with a name, below `parent`. */
function spanOf({ spans }: OtlpCollector, name: string, parent?: ReceivedSpan): ReceivedSpan {
  const found = spans.filter((span) => span.scope === "supabase-pool" && span.name === name)
    .filter(({ parentSpanId }) => !parent || parentSpanId === parent.spanId);
  assertEquals(found.length, 1, `${name}: ${JSON.stringify(spans.map(({ name }) => name))}`);
  return found[0] as ReceivedSpan;
}

Deno.test({
  name: "with OTEL_DENO=true, Deno exports the spans and metrics of a function",
  ignore: !exports,
  fn: async (t) => {
    await using database = await TestDatabase.start();
    await using project = startFakeProject();
    await using collector = startOtlpCollector();
    const { host, port, database: name, user, password } = database.options();
    const isolate = await startFunction({
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      // Deno reads observable instruments at this interval only, in ms, and not at its end.
      OTEL_METRIC_EXPORT_INTERVAL: "200",
      SUPABASE_URL: project.url,
      SUPABASE_PUBLISHABLE_KEY: "sb_publishable_test",
      SUPABASE_SECRET_KEY: "sb_secret_test",
      SUPABASE_JWKS: '{"keys":[]}',
      DB_HOST: String(host),
      DB_PORT: String(port),
      DB_NAME: String(name),
      DB_USER: String(user),
      DB_PASSWORD: String(password),
      DB_TRUSTED_LOGIN: String(user),
      POOL_FLEET: "off",
    });
    const send = (path: string, traceparent: string) => fetch(`${isolate.url}${path}`, { headers: { traceparent } });
    const served = await send("/f", `00-${TRACE}-b7ad6b7169203331-01`);
    const body = await served.text();
    const failed = await send("/f/fails", `00-${TRACE.replace("0af", "1af")}-b7ad6b7169203331-01`);
    await failed.body?.cancel();
    const hostile = await send("/f", `00-${TRACE}-0000000000000000-01`);
    await hostile.body?.cancel();
    await until("the counts of connections are exported", () => collector.metrics.has("db.client.connection.count"));
    const log = await isolate.end();
    assertEquals([served.status, failed.status, hostile.status], [200, 500, 200], log + body);

    const ours = { ...collector, spans: collector.spans.filter(({ traceId }) => traceId === TRACE) };
    await t.step("a span per request, in the trace of its caller, whose id log and response share", () => {
      const request = spanOf(ours, "pooled request");
      const parent = collector.spans.find(({ spanId }) => spanId === request.parentSpanId);
      // The span of Deno.serve continues that of the caller.
      assertEquals([parent?.scope, parent?.parentSpanId], ["deno", "b7ad6b7169203331"]);
      assertEquals(request.attributes["supabase_pool.correlation_id"], TRACE);
      assertEquals(served.headers.get("X-Correlation-Id"), TRACE);
      assertEquals(JSON.parse(body).id, TRACE);
      const line = log.split("\n").map((each) => JSON.parse(each || "{}")).find(({ event }) =>
        event === "request_failed"
      );
      assertEquals(line?.correlationId, failed.headers.get("X-Correlation-Id"));
      const hostileId = hostile.headers.get("X-Correlation-Id");
      assert(hostileId && hostileId !== TRACE && collector.spans.some(({ traceId }) => traceId === hostileId));
    });

    await t.step("a span per statement, with wait, connect and execution", () => {
      const request = spanOf(ours, "pooled request");
      const select = spanOf(ours, "SELECT", request);
      assertEquals(select.kind, 3);
      const { attributes } = select;
      assertEquals(attributes["db.system.name"], "postgresql");
      assertEquals(attributes["db.operation.name"], "SELECT");
      assertEquals(attributes["db.namespace"], name);
      const times = ["wait", "connect", "execution"].map((part) => Number(attributes[`supabase_pool.${part}_time`]));
      // Its connection was the first.
      assert(times.every((time) => time >= 0) && (times[1] ?? 0) > 0, String(times));
      const sumMs = times.reduce((sum, time) => sum + time * 1_000, 0);
      assert(Math.abs(sumMs - select.durationMs) < 20, `${sumMs} and ${select.durationMs} ms`);
      const transaction = spanOf(ours, "TRANSACTION", request);
      spanOf(ours, "SELECT", transaction);
    });

    await t.step("one traceparent reaches the Data API, below the span of the request", () => {
      const [first] = project.requests;
      const [version, traceId, spanId, ...rest] = (first?.headers.get("traceparent") ?? "").split("-");
      assertEquals([version, traceId, rest], ["00", TRACE, ["01"]]);
      const call = collector.spans.find((span) => span.spanId === spanId);
      assertEquals(call?.parentSpanId, spanOf(ours, "pooled request").spanId);
    });

    await t.step("a failed statement has its SQLSTATE, and nothing holds a value or a key", () => {
      const failure = collector.spans.find(({ attributes }) => attributes["db.response.status_code"] === "22P02");
      assertEquals([failure?.name, failure?.status, failure?.attributes["error.type"]], ["SELECT", 2, "22P02"]);
      const all = collector.texts.join("\n");
      for (const secret of ["a secret value", "a literal", "sb_secret_test", "sb_publishable_test"]) {
        assertEquals(all.includes(secret), false, secret);
      }
    });

    await t.step("the metrics of pools and statements", () => {
      const points = (metric: string) => collector.metrics.get(metric)?.points ?? [];
      const duration = points("db.client.operation.duration");
      assertEquals(duration.reduce((sum, { count }) => sum + count, 0), 7);
      assertEquals(collector.metrics.get("db.client.operation.duration")?.unit, "s");
      const used = points("db.client.connection.count")
        .filter(({ attributes }) => attributes["db.client.connection.pool.name"] === "postgres");
      assertEquals(used.map(({ attributes }) => attributes["db.client.connection.state"]).sort(), ["idle", "used"]);
      const waits = points("db.client.connection.wait_time");
      assert(waits.length > 0 && waits.every(({ count }) => count > 0));
      const spans = collector.spans.filter(({ scope, attributes }) =>
        scope === "supabase-pool" && "db.system.name" in attributes
      );
      const parts = ["wait", "connect", "execution"];
      const total = spans.reduce(
        (sum, { attributes }) =>
          parts.reduce((all, part) => all + Number(attributes[`supabase_pool.${part}_time`]), sum),
        0,
      );
      assert(Math.abs(total - duration.reduce((sum, point) => sum + point.sum, 0)) < 1e-6, "spans and histogram agree");
    });
  },
});
