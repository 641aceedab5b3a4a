/** Tests that a request ends at its deadline or when its caller disconnects, whatever its handler does. */
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { delay } from "@std/async";
import { type PooledHandler, type PooledSupabaseOptions, problem, withPooledSupabase } from "../support/http.ts";
import { ConfigError } from "../../shared/pool/mod.ts";
import { createRequestHandler } from "../../shared/http/handler/request_handler.ts";
import type { Variables } from "../../shared/environment/mod.ts";
import { PooledBaseService } from "../../shared/services/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { FakePools, VARIABLES } from "./fake_pools.ts";
import { until } from "../support/until.ts";
import { setUp } from "./real_rig.ts";

class RetryingService extends PooledBaseService {
  /** Retries for far longer than the deadlines of these tests. */
  list(onAttempt: () => void, delayMs = 1): Promise<unknown> {
    return this.withRetry(
      (client) => {
        onAttempt();
        return client.from("a").select();
      },
      100,
      delayMs,
      { idempotent: true, maxDelayMs: 20_000 },
    );
  }
}

const list: PooledHandler<unknown> = async (_request, { supabase }) => {
  const { data, error } = await supabase.from("a").select();
  if (error) throw error;
  return Response.json(data);
};

const DEADLINE_EXCEEDED = [504, "DEADLINE_EXCEEDED"] as const;
const MS = 60_000;

/** A function whose requests end at a deadline that the test brings about. */
function setUpAtDeadline(
  handler: PooledHandler<unknown>,
  variables: Variables = {},
  options: PooledSupabaseOptions<unknown> = { deadlineMs: MS },
) {
  const clock = new FakeClock();
  const rig = setUp(handler, variables, options, clock);
  /** Sends a request, asserts that it ends at its deadline, and returns the status and the code. */
  const response = async (ready: () => boolean, deadlineMs = MS): Promise<readonly [number, string]> => {
    let isSettled = false;
    const answer = rig.fetch("/f").finally(() => isSettled = true);
    await until("the request is where its deadline meets it", ready);
    await clock.advance(deadlineMs - 1);
    assertEquals(isSettled, false);
    await clock.advance(1);
    const { status, body } = await answer.then(async (all) => ({ status: all.status, body: await all.json() }));
    return [status, body.code];
  };
  return { ...rig, clock, response };
}

Deno.test("deadlineMs includes the wait for a slot, and the request leaves the queue", async () => {
  await using rig = setUpAtDeadline(list, { POOL_MAX_CONNECTIONS: "1" });
  await using _held = await rig.service.getConnectionPool().lease();
  const waits = () => rig.service.getPoolStats().waitingForConnection === 1;
  assertEquals(await rig.response(waits), DEADLINE_EXCEEDED);
  assertEquals([rig.service.getPoolStats().waitingForConnection, rig.project.requests.length], [0, 0]);
  assertEquals(rig.log.map((line) => JSON.parse(line).data.code), ["DEADLINE_EXCEEDED"]);
});

Deno.test("deadlineMs includes all attempts of a retry, and stops it", async () => {
  let attempts = 0;
  await using rig = setUpAtDeadline(
    async (_request, { pool }) => Response.json(await new RetryingService(pool).list(() => attempts++)),
  );
  rig.project.answer = () => problem({ status: 503, code: "PGRST000", title: "no database" });
  assertEquals(await rig.response(() => attempts > 1), DEADLINE_EXCEEDED);
  const attemptsAtDeadline = attempts;
  await delay(100);
  assertEquals([attempts, rig.service.getPoolStats().activeConnections], [attemptsAtDeadline, 0]);
});

/** Returns a body that starts and never ends, and whether it has started and was canceled. */
function endless() {
  const state = { started: false, cancelled: false };
  const body = () =>
    new ReadableStream<Uint8Array>({
      start: (controller) => {
        state.started = true;
        controller.enqueue(new TextEncoder().encode("["));
      },
      cancel: () => void (state.cancelled = true),
    });
  return { state, body };
}

