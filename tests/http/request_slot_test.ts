/** Tests that a request holds one slot, also with nested services, and only while it needs it. */
import { assert, assertEquals, assertGreaterOrEqual } from "@std/assert";
import { delay } from "@std/async";
import type { SupabaseClient } from "@supabase/supabase-js";
import { PooledBaseService } from "../../shared/services/mod.ts";
import type { PooledHandler } from "../support/http.ts";
import { setUp } from "./real_rig.ts";
import { sharedSecretToken } from "./tokens.ts";
import { until } from "../support/until.ts";

/** A service whose operations lease clients inside each other. */
class NestedService extends PooledBaseService {
  nested(depth: number): Promise<number> {
    return this.withPooledClient(async (client) => {
      const { error } = await client.from(`depth-${depth}`).select();
      if (error) this.handleError(error);
      return depth === 0 ? 1 : 1 + await new NestedService(this.pool).nested(depth - 1);
    });
  }

  // deno-lint-ignore no-explicit-any -- the rows of a test have no schema
  retried(attempt: (client: SupabaseClient<any>) => PromiseLike<{ error: unknown }>): Promise<{ error: unknown }> {
    return this.withRetry(attempt, 3, 1, { idempotent: true });
  }
}

const ONE = { POOL_MAX_CONNECTIONS: "1", POOL_ACQUIRE_TIMEOUT_MS: "2000" };

Deno.test("ctx.pool shares one slot among nested services", async () => {
  await using rig = setUp(async (_request, { pool }) => Response.json(await new NestedService(pool).nested(2)), ONE);
  const as = await sharedSecretToken();
  const answers = await Promise.all(Array.from({ length: 10 }, () => rig.fetch("/f", { as })));
  for (const answer of answers) assertEquals([answer.status, await answer.json()], [200, 3]);
  assertEquals([rig.project.requests.length, rig.project.load.most], [30, 1]);
  assert(rig.project.requests.every(({ authorization }) => authorization === `Bearer ${as}`));
  assertEquals(rig.service.getPoolStats().activeConnections, 0);
  assertEquals(rig.service.getPoolStats().totalAcquired, 10);
});

Deno.test("ctx.pool shares one slot with the handler's lease, ctx.supabase and retries; ctx.adminPool does too", async () => {
  const rows: Record<string, PooledHandler<unknown>> = {
    "a lease around": async (_request, { pool }) => {
      await using _lease = await pool.lease();
      return Response.json(await new NestedService(pool).nested(1));
    },
    "ctx.supabase before": async (_request, { pool, supabase }) => {
      await supabase.from("mine").select();
      return Response.json(await new NestedService(pool).nested(1));
    },
    "ctx.supabase inside": async (_request, { pool, supabase }) => {
      await using _lease = await pool.lease();
      const { error } = await supabase.from("mine").select();
      if (error) throw error;
      return Response.json(await new NestedService(pool).nested(1));
    },
    "the admin pool": async (_request, { adminPool, supabaseAdmin }) => {
      await supabaseAdmin.from("all").select();
      return Response.json(await new NestedService(adminPool).nested(1));
    },
    "in a retry": async (_request, { pool }) => {
      let nested = 0;
      await new NestedService(pool).retried(async () => {
        nested = await new NestedService(pool).nested(1);
        return { error: null };
      });
      return Response.json(nested);
    },
  };
  for (const [name, handler] of Object.entries(rows)) {
    await using rig = setUp(handler, ONE);
    const answers = await Promise.all([rig.fetch("/f"), rig.fetch("/f")]);
    for (const answer of answers) assertEquals([answer.status, await answer.json()], [200, 2], name);
    await delay(1);
    assertEquals(rig.service.getPoolStats().activeConnections, 0, name);
    assertEquals(rig.log, [], name);
  }
});

Deno.test("ctx.pool releases its slot between two operations of a service", async () => {
  const go = Promise.withResolvers<void>();
  await using rig = setUp(async (_request, { pool }) => {
    await new NestedService(pool).nested(0);
    await go.promise;
    return Response.json(await new NestedService(pool).nested(0));
  }, ONE);
  const answer = rig.fetch("/f");
  await until("the request arrives", () => rig.project.requests.length > 0);
  await delay(2);
  assertEquals(rig.service.getPoolStats().activeConnections, 0);
  go.resolve();
  assertEquals((await answer).status, 200);
});

