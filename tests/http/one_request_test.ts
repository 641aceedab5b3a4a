/** One request, followed through everything that observes it. */
import { assertEquals } from "@std/assert";
import * as api from "@opentelemetry/api";
import { installOpenTelemetry, MetricsRegistry, type MetricsSnapshot } from "../../shared/observability/mod.ts";
import { SupabaseConnectionPool } from "../../shared/supabase/mod.ts";
import { registerFakeProvider } from "../observability/tracing/otel/fake_provider.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { until } from "../support/until.ts";
import type { PoolSource } from "../support/http.ts";
import { setUp } from "./real_rig.ts";

installOpenTelemetry(api);

const ID = "0af7651916cd43dd8448eb211c80319c";

/** Returns the sum, in ms, and the count of a histogram. */
function read({ metrics }: MetricsSnapshot, name: string): readonly [sumMs: number, count: number] {
  const { sum = 0, counts = [] } = metrics.find((metric) => metric.name === name)?.series[0] ?? {};
  return [Math.round(sum * 1_000), counts.reduce((all, count) => all + count, 0)];
}

const WAITS = "db_client_connection_wait_time_seconds";
const USES = "db_client_connection_use_time_seconds";

Deno.test("one request has one id in log, span, response and call, and its times are the change of the histograms", async () => {
  using provider = registerFakeProvider();
  const clock = new FakeClock();
  await using project = startFakeProject();
  const config = { maxConnections: 1, minConnections: 0 };
  const pool = SupabaseConnectionPool.getInstance(project.url, "sb_publishable_test", config, { clock });
  const service: PoolSource<unknown> = {
    getConnectionPool: () => pool,
    getAdminPool: () => pool,
    shutdown: (deadlineMs) => pool.shutdown(deadlineMs),
  };
  await using rig = setUp(
    async (_request, ctx) => {
      const { error } = await ctx.supabase.from("things").select();
      if (error) throw error;
      return Response.json({ id: ctx.correlationId });
    },
    {},
    { service, tracing: true, logLevel: "debug" },
    clock,
  );
  const registry = new MetricsRegistry();
  const [waits, uses] = [registry.histogram(WAITS), registry.histogram(USES)];
  using _recorder = pool.record({
    waitTime: (ms) => waits.observe(ms / 1_000),
    useTime: (ms) => uses.observe(ms / 1_000),
  });
  // The first request loads what it needs.
  await (await rig.fetch("/f")).body?.cancel();
  provider.spans.length = project.requests.length = 0;

  const held = await pool.lease();
  const answer = Promise.withResolvers<Response>();
  project.answer = () => answer.promise;
  const pending = rig.fetch("/f", { headers: { traceparent: `00-${ID}-b7ad6b7169203331-01` } });
  await until("the request waits", () => pool.getStats().waitingForConnection === 1);
  await clock.advance(60);
  held.release();
  const before = registry.snapshot();
  await until("the call is sent", () => project.requests.length === 1);
  await clock.advance(40);
  answer.resolve(Response.json([]));
  const response = await pending;
  const own = () => rig.log.map((line) => JSON.parse(line)).filter(({ correlationId }) => correlationId === ID);
  await until("the release is logged", () => own().length === 2);
  const lines = own();

  const span = provider.spans.find(({ name }) => name === "pooled request");
  assertEquals((await response.json()).id, ID);
  assertEquals(response.headers.get("X-Correlation-Id"), ID);
  assertEquals([span?.traceId, span?.attributes["supabase_pool.correlation_id"]], [ID, ID]);
  assertEquals(lines.map(({ event }) => event), ["connection_acquired", "connection_released"]);
  assertEquals(project.requests[0]?.headers.get("traceparent"), `00-${ID}-${span?.spanId}-01`);

  const after = registry.snapshot();
  const changeOf = (name: string) => {
    const [[sumBefore, countBefore], [sum, count]] = [read(before, name), read(after, name)];
    return [sum - sumBefore, count - countBefore];
  };
  // The grant came before the snapshot, with the release of the other lease.
  assertEquals([read(before, WAITS)[0], read(after, WAITS)[0]], [60, 60]);
  assertEquals(changeOf(USES), [40, 1]);
  assertEquals([lines[0].data.waitedMs, lines[1].data.heldMs], [60, 40]);
  assertEquals(
    response.headers.get("Server-Timing"),
    "pool;dur=60.0, verify;dur=0.0, wait;dur=60.0, upstream;dur=40.0",
  );
  const parts = ["wait", "upstream", "verify"].map((part) => span?.attributes[`supabase_pool.${part}_time`]);
  assertEquals(parts, [0.06, 0.04, 0]);
});
