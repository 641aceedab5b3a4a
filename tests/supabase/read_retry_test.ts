/** Tests that the calls of a lease retry reads as plain supabase-js does, within the time and without the slot. */
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { LeaseReleasedError, QueueFullError } from "../../shared/pool/mod.ts";
import { retry } from "../../shared/resilience/mod.ts";
import type { LeaseFetch } from "../../shared/supabase/calls/lease_fetch.ts";
import { NO_RETRY } from "../../shared/supabase/calls/read_retry.ts";
import { Deadlines } from "../../shared/resilience/mod.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { BASE, callsOf, counted, settled, URL_OF_X } from "./lease_fetch_rig.ts";
import { createRig } from "./support.ts";
import { until } from "../support/until.ts";

/** A response, now or later, or what `fetch` rejects with. */
type Outcome = Response | Promise<Response> | Error;

/** Sends queries whose outcomes a test decides, on a fake clock. */
function querying(outcomes: (nth: number) => Outcome, {
  init = {} as RequestInit,
  signal = undefined as AbortSignal | undefined,
  isView = false,
  retries = true,
  requestTimeoutMs = 30_000,
  timeLeftMs = undefined as (() => number) | undefined,
  callsAtOnce = 1,
} = {}) {
  const clock = new FakeClock();
  const sent: { at: number; count: string | null }[] = [];
  const send: typeof fetch = (_input, { headers } = {}) => {
    sent.push({ at: clock.now() - start, count: new Headers(headers).get("x-retry-count") });
    const outcome = outcomes(sent.length);
    return outcome instanceof Error ? Promise.reject(outcome) : Promise.resolve(outcome);
  };
  const start = clock.now();
  const settings = { baseUrl: BASE, deadlines: new Deadlines(clock), requestTimeoutMs, fetch: send, clock };
  const { calls, slot } = callsOf(settings, { callsAtOnce, timeLeftMs, signal, isView, retries });
  const query = () => calls.send(URL_OF_X, init, send, {});
  return { calls, clock, sent, slot, query };
}

const busy = (headers: HeadersInit = {}, status = 503) => new Response("busy", { status, headers });

/** Lets `call` settle, however long it waits. */
async function settleLate<T>(call: Promise<T>, clock: FakeClock): Promise<T> {
  call.catch(() => {});
  for (let seconds = 0; seconds < 60 && !(await settled(call)); seconds++) await clock.advance(500);
  return await call;
}

for (
  const [what, fail] of [
    ["503", () => busy()],
    ["520", () => busy({}, 520)],
    ["a network error", () => new TypeError("connection reset")],
  ] as const
) {
  Deno.test(`LeaseFetch.send() retries a read after ${what} three times, after 1, 2 and 4 s or half as long again`, async () => {
    const { clock, sent, query } = querying(fail);
    const outcome = await settleLate(query(), clock).catch((error) => error);
    if (outcome instanceof Response) assertEquals(await outcome.text(), "busy");
    else assert(outcome instanceof TypeError);
    assertEquals(sent.map(({ count }) => count), [null, "1", "2", "3"]);
    const gaps = sent.slice(1).map(({ at }, i) => at - (sent[i]?.at ?? 0));
    assert(gaps.every((gap, i) => gap >= 1_000 * 2 ** i && gap <= 1_500 * 2 ** i + 500), `${gaps}`);
    assertEquals(clock.timers, 0);
  });

  Deno.test(`LeaseFetch.send() returns the response of the retry after ${what}`, async () => {
    const { clock, sent, query } = querying((nth) => nth === 1 ? fail() : Response.json([nth]));
    assertEquals(await (await settleLate(query(), clock)).text(), "[2]");
    assertEquals([sent.length, clock.timers], [2, 0]);
  });
}

Deno.test("LeaseFetch.send() does not retry writes, other failures, and what its caller retries or wants to see", async () => {
  const aborted = new DOMException("aborted", "AbortError");
  const rows: Record<string, Parameters<typeof querying>> = {
    "a write": [() => busy(), { init: { method: "POST" } }],
    "a deletion": [() => new TypeError("connection reset"), { init: { method: "DELETE" } }],
    "a status that plain does not retry": [() => busy({}, 502)],
    "429": [() => busy({ "Retry-After": "0" }, 429)],
    "500": [() => busy({}, 500)],
    "an abort": [() => aborted],
    "an error of the pool": [() => new QueueFullError("full")],
    ".retry(false)": [() => busy(), { init: Object.assign<RequestInit, object>({}, { [NO_RETRY]: true }) }],
    "a lease that retries by itself": [() => busy(), { retries: false }],
  };
  for (const [what, row] of Object.entries(rows)) {
    const { clock, sent, query } = querying(...row);
    const call = query();
    call.catch(() => {});
    assert(await settled(call), what);
    await call.then((response) => response.text(), () => {});
    assertEquals([what, sent.length, clock.timers], [what, 1, 0]);
  }
});