Deno.test("withPooledSupabase() limits 100 queries of one request to callsPerLease at once", async () => {
  await using rig = setUp(async (_request, { supabase, pool }) => {
    const service = new NestedService(pool);
    const own = Array.from({ length: 50 }, () => supabase.from("a").select());
    const theirs = Array.from({ length: 50 }, () => service.nested(0));
    await Promise.all<unknown>([...own, ...theirs]);
    return new Response();
  }, { POOL_MAX_CONNECTIONS: "20" });
  rig.project.answer = async () => {
    await delay(1);
    return Response.json([]);
  };
  assertEquals((await rig.fetch("/f")).status, 200);
  assertEquals([rig.project.requests.length, rig.project.load.most], [100, 6]);
});

Deno.test("ctx.pool returns statistics and health, and its client() accepts a lane", async () => {
  await using rig = setUp(async (request, { pool }) => {
    const lane = new URL(request.url).pathname === "/first" ? "high" : "low";
    assertEquals(pool.getStats().totalConnections, rig.service.getPoolStats().totalConnections);
    assertEquals((await pool.healthCheck()).healthy, true);
    const { error } = await pool.client({ lane }).from(lane).select();
    if (error) throw error;
    return new Response();
  }, ONE);
  const holder = await rig.service.getConnectionPool().lease();
  const answers = [rig.fetch("/second"), rig.fetch("/first")];
  await until("two requests wait", () => rig.service.getPoolStats().waitingForConnection >= 2);
  holder.release();
  await Promise.all(answers);
  const lanes = rig.project.requests.map(({ path }) => /rest\/v1\/(high|low)/.exec(path)?.[1]).filter(Boolean);
  assertEquals(lanes, ["high", "low"]);
});

Deno.test("withPooledSupabase() applies the lane and the timeout of its option lease to ctx.supabase", async () => {
  const list: PooledHandler<unknown> = async (_request, { supabase }) => {
    const { error } = await supabase.from("a").select();
    if (error) throw error;
    return new Response();
  };
  await using rig = setUp(list, ONE, { lease: { lane: "low", timeoutMs: 300 } });
  const holder = await rig.service.getConnectionPool().lease();
  const startMs = performance.now();
  const answer = await rig.fetch("/f");
  assertEquals([answer.status, (await answer.json()).code], [503, "ACQUIRE_TIMEOUT"]);
  assert(performance.now() - startMs < 8_000);
  assertGreaterOrEqual(performance.now() - startMs, 290);
  const low = rig.fetch("/low");
  const waiting = () => rig.service.getPoolStats().waitingForConnection;
  await until("a request waits", () => waiting() >= 1);
  const normal = rig.service.getConnectionPool().lease();
  assertEquals(waiting(), 2);
  holder.release();
  (await normal).release(); // queued after the request, and served before it
  assertEquals([(await low).status, rig.project.requests.length], [200, 1]);
});

Deno.test("withPooledSupabase() holds no slot while the caller reads the response slowly", async () => {
  const rows = "x".repeat(2_000_000);
  await using rig = setUp(async (_request, { supabase }) => {
    const { data } = await supabase.from("big").select();
    return Response.json(data);
  }, ONE);
  rig.project.answer = () => Response.json([rows]);
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const answer = await rig.fetch(new URL(request.url).pathname);
    answer.headers.set("Connection", "close"); // an older Deno waits for idle connections when it shuts down
    return answer;
  });
  const slow = await fetch(`http://127.0.0.1:${server.addr.port}/slow`);
  const reader = (slow.body ?? new ReadableStream<Uint8Array>()).getReader();
  await reader.read();
  await until("the lease ends", () => rig.service.getPoolStats().activeConnections === 0);
  const next = await fetch(`http://127.0.0.1:${server.addr.port}/next`);
  assertEquals((await next.json())[0].length, rows.length);
  let length = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) length += part.value.length;
  assert(length > 0);
  await server.shutdown();
});

Deno.test("ctx.waitUntil() work holds the slot during its calls only", async () => {
  const go = Promise.withResolvers<void>();
  const work = Promise.withResolvers<void>();
  await using rig = setUp(async (_request, { supabase, waitUntil }) => {
    await supabase.from("a").select();
    waitUntil((async () => {
      await go.promise;
      await supabase.from("b").select();
      await work.promise;
    })());
    return new Response("at once");
  }, ONE);
  const active = () => rig.service.getPoolStats().activeConnections;
  const during: number[] = [];
  rig.project.answer = () => {
    during.push(active());
    return Response.json([]);
  };
  assertEquals(await (await rig.fetch("/f")).text(), "at once");
  assertEquals(active(), 0);
  go.resolve();
  await until("both requests are counted", () => during.length >= 2);
  await until("the leases end", () => active() === 0);
  assertEquals(during, [1, 1]);
  work.resolve();
});
