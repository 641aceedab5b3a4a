import { assertEquals, assertStrictEquals } from "@std/assert";
import { PoolClosedError } from "../../shared/pool/mod.ts";
import { RequestTimeoutError } from "../../shared/supabase/mod.ts";
import { TargetGuards, verdictOnError, verdictOnResponse } from "../../shared/supabase/calls/target_guard.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

/** Returns the verdict on a response as two words. */
function onResponse(status: number, proxyStatus?: string): string {
  const headers = new Headers(proxyStatus === undefined ? {} : { "proxy-status": proxyStatus });
  const { target, load } = verdictOnResponse({ status, headers });
  return `${target} ${load}`;
}

for (
  const [verdict, statuses] of [
    ["succeeded ok", [200, 204, 301, 399]],
    ["succeeded overload", [429]],
    ["succeeded ignored", [400, 401, 404, 428, 430, 500, 501, 505, 519, 525, 599]],
    ["failed ignored", [502, 520, 521, 522, 523, 524]],
    ["failed overload", [503, 504]],
  ] as const
) {
  Deno.test(`verdictOnResponse() is "${verdict}" for ${statuses.join(", ")}`, () => {
    for (const status of statuses) assertEquals(onResponse(status), verdict, `${status}`);
  });
}

Deno.test("verdictOnResponse() is no failure for a status that a function of the database chose", () => {
  assertEquals(onResponse(503, "PostgREST; error=PT503"), "succeeded ignored");
  assertEquals(onResponse(502, "PostgREST; error=PT502"), "succeeded ignored");
  assertEquals(onResponse(503, "PostgREST; error=PGRST002"), "failed overload");
  // An RPC that limits its callers must not lower the limit for all others.
  assertEquals(onResponse(429, "PostgREST; error=PT429"), "succeeded ignored");
  assertEquals(onResponse(429, "PostgREST; error=rate_limited"), "succeeded ignored");
  assertEquals(onResponse(429, "gateway; error=proxy_internal_response"), "succeeded overload");
});

Deno.test("verdictOnError() is a failure of the target for errors of the network and timeouts only", () => {
  const call = { aborted: false, lateMs: -1, isUpload: false };
  const network = new TypeError("error sending request for url (http://project.test/)");
  const verdictOn = (error: unknown, other: Partial<typeof call> = {}) => {
    const { target, load } = verdictOnError(error, { ...call, ...other });
    return `${target} ${load}`;
  };
  assertEquals(verdictOn(network), "failed ignored");
  assertEquals(verdictOn(new TypeError("connection reset")), "failed ignored");
  assertEquals(verdictOn(new TypeError("dns error: no such host")), "failed ignored");
  assertEquals(verdictOn(new TypeError("invalid header name")), "ignored ignored");
  assertEquals(verdictOn(new RequestTimeoutError(5)), "failed overload");
  assertEquals(verdictOn(new RequestTimeoutError(5), { aborted: true }), "failed overload");
  assertEquals(verdictOn(network, { aborted: true }), "ignored ignored");
  assertEquals(verdictOn(network, { isUpload: true }), "ignored ignored");
  assertEquals(verdictOn(network, { lateMs: 1_000 }), "failed ignored");
  assertEquals(verdictOn(network, { lateMs: 1_001 }), "ignored ignored");
  assertEquals(verdictOn(new PoolClosedError()), "ignored ignored");
  assertEquals(verdictOn(new DOMException("stopped", "AbortError")), "ignored ignored");
});

const baseUrl = "http://project.test/base";

