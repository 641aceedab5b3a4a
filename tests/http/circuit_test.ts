/** Tests responses, health and log while a circuit breaker is open, and the log of a limit. */
import { assert, assertEquals, assertFalse } from "@std/assert";
import { PooledBaseService } from "../../shared/services/mod.ts";
import type { PooledHandler } from "../support/http.ts";
import { until } from "../support/until.ts";
import { setUp } from "./real_rig.ts";

type Context = Parameters<PooledHandler<unknown>>[1];

class NoteService extends PooledBaseService {
  add(wholeResult: boolean): Promise<unknown> {
    return this.withPooledClient(async (client) => {
      const result = await client.from("notes").insert([]);
      if (result.error) this.handleError(wholeResult ? result : result.error);
      return result.data;
    });
  }

  addAgain(): Promise<unknown> {
    return this.withRetry(async (client) => {
      const { data, error } = await client.from("notes").insert([]);
      if (error) this.handleError(error);
      return data;
    });
  }
}

/** The ways in which a handler meets the open circuit. */
const WAYS: Record<string, (ctx: Context) => PromiseLike<unknown>> = {
  "throw error": async ({ supabase }) => {
    const { error } = await supabase.from("notes").insert([]);
    throw error;
  },
  "throwOnError()": ({ supabase }) => supabase.from("notes").insert([]).throwOnError(),
  "handleError(error)": ({ pool }) => new NoteService(pool).add(false),
  "handleError(result)": ({ pool }) => new NoteService(pool).add(true),
  "a read that is not retried": async ({ supabase }) => {
    const { error } = await supabase.from("notes").select().retry(false);
    throw error;
  },
  "a file of the storage": async ({ supabase }) => {
    const { error } = await supabase.storage.from("notes").download("a.txt");
    throw error;
  },
  "another function": async ({ supabase }) => {
    const { error } = await supabase.functions.invoke("notes");
    throw error;
  },
  "Auth": async ({ supabaseAdmin }) => {
    const { error } = await supabaseAdmin.auth.admin.listUsers();
    throw error;
  },
};
/** The targets of these ways. */
const TARGETS = ["rest", "storage", "functions/notes", "auth"];

for (const [way, ask] of Object.entries(WAYS)) {
  Deno.test(`withPooledSupabase() responds 503 CIRCUIT_OPEN with Retry-After, and sends nothing: ${way}`, async () => {
    await using rig = setUp(async (_request, ctx) => Response.json(await ask(ctx) ?? null));
    for (const pool of [rig.service.getConnectionPool(), rig.service.getAdminPool()]) {
      // By hand: a circuit that is open by its rules ends while a loaded machine serves the first request.
      for (const target of TARGETS) pool.circuits.force(target, "open");
    }
    const response = await rig.fetch("/notes");
    assertEquals([response.status, response.headers.get("Retry-After")], [503, "1"]);
    assertEquals(response.headers.get("Content-Type"), "application/problem+json");
    const { code, detail } = await response.json();
    assertEquals(code, "CIRCUIT_OPEN");
    assertFalse(JSON.stringify(detail).includes("127.0.0.1"));
    assertEquals(rig.project.requests.length, 0);
    const lines = rig.log.map((line) => JSON.parse(line));
    assertEquals(lines.map(({ event, level }) => [event, level]), [["request_refused", "warn"]]);
  });
}

Deno.test("PooledBaseService.withRetry() waits until the circuit closes, without counting an attempt", async () => {
  await using rig = setUp(async (_request, { pool }) => Response.json(await new NoteService(pool).addAgain() ?? null), {
    POOL_MAX_RETRIES: "1",
  });
  rig.service.getConnectionPool().circuits.seed({ rest: { state: "open", retryAfterMs: 100 } });
  const response = await rig.fetch("/notes");
  assertEquals(response.status, 200);
  await response.body?.cancel();
  assertEquals(rig.project.requests.length, 1);
});

Deno.test("withPooledSupabase() logs once that a circuit opened, and once that it closed", async () => {
  await using rig = setUp(async (_request, { supabase }) => {
    const { error } = await supabase.from("notes").insert([]);
    if (error) throw error;
    return new Response("added");
  });
  rig.project.answer = () => new Response("down", { status: 503 });
  const pool = rig.service.getConnectionPool();
  for (let i = 0; i < 30; i++) await (await rig.fetch("/notes")).body?.cancel();
  assertEquals(rig.project.requests.length, 10);
  rig.project.answer = () => new Response(null, { status: 201 });
  await until("the circuit closes", async () => {
    const { status, body } = await rig.fetch("/notes");
    await body?.cancel();
    return status === 200;
  });
  assertEquals(pool.circuits.snapshot(), { rest: { state: "closed" } });
  const circuit = rig.log.map((line) => JSON.parse(line)).filter(({ event }) => event.startsWith("circuit"));
  assertEquals(circuit.map(({ event, level, data }) => [event, level, data.target, data.reason]), [
    ["circuit_opened", "warn", "rest", "consecutive failures"],
    ["circuit_closed", "info", "rest", undefined],
  ]);
});

Deno.test("withPooledSupabase() logs each limit that a dry run of the adaptive limit would try, once", async () => {
  await using rig = setUp(async (_request, { supabase }) => {
    const { error } = await supabase.from("notes").insert([]);
    return new Response(error && "failed");
  }, { POOL_MAX_CONNECTIONS: "auto", POOL_ADAPTIVE_LIMIT: "dry-run" });
  rig.project.answer = () => new Response(null, { status: 201 });
  const events: number[] = [];
  rig.service.getConnectionPool().on("limitChanged", ({ limit }) => events.push(limit));
  const burst = () => Promise.all(Array.from({ length: 50 }, async () => (await rig.fetch("/notes")).body?.cancel()));
  await until("a limit is reported", async () => {
    await burst();
    return events.length > 0;
  });
  const lines = rig.log.map((line) => JSON.parse(line)).filter(({ event }) => event === "limit_not_applied");
  assertEquals(
    lines.map(({ level, data }) => [level, data]),
    [...new Set(events)].map((limit) => ["info", { limit, before: 10 }]),
  );
});

Deno.test("/<name>/health/pool shows the circuits with the secret key only", async () => {
  await using rig = setUp(() => new Response());
  rig.service.getConnectionPool().circuits.seed({ storage: { state: "open", retryAfterMs: 500 } });
  const health = async (headers: HeadersInit) =>
    (await (await rig.fetch("/f/health/pool", { headers })).json()).details;
  assertFalse("circuits" in await health({}));
  const { circuits } = await health({ apikey: "sb_secret_test" });
  assertEquals(circuits.storage.state, "open");
  assertEquals(circuits.rest, { state: "closed" });
});

Deno.test("withPooledSupabase() logs the history of the attempts of a read that failed", async () => {
  await using rig = setUp(async (_request, { supabase }) => {
    const { data, error } = await supabase.from("notes").select();
    if (error) throw error;
    return Response.json(data);
  });
  rig.project.answer = () =>
    Response.json({ code: "PGRST002", message: "x" }, { status: 503, headers: { "Retry-After": "0" } });
  const response = await rig.fetch("/notes");
  await response.body?.cancel();
  assertEquals(response.status, 503);
  const { data } = JSON.parse(rig.log.find((line) => line.includes("request_failed")) ?? "{}");
  assertEquals(data.attempts.map(({ outcome }: { outcome: string }) => outcome), Array(4).fill("503"));
  assert(data.attempts.every(({ afterMs }: { afterMs: number }) => afterMs >= 0 && afterMs < 60_000));
});