Deno.test("deadlineMs includes the body of a call, and cancels it", async () => {
  const { state, body } = endless();
  await using rig = setUpAtDeadline(list, { POOL_MAX_CONNECTIONS: "1" });
  rig.project.answer = () => new Response(body());
  assertEquals(await rig.response(() => state.started), DEADLINE_EXCEEDED);
  await until("the body is cancelled", () => state.cancelled);
  assertEquals(rig.service.getPoolStats().activeConnections, 0);
});

Deno.test("deadlineMs includes a body that the handler passes on", async () => {
  const { body } = endless();
  await using rig = setUpAtDeadline(
    async (_request, { supabase }) => {
      const { data } = await supabase.storage.from("files").download("big").asStream();
      return new Response(data);
    },
    { POOL_MAX_CONNECTIONS: "1" },
  );
  rig.project.answer = () => new Response(body());
  const response = await rig.fetch("/f");
  assertEquals([response.status, rig.service.getPoolStats().activeConnections], [200, 1]);
  await rig.clock.advance(MS);
  await assertRejects(() => response.text(), Error, "deadlineMs");
  assertEquals(rig.service.getPoolStats().activeConnections, 0);
});

Deno.test("deadlineMs includes the calls that a streamed response of a synchronous handler sends", async () => {
  const { state, body } = endless();
  const rows = Promise.withResolvers<{ error: unknown }>();
  await using rig = setUpAtDeadline(
    (_request, { supabase }) =>
      new Response(
        new ReadableStream({
          async start(controller) {
            rows.resolve(await supabase.from("a").select());
            controller.close();
          },
        }),
      ),
    { POOL_MAX_CONNECTIONS: "1" },
  );
  rig.project.answer = () => new Response(body());
  const response = await rig.fetch("/f");
  const text = response.text();
  await until("the call has an answer", () => state.started);
  await rig.clock.advance(MS);
  assertEquals([response.status, await text], [200, ""]);
  assertStringIncludes(Deno.inspect((await rows.promise).error), "deadlineMs");
  await until("the body is cancelled", () => state.cancelled);
  assertEquals(rig.service.getPoolStats().activeConnections, 0);
});

Deno.test("deadlineMs ends the request of a handler that hangs elsewhere, and later calls are not sent", async () => {
  const go = Promise.withResolvers<void>();
  const late = Promise.withResolvers<unknown>();
  await using rig = setUpAtDeadline(async (_request, { supabase }) => {
    await go.promise;
    late.resolve(await Promise.resolve().then(() => supabase.from("a").select()).catch((error) => ({ error })));
    throw new Error("not logged");
  });
  assertEquals(await rig.response(() => true), DEADLINE_EXCEEDED);
  go.resolve();
  const { error } = await late.promise as { error: unknown };
  assert(error);
  await delay(1);
  assertEquals([rig.project.requests.length, rig.log.length], [0, 1]);
});

Deno.test("deadlineMs does not limit waitUntil() work", async () => {
  const rows = Promise.withResolvers<unknown>();
  const go = Promise.withResolvers<void>();
  await using rig = setUpAtDeadline((_request, { supabase, waitUntil }) => {
    waitUntil((async () => {
      await go.promise;
      rows.resolve((await supabase.from("a").select()).data);
    })());
    return Promise.resolve(new Response());
  });
  assertEquals((await rig.fetch("/f")).status, 200);
  await rig.clock.advance(2 * MS);
  go.resolve();
  assertEquals(await rows.promise, []);
  assertEquals(rig.log, []);
});

Deno.test("deadlineMs is read from POOL_DEADLINE_MS, then from the option, and rejected if it is out of range", async () => {
  const hang: PooledHandler<unknown> = () => new Promise(() => {});
  await using byVariable = setUpAtDeadline(hang, { POOL_DEADLINE_MS: "30" }, {});
  assertEquals(await byVariable.response(() => true, 30), DEADLINE_EXCEEDED);
  await using byOption = setUpAtDeadline(hang, { POOL_DEADLINE_MS: "100000" }, { deadlineMs: 30 });
  assertEquals(await byOption.response(() => true, 30), DEADLINE_EXCEEDED);
  for (const deadlineMs of [0, -1, 1.5, NaN]) {
    assertThrows(() => withPooledSupabase({ deadlineMs }, hang), ConfigError, "deadlineMs");
  }
});

