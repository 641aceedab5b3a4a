/** Tests what counts as a failure of a target, and that calls ask and notify the guard of their target. */
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { PoolClosedError } from "../../shared/pool/mod.ts";
import {
  attemptsOf,
  type CircuitBreakerOptions,
  CircuitOpenError,
  Deadlines,
  RetryBudget,
} from "../../shared/resilience/mod.ts";
import {
  type LoadOutcome,
  TargetGuard,
  TargetGuards,
  verdictOnError,
  verdictOnResponse,
} from "../../shared/supabase/calls/target_guard.ts";
import { ForeignAddressError, RedirectError, RequestTimeoutError } from "../../shared/supabase/mod.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { BASE, callsOf, settled } from "./lease_fetch_rig.ts";

/** A response, or the reason that `fetch` rejects with. */
type Outcome = Response | Error | "nothing";

/** Sends calls whose outcomes a test decides, with guards, on a fake clock. */
function guarded(outcome: (nth: number) => Outcome, {
  breaker = {} as Partial<CircuitBreakerOptions> | undefined,
  budget = false,
  isView = true,
  retries = true,
  maxWaiting = 1_000,
  requestTimeoutMs = 30_000,
  callsAtOnce = 200,
  timeLeftMs = undefined as (() => number) | undefined,
  signal = undefined as AbortSignal | undefined,
} = {}) {
  const clock = new FakeClock();
  const start = clock.now();
  const sent: number[] = [];
  const loads: LoadOutcome[] = [];
  const called: unknown[] = [];
  let begun = 0;
  const send: typeof fetch = (_input, init) => {
    sent.push(clock.now() - start);
    const result = outcome(sent.length);
    if (result === "nothing") {
      return new Promise((_, reject) => {
        init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
      });
    }
    return result instanceof Response ? Promise.resolve(result) : Promise.reject(result);
  };
  const guards = new TargetGuards({
    baseUrl: BASE,
    breaker: breaker && { clock, random: () => 0, ...breaker },
    observer: { begin: () => ++begun, end: (_call, load) => void loads.push(load) },
    maxWaiting,
  });
  const settings = {
    baseUrl: BASE,
    deadlines: new Deadlines(clock),
    requestTimeoutMs,
    fetch: send,
    clock,
    guards,
    budget: budget ? new RetryBudget({ clock, reserve: 0, ratio: 0 }) : undefined,
    events: { has: (name: unknown) => name === "called", emit: (...event: unknown[]) => void called.push(event) },
  };
  const { calls, slot } = callsOf(settings, { callsAtOnce, timeLeftMs, signal, isView, retries });
  const read = (path = "/rest/v1/x") => calls.send(`${BASE}${path}`, {}, send, {});
  const write = (init: RequestInit = {}, path = "/rest/v1/x") =>
    calls.send(`${BASE}${path}`, { method: "POST", ...init }, send, {});
  const fail = async (times = 10) => {
    for (let i = 0; i < times; i++) await write().then((response) => response.text(), () => {});
  };
  const circuit = (name = "rest") => guards.breakers.get(name)?.snapshot();
  return { calls, clock, sent, slot, loads, called, guards, read, write, fail, circuit, settings };
}

const REFUSED = new TypeError("error sending request for url (http://project.test/x): client error (Connect)");

Deno.test("verdictOnResponse() takes gateway errors for failures of the target, and nothing else", () => {
  const rows: Record<string, readonly number[]> = {
    "succeeded ok": [200, 201, 204, 301, 304],
    "succeeded ignored": [400, 401, 403, 404, 406, 409, 416, 422, 499, 500, 501, 505, 519, 525, 530, 540, 544, 546],
    "succeeded overload": [429],
    "failed overload": [503, 504],
    "failed ignored": [502, 520, 521, 522, 523, 524],
  };
  for (const [expected, statuses] of Object.entries(rows)) {
    for (const status of statuses) {
      const { target, load } = verdictOnResponse({ status, headers: new Headers() });
      assertEquals([status, `${target} ${load}`], [status, expected]);
    }
  }
});

