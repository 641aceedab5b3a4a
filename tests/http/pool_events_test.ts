/** The lines about the connections of requests. */
import { assertEquals, assertThrows } from "@std/assert";
import { delay } from "@std/async";
import { PoolEvents, readLogSettings } from "../../shared/http/logging/pool_events.ts";
import { StructuredLog } from "../../shared/observability/mod.ts";
import { VariableReader } from "../../shared/environment/mod.ts";
import { type PooledHandler, withPooledSupabase } from "../support/http.ts";
import { until } from "../support/until.ts";
import { setUp } from "./real_rig.ts";

const list: PooledHandler<unknown> = async (_request, ctx) => {
  const { error } = await ctx.supabase.from("things").select();
  if (error) throw error;
  return Response.json([]);
};

Deno.test("withPooledSupabase() logs the leases of a request under its id, with POOL_LOG_LEVEL=debug", async () => {
  await using rig = setUp(list, { POOL_LOG_LEVEL: "debug", POOL_MAX_CONNECTIONS: "1" });
  rig.project.answer = async () => {
    await delay(30);
    return Response.json([]);
  };
  await Promise.all(["one", "two"].map((id) => rig.fetch("/f", { headers: { "x-request-id": id } })));
  await until("both requests are logged", () => rig.log.length === 4);
  const lines = rig.log.map((line) => JSON.parse(line));
  for (const id of ["one", "two"]) {
    const own = lines.filter(({ correlationId }) => correlationId === id);
    assertEquals(own.map(({ event }) => event), ["connection_acquired", "connection_released"]);
    assertEquals(own[0].data.connectionId, own[1].data.connectionId);
    assertEquals(own[1].data.heldMs >= 29, true);
  }
  assertEquals(Math.max(...lines.map(({ data }) => data.waitedMs ?? 0)) >= 29, true);
});

Deno.test("withPooledSupabase() logs failed health checks from warn on, and nothing about connections by default", async () => {
  await using rig = setUp(list, {}, { logLevel: "warn" });
  // No request uses the pool, and the first check may come before the log is loaded.
  await (await rig.fetch("/f/health/pool")).body?.cancel();
  await delay(1_100);
  rig.project.answer = () => new Response("down", { status: 500 });
  await (await rig.fetch("/f/health/pool")).body?.cancel();
  assertEquals(rig.log.map((line) => JSON.parse(line)).map(({ event, level }) => [event, level]), [
    ["health_check", "warn"],
  ]);
  await using plain = setUp(list);
  await plain.fetch("/f");
  plain.project.answer = () => new Response("down", { status: 500 });
  await (await plain.fetch("/f/health/pool")).body?.cancel();
  assertEquals(plain.log, []);
});

Deno.test("withPooledSupabase() writes no line that is less severe than logLevel", async () => {
  const fails: PooledHandler<unknown> = () => Promise.reject(new Error("boom"));
  await using rig = setUp(fails, { POOL_LOG_LEVEL: "error" });
  await (await rig.fetch("/f")).body?.cancel();
  assertEquals(rig.log.map((line) => JSON.parse(line).event), ["request_failed"]);
  await using held = setUp(list, { POOL_LOG_LEVEL: "error", POOL_MAX_CONNECTIONS: "1", POOL_ACQUIRE_TIMEOUT_MS: "1" });
  await using _lease = await held.service.getConnectionPool().lease();
  // A line `request_refused` is a warning.
  assertEquals([(await held.fetch("/f")).status, held.log], [503, []]);
});

Deno.test("withPooledSupabase() logs all leases of a request or none, with POOL_LOG_SAMPLE", async () => {
  const both: PooledHandler<unknown> = async (_request, ctx) => {
    for (const client of [ctx.supabase, ctx.supabaseAdmin]) {
      const { error } = await client.from("things").select();
      if (error) throw error;
    }
    return Response.json([]);
  };
  await using rig = setUp(both, { POOL_LOG_LEVEL: "debug", POOL_LOG_SAMPLE: "0.5" });
  const seen = new Map<string, number>();
  // At most 50 lines at once: half of 20 requests have 40.
  for (let index = 0; index < 20; index++) {
    await (await rig.fetch("/f", { headers: { "x-request-id": `request-${index}` } })).body?.cancel();
    await delay(1);
  }
  await delay(5);
  for (const line of rig.log) {
    const { event, correlationId } = JSON.parse(line);
    assertEquals(["connection_acquired", "connection_released"].includes(event), true, line);
    seen.set(correlationId, (seen.get(correlationId) ?? 0) + 1);
  }
  assertEquals(seen.size > 0 && seen.size < 20, true, String(seen.size));
  assertEquals([...seen.values()].every((count) => count === 4), true, JSON.stringify([...seen]));
});

Deno.test("PoolEvents serves requests when the lines about connections cannot be written, and says so once", async () => {
  const lines: string[] = [];
  const log = new StructuredLog({ sink: (line) => lines.push(line) });
  const events = new PoolEvents(log, { sample: 7 });
  await Promise.all([events.loading, events.loading]);
  await events.loading;
  assertEquals([events.pools, lines.map((line) => JSON.parse(line).event)], [undefined, [
    "connection_log_unavailable",
  ]]);
});

Deno.test("readLogSettings() reads POOL_LOG_LEVEL and POOL_LOG_SAMPLE, and rejects others by name", () => {
  const read = (variables: Record<string, string>) => {
    const reader = new VariableReader(variables);
    return { ...readLogSettings(reader), issues: reader.issues.map(({ path }) => path) };
  };
  assertEquals(read({}), { level: undefined, sample: undefined, issues: [] });
  assertEquals(read({ POOL_LOG_LEVEL: " DEBUG ", POOL_LOG_SAMPLE: "0.1" }), {
    level: "debug",
    sample: 0.1,
    issues: [],
  });
  for (const bad of ["2", "-1", "x", "NaN"]) assertEquals(read({ POOL_LOG_SAMPLE: bad }).issues, ["POOL_LOG_SAMPLE"]);
  assertEquals(read({ POOL_LOG_LEVEL: "loud" }).issues, ["POOL_LOG_LEVEL"]);
  for (const bad of [{ logLevel: "loud" as never }, { logSample: 2 }, { logSample: "1" as never }]) {
    assertThrows(() => withPooledSupabase(bad, list), Error, Object.keys(bad)[0]);
  }
});