Deno.test("LeaseFetch.send() waits as long as Retry-After says, in seconds or until a date", async () => {
  for (
    const [value, shortest, longest] of [
      ["3", 3_000, 3_500],
      ["0", 0, 500],
      [new Date(Date.now() + 5_000).toUTCString(), 3_500, 5_500],
      ["soon", 1_000, 2_000],
      ["99999999999999999999", 1_000, 2_000],
      ["Wed, 21 Oct 9999 07:28:00 GMT", 1_000, 2_000],
    ] as const
  ) {
    const { clock, sent, query } = querying((nth) => nth === 1 ? busy({ "Retry-After": value }) : Response.json([]));
    assertEquals(await (await settleLate(query(), clock)).text(), "[]");
    const waited = sent[1]?.at ?? NaN;
    assert(waited >= shortest && waited <= longest, `${value}: ${waited} ms`);
  }
});

Deno.test("LeaseFetch.send() returns the response at once if its retry would begin too late", async () => {
  for (
    const options of [{ requestTimeoutMs: 30_000 }, { timeLeftMs: () => 29_000 }, { requestTimeoutMs: 1_000 }] as const
  ) {
    const { clock, sent, query } = querying(() => busy({ "Retry-After": "30" }), options);
    const response = query();
    assert(await settled(response));
    assertEquals([(await response).status, await (await response).text()], [503, "busy"]);
    assertEquals([sent.length, clock.timers], [1, 0]);
  }
  const { sent, query } = querying(() => new TypeError("connection reset"), { timeLeftMs: () => 900 });
  await assertRejects(query, TypeError);
  assertEquals(sent.length, 1);
});

Deno.test("LeaseFetch.send() cancels the bodies of failed attempts", async () => {
  let canceled = 0;
  const body = () => new ReadableStream({ cancel: () => void canceled++ });
  const { clock, query } = querying((nth) => nth < 3 ? new Response(body(), { status: 503 }) : Response.json([]));
  assertEquals((await settleLate(query(), clock)).status, 200);
  assertEquals(canceled, 2);
});

Deno.test("LeaseFetch.send() ends the wait for a retry when its signal, its caller or its lease ends, and leaves nothing", async () => {
  const reason = new Error("gone");
  const own = counted();
  const caller = counted();
  for (
    const [options, end, expected] of [
      [{ init: { signal: own.signal } }, () => own.controller.abort(reason), reason],
      [{ signal: caller.signal }, () => caller.controller.abort(reason), reason],
      [{}, (calls: LeaseFetch) => calls.end(reason), reason],
    ] as const
  ) {
    const { calls, clock, sent, slot, query } = querying(() => busy(), { isView: true, ...options });
    const call = query();
    call.catch(() => {});
    await settle();
    assertEquals([slot.splice(0).join(), clock.timers > 0], ["take,leave", true]);
    end(calls);
    assertStrictEquals(await call.catch((error) => error), expected);
    assertEquals([sent.length, slot.join(), clock.timers], [1, "", 0]);
    calls.end();
    assertEquals([own.count.listeners, caller.count.listeners], [0, 0]);
  }
});

Deno.test("LeaseFetch.send() holds neither permit nor slot before a retry, unless another call of its view needs it", async () => {
  let nth = 0;
  const other = Promise.withResolvers<Response>();
  const { calls, clock, slot, query } = querying(() => ++nth === 1 ? busy() : Response.json([nth]), { isView: true });
  const first = query();
  await settle();
  assertEquals(slot.splice(0), ["take", "leave"]);
  // callsAtOnce is 1: another call gets the permit meanwhile.
  const second = calls.send(URL_OF_X, {}, () => other.promise, {});
  await settle();
  assertEquals(slot.splice(0), ["take"]);
  await clock.advance(1_500);
  assertEquals(slot.splice(0), [], "the retry waits for its permit");
  other.resolve(Response.json(["other"]));
  assertEquals(await (await second).text(), '["other"]');
  assertEquals(await (await settleLate(first, clock)).text(), "[2]");
  assertEquals(slot.splice(0), ["take"]);
});

