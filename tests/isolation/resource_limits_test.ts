/**
 * Limits on the load that one caller causes: the concurrent queries of a handler,
 * and the cost of a flood of health checks.
 *
 * @module
 */
import { assertEquals, assertGreater, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import { delay } from "@std/async";
import { setUp } from "../http/real_rig.ts";
import { sharedSecretToken } from "../http/tokens.ts";
import { until } from "../support/until.ts";

const QUERIES = 100;
const CALLS_PER_LEASE = 6;

Deno.test("withPooledSupabase() sends callsPerLease of a handler's 100 queries at once", async () => {
  await using rig = setUp(async (_request, { supabase, pool }) => {
    await using lease = await pool.lease();
    // The clients of a request share the limit of one lease.
    const clients = [supabase, lease.client];
    const results = await Promise.all(
      Array.from({ length: QUERIES }, (_, n) => clients[n % 2]?.from("items").select()),
    );
    return Response.json(results.filter((result) => result?.error === null).length);
  }, { POOL_CALLS_PER_LEASE: `${CALLS_PER_LEASE}`, POOL_MAX_CONNECTIONS: "4", POOL_ACQUIRE_TIMEOUT_MS: "120000" });
  rig.project.answer = async () => {
    await delay(1);
    return Response.json([]);
  };
  const as = await sharedSecretToken();
  assertEquals(await (await rig.fetch("/", { as })).json(), QUERIES);
  assertEquals([rig.project.requests.length, rig.project.load.most], [QUERIES, CALLS_PER_LEASE]);

  // Concurrent handlers: that limit for each slot of the pool.
  const answers = await Promise.all(Array.from({ length: 6 }, () => rig.fetch("/", { as })));
  assertEquals(await Promise.all(answers.map((answer) => answer.json())), Array(6).fill(QUERIES));
  assertGreater(rig.project.load.most, CALLS_PER_LEASE);
  assertLessOrEqual(rig.project.load.most, 4 * CALLS_PER_LEASE);
});

Deno.test("withPooledSupabase() serves a flood of health checks on a full pool with one query per second, and no slot or wait of a caller", async () => {
  await using rig = setUp(async (_request, { supabase }) => {
    const { error } = await supabase.from("items").select();
    return Response.json(error);
  }, { POOL_MAX_CONNECTIONS: "2", POOL_MAX_WAITERS: "1", POOL_ACQUIRE_TIMEOUT_MS: "60000" });
  const finish = Promise.withResolvers<void>();
  const isProbe = (path: string) => path.startsWith("/rest/v1/pool_health_probe");
  let probesAtOnce = 0;
  let mostProbes = 0;
  rig.project.answer = async ({ url }) => {
    if (!isProbe(new URL(url).pathname)) await finish.promise;
    mostProbes = Math.max(mostProbes, ++probesAtOnce);
    await delay(5);
    probesAtOnce--;
    return Response.json([]);
  };
  const probes = () => rig.project.requests.filter(({ path }) => isProbe(path)).length;
  // Two callers hold all slots and a third fills the queue.
  const callers = Array.from({ length: 3 }, () => rig.fetch("/"));
  await until(
    "two calls run and one waits",
    () => rig.project.requests.length >= 2 && rig.service.getPoolStats().waitingForConnection >= 1,
  );
  const before = rig.service.getPoolStats();
  assertEquals([before.activeConnections, before.waitingForConnection], [2, 1]);

  const flood = async () => {
    const answers = await Promise.all(Array.from({ length: 500 }, () => rig.fetch("/f/health/pool")));
    for (const answer of answers) {
      const { status, details } = await answer.json();
      // The pool is full: "warn". The check itself did not wait for a slot.
      assertEquals([answer.status, status, details.testQuery], [200, "warn", { success: true }]);
    }
  };
  const startMs = performance.now();
  const seconds = () => Math.floor((performance.now() - startMs) / 1_000);
  await flood();
  await flood();
  // One, unless this machine is so slow that the flood itself takes seconds.
  assertLessOrEqual(probes(), 1 + seconds());
  const { activeConnections, waitingForConnection, totalAcquired, totalCreated } = rig.service.getPoolStats();
  assertEquals([activeConnections, waitingForConnection], [2, 1]);
  assertEquals([totalAcquired, totalCreated], [before.totalAcquired, before.totalCreated]);
  await delay(1_000);
  await flood();
  assertGreaterOrEqual(probes(), 2);
  assertLessOrEqual(probes(), 1 + seconds());
  assertEquals(mostProbes, 1);
  finish.resolve();
  for (const caller of callers) assertEquals(await (await caller).json(), null);
});