Deno.test("verdictOnResponse() does not let a function of the database open the circuit by its status", () => {
  const verdict = (error: string) =>
    verdictOnResponse({ status: 503, headers: new Headers({ "Proxy-Status": `PostgREST; error=${error}` }) }).target;
  assertEquals([verdict("PT503"), verdict("PGRST002"), verdict("57P01")], ["succeeded", "failed", "failed"]);
});

Deno.test("verdictOnError() takes network errors and timeouts for failures of the target, and nothing else", () => {
  const at = { aborted: false, lateMs: -10, isUpload: false };
  const aborted = { ...at, aborted: true };
  const timeout = new RequestTimeoutError(30_000);
  const rows = [
    [REFUSED, at, "failed ignored"],
    [new TypeError("connection reset by peer"), at, "failed ignored"],
    [Object.assign(new Error("connect"), { code: "ECONNREFUSED" }), at, "failed ignored"],
    [
      new TypeError("error sending request", { cause: new Error("invalid peer certificate: Expired") }),
      at,
      "failed ignored",
    ],
    [new TypeError("dns error: failed to lookup address"), at, "failed ignored"],
    [timeout, aborted, "failed overload"],
    [new DOMException("left", "AbortError"), aborted, "ignored ignored"],
    [new Error("the deadline of the handler"), aborted, "ignored ignored"],
    [new DOMException("Signal timed out.", "TimeoutError"), aborted, "ignored ignored"],
    [new DOMException("Signal timed out.", "TimeoutError"), at, "failed ignored"],
    [new PoolClosedError(), at, "ignored ignored"],
    [new DOMException("of a fetch of its own", "AbortError"), at, "ignored ignored"],
    [new TypeError('Invalid header: "x\ny"'), at, "ignored ignored"],
    [new RangeError("a fault of the program"), at, "ignored ignored"],
    [new ForeignAddressError("a redirect"), at, "succeeded ignored"],
    [new RedirectError("more than 20 redirects"), at, "succeeded ignored"],
    [timeout, { ...aborted, lateMs: 1_000 }, "failed overload"],
    [timeout, { ...aborted, lateMs: 1_001 }, "ignored ignored"],
    [REFUSED, { ...at, lateMs: 60_000 }, "ignored ignored"],
    [REFUSED, { ...at, isUpload: true }, "ignored ignored"],
  ] as const;
  for (const [error, call, expected] of rows) {
    const { target, load } = verdictOnError(error, call);
    assertEquals([String(error), `${target} ${load}`], [String(error), expected]);
  }
});

Deno.test("TargetGuards.of() has a guard for each part of the project, and for each edge function", () => {
  const guards = new TargetGuards({ baseUrl: BASE, breaker: {} });
  const target = (path: string) => guards.of(`${BASE}${path}`).breaker?.target.slice(BASE.length);
  for (
    const [path, expected] of [
      ["/rest/v1/a", "/rest"],
      ["/rest/v1/b?x=/functions/v1/y", "/rest"],
      ["/auth/v1/token", "/auth"],
      ["/storage/v1/object/a/b", "/storage"],
      ["/functions/v1/v1", "/functions/v1"],
      ["/functions/v1/hello", "/functions/hello"],
      ["/functions/v1/hello?x=1", "/functions/hello"],
      ["/functions/v1/hello/deep", "/functions/hello"],
      ["/functions/v1/hello2", "/functions/hello2"],
      ["/functions", ""],
      ["/rest", ""],
      ["/?a/b", ""],
      ["/graphql/v1", "/graphql"],
    ] as const
  ) assertEquals([path, target(path)], [path, expected]);
  assertStrictEquals(guards.of(`${BASE}/rest/v1/a`), guards.of(`${BASE}/rest/v1/b`));
  assertStrictEquals(guards.guardOf("rest"), guards.of(`${BASE}/rest/v1/c`));
});

