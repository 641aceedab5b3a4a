/** Tests the leases of `ctx.pool` and `ctx.adminPool`, on real pools. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async";
import { type PooledContext, type PooledHandler, withPooledSupabase } from "../support/http.ts";
import { DoubleReleaseError, LeaseReleasedError } from "../../shared/pool/mod.ts";
import { SupabaseService } from "../../shared/services/mod.ts";
import { readEnvironment } from "../support/http.ts";
import type { ClientLease } from "../../shared/supabase/mod.ts";
import { startFakeProject } from "../support/fake_project.ts";

/** The error of a call that is sent after its lease has ended, as supabase-js returns it. */
const RELEASED = "LeaseReleasedError: Cannot use this lease";

/** Sets up a function whose pools have two slots each. */
function setUp(handler: PooledHandler<unknown>) {
  const project = startFakeProject();
  const variables = {
    SUPABASE_URL: project.url,
    SUPABASE_PUBLISHABLE_KEY: "sb_publishable_test",
    SUPABASE_SECRET_KEY: "sb_secret_test",
    SUPABASE_JWKS: '{"keys":[]}',
    POOL_MAX_CONNECTIONS: "2",
    POOL_ACQUIRE_TIMEOUT_MS: "1000",
  };
  const service = new SupabaseService<unknown>(readEnvironment(variables));
  const log: string[] = [];
  const handle = withPooledSupabase<unknown>(
    { auth: "none", variables, service, log: (line) => log.push(line) },
    handler,
  );
  return {
    project,
    service,
    /** Event, code and count of each line. */
    logged: () => log.map((line) => JSON.parse(line)).map(({ event, data }) => [event, data.code, data.count] as const),
    log,
    send: async () => {
      const response = await handle(new Request("https://x.test/f"));
      await response.body?.cancel();
      return response.status;
    },
    active: () =>
      service.getConnectionPool().getStats().activeConnections + service.getAdminPool().getStats().activeConnections,
    async [Symbol.asyncDispose]() {
      await service.shutdown(0);
      await project[Symbol.asyncDispose]();
    },
  };
}

Deno.test("withPooledSupabase() releases the leases that a handler forgot with its response, and logs them in one line", async () => {
  const kept: ClientLease<unknown>[] = [];
  await using rig = setUp(async (_request, { pool, adminPool }) => {
    kept.push(await pool.lease(), await adminPool.lease());
    return new Response();
  });
  for (let i = 0; i < 5; i++) assertEquals([await rig.send(), rig.active()], [200, 0]);
  assertEquals(rig.logged(), [["lease_forgotten", "LEASE_FORGOTTEN", 1]]);
  assertStringIncludes(rig.log[0] ?? "", "2 lease(s)");
  assertEquals(kept.length, 10);
  for (const { client } of kept) assertStringIncludes((await client.from("x").select()).error?.message ?? "", RELEASED);
  assertEquals(rig.project.requests, []);
});

Deno.test("withPooledSupabase() does not log a released lease, whichever way it was released", async () => {
  await using rig = setUp(async (_request, { pool }) => {
    {
      await using _one = await pool.lease();
      using _two = await pool.lease();
    }
    const lease = await pool.lease();
    lease.release();
    await assertRejects(async () => await lease.release(), DoubleReleaseError);
    return new Response();
  });
  assertEquals([await rig.send(), rig.active(), rig.logged()], [200, 0, []]);
});

Deno.test("ctx.waitUntil() keeps the leases of its work until the work has settled", async () => {
  const go = Promise.withResolvers<void>();
  const done = Promise.withResolvers<unknown>();
  await using rig = setUp((_request, { pool, waitUntil }) => {
    waitUntil((async () => {
      await using lease = await pool.lease();
      await go.promise;
      done.resolve((await lease.client.from("log").select()).error);
    })());
    waitUntil(pool.lease());
    return new Response();
  });
  await rig.send();
  await delay(1);
  // Both leases of the request share its slot.
  assertEquals([rig.active(), rig.logged()], [1, []]);
  go.resolve();
  assertEquals(await done.promise, null);
  await delay(1);
  assertEquals([rig.active(), rig.logged().length, rig.project.requests.length], [0, 1, 1]);
});

Deno.test("ctx.pool.lease() leaves the queue when the handler returns, and its lease is released", async () => {
  let late: Promise<ClientLease<unknown>> | undefined;
  await using rig = setUp((_request, { pool }) => {
    late = pool.lease();
    return new Response();
  });
  const pool = rig.service.getConnectionPool();
  const first = await pool.lease();
  const second = await pool.lease();
  await rig.send();
  assertEquals([pool.getStats().waitingForConnection, rig.logged().length], [0, 1]);
  first.release();
  second.release();
  const lease = await late;
  assertStringIncludes((await lease?.client.from("x").select())?.error?.message ?? "", RELEASED);
  lease?.release();
  assertEquals([rig.active(), rig.logged().length], [0, 1]);
});

Deno.test("ctx.pool rejects leases after its request", async () => {
  let kept: PooledContext<unknown> | undefined;
  await using rig = setUp((_request, context) => {
    kept = context;
    return new Response();
  });
  await rig.send();
  await assertRejects(async () => await kept?.pool.lease(), LeaseReleasedError, "the scope is closed");
  assertStringIncludes((await kept?.pool.client().from("x").select())?.error?.message ?? "", RELEASED);
  // Logged once, with the remedy.
  assertEquals([rig.active(), rig.logged()], [0, [["call_refused", "REQUEST_ENDED", 1]]]);
  assertStringIncludes(rig.log[0] ?? "", "ctx.waitUntil");
});

Deno.test("withPooledSupabase() logs the error of a lease's call although supabase-js flattens it, released or not", async () => {
  for (const holds of [true, false]) {
    await using rig = setUp(async (_request, { pool }) => {
      const lease = await pool.lease();
      const { error } = await lease.client.from("x").select();
      if (!holds) lease.release();
      for (let others = 0; others < 7; others++) (await pool.lease()).release();
      throw error;
    });
    rig.project.answer = () => new Response(null, { status: 302, headers: { Location: "http://elsewhere.test/" } });
    assertEquals([await rig.send(), rig.active()], [500, 0]);
    assertEquals(rig.logged().map(([, code]) => code), ["FOREIGN_ADDRESS"], `${holds}`);
  }
});

Deno.test("withPooledSupabase() releases the leases of a handler that throws, and logs its error", async () => {
  await using rig = setUp(async (_request, { pool }) => {
    await pool.lease();
    throw new TypeError("boom");
  });
  assertEquals([await rig.send(), rig.active()], [500, 0]);
  assertEquals(rig.logged().map(([event]) => event), ["request_failed"]);
});
