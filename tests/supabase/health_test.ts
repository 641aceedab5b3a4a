import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async";
import { QueueFullError } from "../../shared/pool/mod.ts";
import { createRig } from "./support.ts";
import { until } from "../support/until.ts";

Deno.test("SupabaseConnectionPool.healthCheck() runs one query for a flood of checks", async () => {
  await using rig = createRig();
  const { pool, project } = rig;
  const checks = await Promise.all(Array.from({ length: 100 }, () => pool.healthCheck()));
  assert(checks.every(({ healthy, details }) => healthy && details.testQuery.success));
  assertEquals((await pool.healthCheck()).healthy, true);
  assertEquals(project.requests.length, 1);
});

Deno.test("SupabaseConnectionPool.healthCheck() is healthy while every slot is leased and the queue is full", async () => {
  await using rig = createRig({ maxConnections: 2, minConnections: 0, maxWaiters: 1, acquireTimeoutMs: 60_000 });
  const { pool } = rig;
  const held = [await pool.lease(), await pool.lease()];
  const waiting = pool.lease();
  await assertRejects(() => pool.lease(), QueueFullError);
  const before = pool.getStats();

  const { healthy, details } = await pool.healthCheck();
  assertEquals([healthy, details.testQuery.success], [true, true]);
  const { totalConnections, activeConnections, idleConnections, waitingForConnection } = details.stats;
  assertEquals([totalConnections, activeConnections, idleConnections, waitingForConnection], [2, 2, 0, 1]);
  for (const stats of [details.stats, pool.getStats()]) {
    assertEquals(stats, before);
  }

  for (const lease of held) lease.release();
  (await waiting).release();
});

Deno.test("SupabaseConnectionPool.healthCheck() emits no event of the pool and runs while the queue is served", async () => {
  await using rig = createRig();
  const { pool } = rig;
  const events: string[] = [];
  for (const name of ["created", "destroyed", "acquired", "released", "waited"] as const) {
    pool.on(name, () => events.push(name));
  }
  await pool.healthCheck();
  await delay(0);
  assertEquals(events, []);
});

Deno.test("SupabaseConnectionPool.healthCheck() is unhealthy when the project fails or cannot be reached", async () => {
  await using rig = createRig();
  rig.project.answer = () => Response.json({ message: "the database is down" }, { status: 503 });
  const { healthy, details } = await rig.pool.healthCheck();
  assertEquals([healthy, details.testQuery.success], [false, false]);
  assertEquals(details.testQuery.error, "the database is down");

  await using aborted = createRig();
  await aborted.project[Symbol.asyncDispose]();
  assertEquals((await aborted.pool.healthCheck()).healthy, false);
});

Deno.test("SupabaseConnectionPool.healthCheck() ends a query that never settles, and frees the probe slot", async () => {
  let hung = true;
  const healthQuery = () => hung ? new Promise<never>(() => {}) : Promise.resolve({ error: null });
  await using rig = createRig({ acquireTimeoutMs: 30, healthQuery });
  const { error } = (await rig.pool.healthCheck()).details.testQuery;
  assertEquals(error, "The health check timed out after 30 ms");
  hung = false;
  await delay(1_000);
  assertEquals((await rig.pool.healthCheck()).details.testQuery.success, true);
});

Deno.test("SupabaseConnectionPool.shutdown() ends a health check, and later ones query nothing", async () => {
  await using rig = createRig();
  let aborted = false;
  rig.project.answer = (request) => {
    request.signal.addEventListener("abort", () => aborted = true);
    return new Promise(() => {});
  };
  const check = rig.pool.healthCheck();
  await until("the request arrives", () => rig.project.requests.length > 0);
  await rig.pool.shutdown(0);
  const { healthy, details } = await check;
  assertEquals([healthy, details.testQuery.success], [false, false]);
  assertStringIncludes(details.testQuery.error ?? "", "shut down");
  for (let round = 0; round < 400 && !aborted; round++) await delay(5);
  assertEquals(aborted, true);
  assertEquals((await rig.pool.healthCheck()).healthy, false);
  assertEquals(rig.project.requests.length, 1);
});

Deno.test("queryDataApi() is healthy on a project without its table, with rows, and on nothing else", async () => {
  const responses: [boolean, Response][] = [
    [true, Response.json({ code: "PGRST205", message: "no such table" }, { status: 404 })],
    [true, Response.json({ code: "42P01", message: "relation does not exist" }, { status: 404 })],
    [true, Response.json([])],
    [false, Response.json({ message: "Invalid API key" }, { status: 401 })],
    [false, Response.json({ message: "You cannot consume this service" }, { status: 403 })],
    [false, new Response("no such host", { status: 404 })],
    [false, Response.json({ code: "PGRST002", message: "no schema cache" }, { status: 503 })],
    [false, new Response(null, { status: 540 })],
  ];
  for (const [healthy, response] of responses) {
    await using rig = createRig();
    rig.project.answer = () => response.clone();
    const { details } = await rig.pool.healthCheck();
    assertEquals(details.testQuery.success, healthy, `${response.status} ${details.testQuery.error}`);
    assertEquals(rig.project.requests.map(({ method }) => method), ["GET"]);
    assertStringIncludes(rig.project.requests[0]?.path ?? "", "/rest/v1/pool_health_probe");
  }
});