Deno.test("TargetGuards.of() returns one guard for each target, named by its address", () => {
  const created: string[] = [];
  const guards = new TargetGuards({
    baseUrl,
    breaker: { clock: new FakeClock() },
    onBreaker: (_breaker, name) => created.push(name),
  });
  const rest = guards.of(`${baseUrl}/rest/v1/budgets?select=*`);
  assertStrictEquals(guards.of(`${baseUrl}/rest/v1/other`), rest);
  const auth = guards.of(`${baseUrl}/auth/v1/user`);
  assertStrictEquals(guards.of(`${baseUrl}/rest/v1/again`), rest);
  assertStrictEquals(guards.of(`${baseUrl}/auth/v1/again`), auth);
  const one = guards.of(`${baseUrl}/functions/v1/one?x=/y`);
  assertEquals(guards.of(`${baseUrl}/functions/v1/two`) === one, false);
  const itself = guards.of(`${baseUrl}/?x=/y/z`);
  assertStrictEquals(guards.of(baseUrl), itself);
  assertStrictEquals(guards.guardOf("rest"), rest);
  assertEquals(created, ["rest", "auth", "functions/one", "functions/two", ""]);
  assertEquals([...guards.breakers.keys()], created);
  assertEquals([...guards.breakers.values()].map(({ target }) => target), [
    `${baseUrl}/rest`,
    `${baseUrl}/auth`,
    `${baseUrl}/functions/one`,
    `${baseUrl}/functions/two`,
    baseUrl,
  ]);
});

Deno.test("TargetGuards.of() shares one guard beyond 32 functions, and has no breakers without options", () => {
  const guards = new TargetGuards({ baseUrl });
  const all = Array.from({ length: 40 }, (_, n) => guards.of(`${baseUrl}/functions/v1/f${n}`));
  assertEquals(new Set(all).size, 33);
  assertStrictEquals(all[39], guards.guardOf("functions"));
  assertStrictEquals(guards.of(`${baseUrl}/functions/v1/f0`), all[0]);
  assertEquals([guards.breakers.size, all[0]?.breaker, all[0]?.isRestricted], [0, undefined, false]);
});

Deno.test("TargetGuards.of() has a guard for each part of the project, whatever functions were called before", () => {
  const guards = new TargetGuards({ baseUrl });
  for (let n = 0; n < 100; n++) guards.of(`${baseUrl}/functions/v1/f${n}`);
  const parts = ["rest", "auth", "storage", "graphql"].map((part) => guards.of(`${baseUrl}/${part}/v1/x`));
  assertEquals(new Set([...parts, guards.guardOf("functions"), guards.guardOf("")]).size, 6);
  const others = Array.from({ length: 40 }, (_, n) => guards.of(`${baseUrl}/part${n}/x`));
  assertEquals(new Set(others).size, 11, "10 more, and that of the address");
  assertStrictEquals(others[39], guards.guardOf(""));
  assertStrictEquals(guards.of(`${baseUrl}/rest/v1/y`), parts[0]);
});

Deno.test("TargetGuard.settle() notifies the breaker and the observer of the result", () => {
  const seen: unknown[] = [];
  const guards = new TargetGuards({
    baseUrl,
    breaker: { clock: new FakeClock(), consecutiveFailures: 2 },
    observer: { begin: () => "begun", end: (call, outcome) => seen.push([call, outcome]) },
  });
  const guard = guards.guardOf("rest");
  for (let n = 0; n < 2; n++) {
    assertEquals(guard.isRestricted, false);
    guard.check();
    guard.settle(guard.admit(0), { target: "failed", load: "overload" });
  }
  assertEquals(seen, [["begun", "overload"], ["begun", "overload"]]);
  assertEquals(guard.isRestricted, true);
});

Deno.test("TargetGuard.wait() wakes each call that waits when the circuit closes, up to a number", async () => {
  const guards = new TargetGuards({ baseUrl, breaker: { clock: new FakeClock() }, maxWaiting: 2 });
  const guard = guards.guardOf("rest");
  const woken: string[] = [];
  const [a, b] = [() => void woken.push("a"), () => void woken.push("b")];
  guard.breaker?.force("open");
  guard.wait(a);
  assertEquals(guard.hasRoom, true);
  guard.wait(b);
  assertEquals(guard.hasRoom, false);
  guard.leave(a);
  assertEquals(guard.hasRoom, true);
  guard.breaker?.force("closed");
  await settle();
  assertEquals(woken, ["b"]);
});