/** A handler on a clock that stands still. */
function onFakeClock(handler: PooledHandler<unknown>, options: PooledSupabaseOptions<unknown> = {}) {
  const clock = new FakeClock();
  const service = new FakePools();
  const handle = createRequestHandler<unknown>(
    { auth: "none", variables: VARIABLES, service, log: () => {}, ...options },
    clock,
  );
  return { clock, service, answer: () => handle(new Request("https://x.test/f"), handler) };
}

Deno.test("deadlineMs leaves no timer after a request, and creates none for a request without calls", async () => {
  const rows: Record<string, PooledHandler<unknown>> = {
    "at once": () => new Response(),
    "later": (_request, { supabase }) => Promise.resolve(Response.json(typeof supabase)),
    "an error": () => Promise.reject(new Error("no")),
    "background work": (_request, { supabase, waitUntil }) => {
      waitUntil(new Promise(() => {}));
      return Promise.resolve(Response.json(typeof supabase));
    },
  };
  for (const [name, handler] of Object.entries(rows)) {
    const { clock, answer } = onFakeClock(handler);
    await (await answer()).body?.cancel();
    await delay(0);
    assertEquals(clock.timers, 0, name);
  }
});

Deno.test("deadlineMs is 150,000 by default, the limit of the hosted gateway", async () => {
  const { clock, service, answer } = onFakeClock((_request, { supabase }) => new Promise(() => void supabase));
  const pending = answer();
  await clock.advance(149_999);
  assertEquals([clock.timers, service.user.scopes[0]?.aborted], [1, 0]);
  await clock.advance(1);
  assertEquals([(await pending).status, service.user.scopes[0]?.aborted], [504, 1]);
});

Deno.test("withPooledSupabase() removes a disconnected caller from the queue at once", async () => {
  await using rig = setUp(list, { POOL_MAX_CONNECTIONS: "1" });
  const holder = await rig.service.getConnectionPool().lease();
  const caller = new AbortController();
  const answer = rig.fetch("/f", { signal: caller.signal });
  await until("a call waits", () => rig.service.getPoolStats().waitingForConnection > 0);
  caller.abort();
  assertEquals(rig.service.getPoolStats().waitingForConnection, 0);
  assertEquals([(await answer).status, rig.project.requests.length], [499, 0]);
  holder.release();
  assertEquals(rig.service.getPoolStats().activeConnections, 0);
});

Deno.test("withPooledSupabase() frees the slots of a disconnected caller at once, although its handler holds them", async () => {
  const caller = new AbortController();
  const leased = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  await using rig = setUp(async (_request, { pool, supabase }) => {
    const lease = await pool.lease();
    await supabase.from("a").select();
    leased.resolve();
    await go.promise;
    lease.release();
    return new Response();
  }, { POOL_MAX_CONNECTIONS: "1" });
  const answer = rig.fetch("/f", { signal: caller.signal });
  await leased.promise;
  assertEquals(rig.service.getPoolStats().activeConnections, 1);
  caller.abort();
  assertEquals(rig.service.getPoolStats().activeConnections, 0);
  go.resolve();
  assertEquals([(await answer).status, rig.log], [200, []]);
});

Deno.test("withPooledSupabase() ends the wait of a retry when its caller disconnects", async () => {
  const caller = new AbortController();
  let attempts = 0;
  await using rig = setUp(async (_request, { pool }) => {
    return Response.json(await new RetryingService(pool).list(() => attempts++, 10_000));
  });
  rig.project.answer = () => {
    setTimeout(() => caller.abort(), 30);
    return problem({ status: 503, code: "PGRST000", title: "no database" });
  };
  const startMs = performance.now();
  assertEquals((await rig.fetch("/f", { signal: caller.signal })).status, 499);
  assert(performance.now() - startMs < 8_000, "no delay is waited for");
  assertEquals([attempts, rig.service.getPoolStats().activeConnections], [1, 0]);
});