Deno.test("LeaseFetch.send() counts its attempts: a retry around it adds no more than its own", async () => {
  for (const fail of [() => busy(), () => new TypeError("connection reset")]) {
    const { clock, sent, query } = querying(fail);
    const done = retry(async () => {
      const response = await query();
      if (!response.ok) throw response;
    }, { retries: 3, delayMs: 1, idempotent: true, deadlineMs: 100_000, clock });
    await settleLate(done, clock).catch(() => {});
    assertEquals(sent.length, 4);
  }
});

Deno.test("ClientLease.client retries reads, but not with retryReads: false, nor after .retry(false)", async () => {
  await using rig = createRig({ circuitBreaker: false });
  let nth = 0;
  rig.project.answer = () =>
    nth++ % 2 === 0 ? new Response("busy", { status: 503, headers: { "Retry-After": "0" } }) : Response.json([7]);
  const statuses = async (retryReads?: boolean) => {
    await using lease = await rig.pool.lease({ retryReads });
    const { client } = lease;
    nth = 0;
    const seen = [];
    for (
      const query of [
        () => client.from("budgets").select(),
        () => client.from("budgets").select("*", { head: true, count: "exact" }),
        () => client.schema("other").from("budgets").select().retry(true),
        () => client.rpc("f", {}, { get: true }),
        () => client.from("budgets").select().retry(false).retry(true),
        () => client.getOpenApiSpec(),
      ]
    ) seen.push((await query()).status);
    nth = 0;
    for (
      const query of [() => client.from("budgets").select().retry(false), () => client.rpc("f", {}, { get: true })]
    ) {
      nth = 0;
      seen.push((await query()).status);
    }
    nth = 0;
    return [...seen, (await client.from("budgets").insert({})).status];
  };
  assertEquals(await statuses(), [200, 200, 200, 200, 200, 200, 503, 200, 503]);
  assertEquals((await statuses(false)).slice(-3), [503, 503, 503]);
  assertEquals(rig.pool.getStats().activeConnections, 0);
});

Deno.test("retryReads: false of a pool turns the retries of its clients off, except for a lease that asks for them", async () => {
  await using rig = createRig({ retryReads: false });
  rig.project.answer = () => new Response("busy", { status: 503, headers: { "Retry-After": "0" } });
  const sent = async (retryReads?: boolean) => {
    rig.project.requests.length = 0;
    await using lease = await rig.pool.lease({ retryReads });
    await lease.client.from("budgets").select();
    return rig.project.requests.length;
  };
  assertEquals([await sent(), await sent(true)], [1, 4]);
  rig.project.requests.length = 0;
  await using scope = rig.pool.scope();
  await scope.client().from("budgets").select();
  assertEquals(rig.project.requests.length, 1);
});

Deno.test("ClientLease.client does not retry reads of a probe, which tells how the project is now", async () => {
  await using rig = createRig();
  rig.project.answer = () => new Response("busy", { status: 503, headers: { "Retry-After": "0" } });
  {
    await using lease = await rig.pool.lease({ lane: "probe" });
    await lease.client.from("budgets").select();
  }
  {
    await using scope = rig.pool.scope();
    await scope.client({ lane: "probe" }).from("budgets").select();
  }
  {
    await using scope = rig.pool.scope({ lane: "probe" });
    await using lease = await scope.lease();
    await lease.client.from("budgets").select();
  }
  assertEquals(rig.project.requests.length, 3);
});

Deno.test("ClientLease.client rejects a retry after its release", async () => {
  await using rig = createRig();
  rig.project.answer = () => new Response("busy", { status: 503 });
  const lease = await rig.pool.lease();
  const query = lease.client.from("budgets").select().then((result) => result);
  await until("the request arrives", () => rig.project.requests.length > 0);
  lease.release();
  const { error, status } = await query;
  assertEquals([status, error?.message.startsWith(LeaseReleasedError.name)], [0, true]);
  assertEquals(rig.project.requests.length, 1);
});

Deno.test("LeaseFetch.send() of a view holds the slot while a retry is under way, though another call waits for its own", async () => {
  const retried = Promise.withResolvers<Response>();
  const { clock, sent, slot, query } = querying(
    (nth) => nth === 2 ? retried.promise : nth === 4 ? Response.json([]) : busy({ "Retry-After": "0" }),
    { isView: true, callsAtOnce: 2 },
  );
  const first = query();
  await clock.advance(500);
  assertEquals([sent.length, slot.filter((step) => step === "leave").length], [2, 1]);
  const second = query();
  await clock.advance(500);
  assertEquals((await second).status, 200);
  assertEquals([sent.length, slot.filter((step) => step === "leave").length], [4, 1]);
  retried.resolve(Response.json([]));
  assertEquals((await first).status, 200);
});