Deno.test("LeaseFetch.send() notifies the observer once of each call, whatever happens to it", async () => {
  const rows: readonly (readonly [Outcome, LoadOutcome])[] = [
    [new Response("[]"), "ok"],
    [new Response("", { status: 429 }), "overload"],
    [new Response("", { status: 503 }), "overload"],
    [new Response("", { status: 400 }), "ignored"],
    [REFUSED, "ignored"],
  ];
  for (const [outcome, expected] of rows) {
    for (const breaker of [undefined, {}]) {
      const { write, loads } = guarded(() => outcome instanceof Response ? outcome.clone() : outcome, { breaker });
      await write().then((response) => response.text(), () => {});
      assertEquals(loads, [expected]);
    }
  }
});

Deno.test("LeaseFetch.send() notifies of a timeout as overload, of an abort and the end of its lease as nothing", async () => {
  const { write, loads, clock, circuit, calls } = guarded(() => "nothing", { breaker: { consecutiveFailures: 2 } });
  const late = [assertRejects(() => write(), RequestTimeoutError), assertRejects(() => write(), RequestTimeoutError)];
  await clock.advance(30_000);
  await Promise.all(late);
  assertEquals([loads, circuit()?.state], [["overload", "overload"], "open"]);
  await clock.advance(500);
  const controller = new AbortController();
  const aborted = assertRejects(() => write({ signal: controller.signal }), Error, "left");
  await settle();
  assertEquals(circuit(), { state: "half-open", probes: 1 });
  controller.abort(new Error("left"));
  await aborted;
  assertEquals(circuit(), { state: "half-open", probes: 0 });
  const ended = write();
  ended.catch(() => {});
  await settle();
  calls.end(new Error("the deadline of the handler"));
  await assertRejects(() => ended, Error, "the deadline of the handler");
  assertEquals(circuit(), { state: "half-open", probes: 0 });
  assertEquals(loads.slice(2), ["ignored", "ignored"]);
  assertEquals(clock.timers, 0);
});

Deno.test("LeaseFetch.send() does not count calls that a frozen isolate finds overdue", async () => {
  const { write, clock, circuit } = guarded(() => "nothing", { breaker: { consecutiveFailures: 2 } });
  const calls = Array.from({ length: 20 }, () => write().catch((error) => error));
  await settle();
  clock.freeze(300_000);
  await clock.advance(0);
  for (const error of await Promise.all(calls)) assert(error instanceof RequestTimeoutError);
  assertEquals(circuit(), { state: "closed" });
});

Deno.test("LeaseFetch.send() does not count a body that the caller streams", async () => {
  const { write, clock, circuit } = guarded(() => "nothing", { breaker: { consecutiveFailures: 1 } });
  const call = assertRejects(() => write({ body: new ReadableStream() }), RequestTimeoutError);
  await clock.advance(30_000);
  await call;
  assertEquals(circuit(), { state: "closed" });
});

Deno.test("LeaseFetch.send() rejects a write to an open circuit at once, without taking the slot", async () => {
  const { write, fail, sent, slot, circuit } = guarded(() => REFUSED);
  await fail();
  assertEquals([sent.length, circuit()?.state], [10, "open"]);
  slot.length = 0;
  const error = await assertRejects(() => write(), CircuitOpenError);
  assertEquals([error.retryAfterMs, sent.length, slot], [500, 10, []]);
});

Deno.test("LeaseFetch.send() emits called for what was sent, not for a call whose circuit opens while it waits", async () => {
  const { write, sent, called, calls, guards, clock } = guarded((nth) => nth === 1 ? "nothing" : new Response("[]"), {
    callsAtOnce: 1,
    requestTimeoutMs: 1_000,
  });
  const first = write().catch((error) => error);
  const second = assertRejects(() => write(), CircuitOpenError);
  await settle();
  guards.guardOf("rest").breaker?.force("open");
  await clock.advance(1_000);
  await Promise.all([first, second]);
  assertEquals([sent.length, called.length], [1, 1]);
  calls.end();
});

Deno.test("LeaseFetch.send() opens the circuit of one target only", async () => {
  const { write, fail, sent, circuit } = guarded((nth) => nth <= 10 ? REFUSED : new Response("[]"));
  await fail();
  await (await write({}, "/auth/v1/token")).text();
  assertEquals([sent.length, circuit("rest")?.state, circuit("auth")?.state], [11, "open", "closed"]);
});

