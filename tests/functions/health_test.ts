import { assert, assertEquals, assertRejects } from "@std/assert";
import { delay } from "@std/async";
import { createBudgetsHandler } from "../../functions/budgets/handler.ts";
import { createHealthHandler } from "../../functions/health/handler.ts";
import { AcquireTimeoutError } from "../../shared/mod.ts";
import { type Fixture, startFunction } from "./fixture.ts";
import { until } from "../support/until.ts";

const ANONYMOUS = { Authorization: undefined, apikey: undefined };

interface Health {
  readonly status: string;
  readonly healthy: boolean;
  readonly details: {
    readonly stats: Readonly<Record<string, number>>;
    readonly testQuery: { readonly success: boolean; readonly error?: string };
  };
}

async function getHealth(
  fixture: Fixture,
  path: string,
  headers: Record<string, string | undefined> = ANONYMOUS,
): Promise<Health & { readonly code: number }> {
  const response = await fixture.ask("GET", path, { headers });
  return { ...await response.json() as Health, code: response.status };
}

const ENDPOINTS = [[createHealthHandler, "/health/pool"], [createBudgetsHandler, "/budgets/health/pool"]] as const;

for (const [create, path] of ENDPOINTS) {
  Deno.test(`GET ${path} is 200 for a project that responds and 503 for one that does not`, async () => {
    for (const status of [200, 503]) {
      await using fixture = await startFunction(create);
      fixture.project.answer = () => Response.json({ message: "away" }, { status });
      const { code, status: word, healthy, details } = await getHealth(fixture, path);
      assertEquals([code, word, healthy], [status, status === 200 ? "pass" : "fail", status === 200]);
      assertEquals(details.testQuery, { success: status === 200 });
      const { details: { testQuery } } = await getHealth(fixture, path, { apikey: "sb_secret_default" });
      assertEquals(testQuery.error, status === 200 ? undefined : "away");
    }
  });

  Deno.test(`GET ${path} is 200 while every slot is leased and callers wait, with correct counters`, async () => {
    await using fixture = await startFunction(create);
    const pool = fixture.service.getConnectionPool();
    const leases = [await pool.lease(), await pool.lease(), await pool.lease()];
    const waiting = pool.lease();
    await assertRejects(() => pool.lease({ timeoutMs: 1 }), AcquireTimeoutError);
    const before = pool.getStats();

    const responses = await Promise.all(Array.from({ length: 50 }, () => getHealth(fixture, path)));
    for (const { code, status, healthy, details } of responses) {
      assertEquals([code, status, healthy, details.testQuery], [200, "warn", true, { success: true }]);
      assertEquals(details.stats, {
        totalConnections: 3,
        activeConnections: 3,
        idleConnections: 0,
        waitingForConnection: 1,
        totalAcquired: 3,
        totalReleased: 0,
        totalCreated: 3,
        totalDestroyed: 0,
      });
    }
    assertEquals(fixture.project.requests.length, 1);
    assertEquals(pool.getStats(), before);

    for (const lease of leases) lease.release();
    (await waiting).release();
  });
}

Deno.test("GET /health/pool is not failed by a client that disconnects during the probe", async () => {
  await using fixture = await startFunction(createHealthHandler);
  const release = Promise.withResolvers<void>();
  fixture.project.answer = async () => {
    await release.promise;
    return Response.json([]);
  };
  const client = new AbortController();
  const first = fixture.ask("GET", "/health/pool", { headers: ANONYMOUS, signal: client.signal });
  await until("the request arrives", () => fixture.project.requests.length > 0);
  client.abort();
  const second = getHealth(fixture, "/health/pool");
  await delay(5);
  release.resolve();
  assertEquals((await second).healthy, true);
  await (await first).body?.cancel();
  assertEquals(fixture.project.requests.length, 1);
});

Deno.test("the health function responds 405 to other methods and 404 to other paths", async () => {
  await using fixture = await startFunction(createHealthHandler);
  const post = await fixture.ask("POST", "/health/pool", { headers: ANONYMOUS });
  assertEquals([post.status, post.headers.get("Allow")], [405, "GET, HEAD"]);
  const unknown = await fixture.ask("GET", "/health", { headers: ANONYMOUS });
  assertEquals(unknown.status, 404);
  for (const response of [post, unknown]) await response.body?.cancel();
  const health = await fixture.ask("GET", "/health/pool", { headers: ANONYMOUS });
  assert(health.headers.get("Content-Type") === "application/health+json");
  await health.body?.cancel();
});
