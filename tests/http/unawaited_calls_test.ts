/** Tests the calls that a handler starts and does not await. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { memberOf } from "../../shared/resilience/mod.ts";
import type { PooledContext } from "../support/http.ts";
import { setUp } from "./real_rig.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";

const ONE = { POOL_MAX_CONNECTIONS: "1" };

/** Delays all calls to the table `slow`, and counts those that arrived and those that were aborted. */
function slowTable() {
  const go = Promise.withResolvers<void>();
  const calls = { arrived: 0, aborted: 0 };
  const answer = async (request: Request) => {
    if (!request.url.includes("slow")) return Response.json([]);
    calls.arrived++;
    request.signal.addEventListener("abort", () => calls.aborted++);
    await go.promise;
    return Response.json([]);
  };
  return { go, calls, answer };
}

/** Waits for `work` and never resolves. */
async function hang(work: Promise<unknown>): Promise<never> {
  await work;
  return await new Promise<never>(() => {});
}

Deno.test("withPooledSupabase() aborts unawaited calls and frees the slot when the handler throws", async () => {
  const { calls, answer } = slowTable();
  const left: Promise<{ error: unknown }>[] = [];
  await using rig = setUp(async (_request, { supabase, pool }) => {
    const lease = await pool.lease();
    left.push(Promise.resolve(supabase.from("slow").select()));
    left.push(Promise.resolve(lease.client.from("slow").select()));
    await until("two calls arrive", () => calls.arrived === 2);
    throw new Error("no");
  }, ONE);
  rig.project.answer = answer;
  assertEquals((await rig.fetch("/f")).status, 500);
  assertEquals(rig.service.getPoolStats().activeConnections, 0);
  for (const { error } of await Promise.all(left)) assertStringIncludes(Deno.inspect(error), "LeaseReleasedError");
  await until("both calls are aborted", () => calls.aborted === 2);
  assertEquals(rig.log.map((line) => JSON.parse(line).event), ["request_failed"]);
});

Deno.test("ctx.waitUntil() work continues when the handler throws", async () => {
  const { go, calls, answer } = slowTable();
  const rows = Promise.withResolvers<unknown>();
  await using rig = setUp(async (_request, { supabase, waitUntil }) => {
    waitUntil((async () => {
      await supabase.from("slow").select();
      rows.resolve(await supabase.from("after").select());
    })());
    await until("the call arrives", () => calls.arrived === 1);
    throw new Error("no");
  }, ONE);
  rig.project.answer = answer;
  assertEquals((await rig.fetch("/f")).status, 500);
  assertEquals([rig.service.getPoolStats().activeConnections, calls.aborted], [1, 0]);
  go.resolve();
  assertEquals((await rows.promise as { data: unknown }).data, []);
  await until("the lease ends", () => rig.service.getPoolStats().activeConnections === 0);
});

Deno.test("withPooledSupabase() completes calls in flight after the response, then frees the slot; it rejects later calls", async () => {
  const { go, calls, answer } = slowTable();
  const left: Promise<{ data: unknown; error: { message: string } | null }>[] = [];
  await using rig = setUp(async (_request, { supabase }) => {
    left.push(Promise.resolve(supabase.from("slow").select()));
    left.push(go.promise.then(() => supabase.from("late").select()));
    await until("the call arrives", () => calls.arrived === 1);
    return new Response();
  }, ONE);
  rig.project.answer = answer;
  assertEquals((await rig.fetch("/f")).status, 200);
  assertEquals([rig.service.getPoolStats().activeConnections, calls.aborted], [1, 0]);
  go.resolve();
  const [begun, late] = await Promise.all(left);
  assertEquals(begun?.data, []);
  assertStringIncludes(late?.error?.message ?? "", "LeaseReleasedError");
  await until("the lease ends", () => rig.service.getPoolStats().activeConnections === 0);
  assertEquals(rig.project.requests.length, 1);
  assertEquals(rig.log.map((line) => JSON.parse(line).event), ["call_refused"]);
});

Deno.test("withPooledSupabase() follows the calls of both pools after the response, until the deadline", async () => {
  const clock = new FakeClock();
  const { go, calls, answer } = slowTable();
  const left: Promise<{ data: unknown; error: unknown }>[] = [];
  await using rig = setUp(
    async (_request, { supabase, supabaseAdmin }) => {
      left.push(Promise.resolve(supabase.from("slow").select()));
      left.push(Promise.resolve(supabaseAdmin.from("slow_too").select()));
      await until("both calls arrive", () => calls.arrived === 2);
      return new Response();
    },
    {},
    { deadlineMs: 1_000 },
    clock,
  );
  rig.project.answer = (request) => request.url.includes("slow_too") ? hang(answer(request)) : answer(request);
  assertEquals((await rig.fetch("/f")).status, 200);
  go.resolve();
  assertEquals((await left[0])?.data, []);
  await until("the slot is free", () => rig.service.getPoolStats().activeConnections === 0);
  await clock.advance(1_000);
  assertStringIncludes(Deno.inspect((await left[1])?.error), "DeadlineExceededError");
});

Deno.test("ctx.supabase rejects calls after the response while a call that came before has still to be sent", async (t) => {
  type Unsent = (context: PooledContext<unknown>, go: Promise<void>) => unknown;
  const unsent: Record<string, Unsent> = {
    "its client is being loaded": ({ supabase }) => supabase.functions.invoke("early"),
    "its body is being read": ({ supabase }, go) => {
      const body = new ReadableStream({
        async pull(controller) {
          await go;
          controller.close();
        },
      });
      return supabase.functions.invoke("early", { body });
    },
  };
  for (const [name, begin] of Object.entries(unsent)) {
    await t.step(name, async () => {
      const go = Promise.withResolvers<void>();
      let kept: PooledContext<unknown>["supabase"] | undefined;
      let begun: unknown;
      await using rig = setUp((_request, context) => {
        begun = begin(context, go.promise);
        kept = context.supabase;
        return new Response();
      }, ONE);
      await rig.fetch("/f");
      const late = await Promise.all([kept?.from("late").select(), kept?.functions.invoke("late", { body: "x" })]);
      const errors = late.map((each) => Deno.inspect(each?.error).includes("LeaseReleasedError"));
      go.resolve();
      assertEquals(memberOf(await begun, "error"), null);
      assertEquals(rig.project.requests.map(({ path }) => path), ["/functions/v1/early"]);
      assertEquals(errors, [true, true]);
      await until("the lease ends", () => rig.service.getPoolStats().activeConnections === 0);
    });
  }
});