Deno.test("LeaseFetch.send() lets a read wait for an open circuit, without slot, attempt or permit, until a probe succeeds", async () => {
  let down = true;
  const { read, fail, sent, slot, clock, circuit } = guarded(() => down ? REFUSED : Response.json([7]), {
    callsAtOnce: 1,
  });
  await fail();
  slot.length = 0;
  const first = read();
  const second = read();
  assertEquals([await settled(first), sent.length, slot], [false, 10, ["leave", "leave"]]);
  await clock.advance(499);
  assertEquals(sent.length, 10);
  down = false;
  await clock.advance(1);
  assertEquals(await (await first).text(), "[7]");
  // The other one does not wait for its own timer: the circuit has closed.
  assertEquals(await (await second).text(), "[7]");
  assertEquals([sent.length, circuit(), clock.timers], [12, { state: "closed" }, 0]);
});

Deno.test("LeaseFetch.send() sends the reads that wait once the probe of another call has succeeded", async () => {
  const { read, fail, sent, clock, guards } = guarded((nth) => nth <= 10 ? REFUSED : Response.json([7]));
  await fail();
  const reads = [read(), read()];
  await settle();
  clock.freeze(500);
  const breaker = guards.guardOf("rest").breaker;
  const probe = breaker?.admit();
  await clock.advance(0);
  assertEquals(sent.length, 10);
  if (probe) breaker?.settle(probe, "succeeded");
  await settle();
  assertEquals(sent.length, 12);
  for (const each of reads) assertEquals(await (await each).text(), "[7]");
  assertEquals(clock.timers, 0);
});

Deno.test("LeaseFetch.send() notifies once of a read whose retry finds the circuit open", async () => {
  const { read, clock, loads, calls, circuit } = guarded(() => new Response("", { status: 503 }), {
    breaker: { consecutiveFailures: 1, openMs: 5_000 },
  });
  read().catch(() => {});
  await clock.advance(2_000);
  assertEquals([loads, circuit()?.state], [["overload"], "open"]);
  calls.end();
  await settle();
  assertEquals([loads, clock.timers], [["overload"], 0]);
});

Deno.test("LeaseFetch.send() keeps the attempts before a circuit opened in the history of its error, and no more", async () => {
  const { read, clock } = guarded(() => REFUSED, {
    breaker: { consecutiveFailures: 1, openMs: 60_000 },
    timeLeftMs: () => 5_000,
  });
  const call = assertRejects(() => read(), CircuitOpenError);
  await clock.advance(2_000);
  assertEquals(attemptsOf(await call), [{ afterMs: 0, outcome: "TypeError" }]);
});

Deno.test("LeaseFetch.send() lets a read wait as long as its deadline allows, or else for requestTimeoutMs", async () => {
  for (const limit of ["none", "no deadline", "a deadline"]) {
    let leftMs = Infinity;
    const rig = guarded(() => REFUSED, { timeLeftMs: limit === "none" ? undefined : () => leftMs, budget: true });
    const start = rig.clock.now();
    await rig.fail();
    rig.guards.guardOf("rest").breaker?.restore({ state: "half-open", probes: 0 });
    // Another call probes, and never gets a response.
    rig.guards.guardOf("rest").breaker?.admit();
    let rejectedAt = 0;
    const call = assertRejects(() => rig.read(), CircuitOpenError).then(() => rejectedAt = rig.clock.now() - start);
    const keepProbing = async () => {
      for (let s = 0; s < 40; s++) {
        await rig.clock.advance(999);
        rig.clock.freeze(1);
        if (limit === "a deadline") leftMs = 20_000 - (rig.clock.now() - start);
        try {
          rig.guards.guardOf("rest").breaker?.admit();
        } catch {
          // another probe is under way
        }
      }
    };
    await keepProbing();
    await call;
    assertEquals([rig.sent.length, rig.clock.timers], [10, 0]);
    const least = limit === "a deadline" ? 18_000 : 28_000;
    assert(rejectedAt > least && rejectedAt < least + 3_000, `${limit}: ${rejectedAt} ms`);
  }
});

Deno.test("LeaseFetch.send() rejects reads at once when maxWaiting wait, when an operator opened the circuit, and without time", async () => {
  const full = guarded(() => REFUSED, { maxWaiting: 2 });
  await full.fail();
  const waiting = [full.read(), full.read()];
  for (const each of waiting) each.catch(() => {});
  await settle();
  await assertRejects(() => full.read(), CircuitOpenError);
  full.calls.end();
  await Promise.allSettled(waiting);
  assertEquals([full.clock.timers, full.guards.guardOf("rest").hasRoom], [0, true]);

  const forced = guarded(() => new Response("[]"));
  forced.guards.guardOf("rest").breaker?.force("open");
  await assertRejects(() => forced.read(), CircuitOpenError, "opened by hand");

  const late = guarded(() => REFUSED, { timeLeftMs: () => 500 });
  await late.fail();
  await assertRejects(() => late.read(), CircuitOpenError);
  const without = guarded(() => REFUSED, { retries: false });
  await without.fail();
  await assertRejects(() => without.read(), CircuitOpenError);
});

Deno.test("LeaseFetch.send() ends the wait for a circuit when its caller leaves or its lease ends, and leaves nothing", async () => {
  for (const end of ["signal", "lease"] as const) {
    const controller = new AbortController();
    const { read, fail, calls, clock, guards } = guarded(() => REFUSED, { signal: controller.signal });
    await fail();
    const call = assertRejects(() => read(), Error, "left");
    await settle();
    if (end === "signal") controller.abort(new Error("left"));
    else calls.end(new Error("left"));
    await call;
    assertEquals(clock.timers, 0);
    assert(guards.guardOf("rest").hasRoom);
  }
});

Deno.test("LeaseFetch.send() lets reads that failed wait for the circuit when the budget is used up, and rejects them without a breaker", async () => {
  for (const breaker of [{ consecutiveFailures: 1 }, undefined]) {
    let down = true;
    const { read, sent, clock } = guarded(() => down ? REFUSED : Response.json([7]), { breaker, budget: true });
    const call = read();
    call.catch(() => {});
    await settle();
    down = false;
    await clock.advance(2_000);
    if (breaker) assertEquals(await (await call).text(), "[7]");
    else await assertRejects(() => call, TypeError);
    assertEquals(sent.length, breaker ? 2 : 1);
  }
});

Deno.test("LeaseFetch.send() counts a call as a request of the budget once, and not if its holder retries", async () => {
  for (const retries of [true, false]) {
    const { read, clock, settings } = guarded((nth) => nth === 1 ? REFUSED : Response.json([7]), { retries });
    Object.assign(settings, { budget: new RetryBudget({ clock }) });
    const call = read();
    call.catch(() => {});
    await clock.advance(2_000);
    await call.catch(() => {});
    const { requests, retries: retried } = settings.budget?.getStats() ?? {};
    assertEquals([requests, retried], retries ? [1, 1] : [0, 0]);
  }
});

Deno.test("LeaseFetch.send() sends one probe of many waiting reads, and the others wait on while it fails", async () => {
  const { read, fail, sent, clock, circuit } = guarded((nth) => nth <= 10 ? REFUSED : "nothing");
  await fail();
  const reads = Array.from({ length: 50 }, () => read().catch((error) => error));
  await clock.advance(500);
  assertEquals([sent.length, circuit()], [11, { state: "half-open", probes: 1 }]);
  await clock.advance(999);
  assertEquals(sent.length, 11);
  await clock.advance(1);
  assertEquals([sent.length, circuit()], [12, { state: "half-open", probes: 2 }]);
  await clock.advance(60_000);
  const errors = await Promise.all(reads);
  assert(errors.every((error) => error instanceof CircuitOpenError || error instanceof RequestTimeoutError));
  assert(sent.length < 10 + 65, `${sent.length} calls`);
  assertEquals(clock.timers, 0);
});

Deno.test("TargetGuard without breaker and observer admits every call", () => {
  const guard = new TargetGuard(undefined, undefined, 1);
  guard.check();
  guard.settle(guard.admit(0), { target: "failed", load: "overload" });
  assertEquals(guard.isRestricted, false);
});
