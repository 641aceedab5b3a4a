/** A fetch of keys that hangs or fails. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { withSupabase } from "@supabase/server";
import { createAuthenticate, type RequestWait } from "../../shared/http/auth/authenticate.ts";
import { JWKS_MAX_AGE_MS, JwksSource } from "../../shared/http/auth/jwks_source.ts";
import { createRequestHandler } from "../../shared/http/handler/request_handler.ts";
import { withPooledSupabase } from "../support/http.ts";
import type { Clock } from "../../shared/resilience/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { cancelUnreadBodies } from "../support/unread_bodies.ts";
import { until } from "../support/until.ts";
import { FakePools, URL_OF_PROJECT, VARIABLES } from "./fake_pools.ts";
import { createProjectKey, sharedSecretToken, unsignedToken } from "./tokens.ts";

const project = await createProjectKey();
const token = await project.sign();

/** Starts a server of the project's keys that waits for `go`. */
function startKeys() {
  const go = Promise.withResolvers<void>();
  const state = { fetched: 0, answer: () => Response.json(project.jwks) };
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async () => {
    state.fetched++;
    await go.promise;
    return state.answer();
  });
  const env = {
    url: URL_OF_PROJECT,
    publishableKeys: { default: "sb_publishable_default" },
    secretKeys: {},
    jwks: new URL(`http://127.0.0.1:${server.addr.port}/${crypto.randomUUID()}/jwks.json`),
  };
  return {
    go,
    state,
    env,
    async [Symbol.asyncDispose]() {
      go.resolve();
      await server.shutdown();
    },
  };
}

type Keys = ReturnType<typeof startKeys>;

function ask(handle: (request: Request) => Promise<Response>, bearer = token, init: RequestInit = {}) {
  return handle(new Request("https://x.test/f", { ...init, headers: { Authorization: `Bearer ${bearer}` } }));
}

function handlerOn({ env }: Keys, options: { rememberTokensMs?: number; deadlineMs?: number } = {}, clock?: Clock) {
  const log: string[] = [];
  const all = {
    env,
    variables: VARIABLES,
    service: new FakePools(),
    log: (line: string) => log.push(line),
    ...options,
  };
  const handler = () => Response.json("in");
  if (!clock) return { log, handle: withPooledSupabase<unknown>(all, handler) };
  const onClock = createRequestHandler<unknown>(all, clock);
  return { log, handle: (request: Request) => onClock(request, handler) };
}

for (const rememberTokensMs of [60_000, 0]) {
  Deno.test(`withPooledSupabase() responds 504 at the deadline of a wait for keys, of one shared fetch: rememberTokensMs ${rememberTokensMs}`, async () => {
    await using keys = startKeys();
    const clock = new FakeClock();
    const { log, handle } = handlerOn(keys, { rememberTokensMs, deadlineMs: 100 }, clock);
    let settled = 0;
    const asked = Array.from({ length: 5 }, () => ask(handle).finally(() => settled++));
    await until("the keys are fetched", () => keys.state.fetched === 1);
    await clock.advance(99);
    assertEquals(settled, 0);
    await clock.advance(1);
    const answers = await Promise.all(asked);
    for (const answer of answers) {
      assertEquals([answer.status, (await answer.json()).code], [504, "DEADLINE_EXCEEDED"]);
      assertEquals(answer.headers.get("X-Pool-Total-Connections"), "8");
    }
    assertEquals([keys.state.fetched, log.length], [1, 1]);
    const waiting = ask(handlerOn(keys, { rememberTokensMs }).handle);
    const late = ask(handle);
    keys.go.resolve();
    const statuses = await Promise.all([waiting, late]);
    for (const answer of statuses) assertEquals([answer.status, await answer.json()], [200, "in"]);
  });
}

Deno.test("withPooledSupabase() stops waiting for keys when the caller disconnects, and leaves no timer", async () => {
  await using keys = startKeys();
  const clock = new FakeClock();
  const log: string[] = [];
  const options = {
    env: keys.env,
    variables: VARIABLES,
    service: new FakePools(),
    log: (line: string) => log.push(line),
  };
  const handle = createRequestHandler<unknown>(options, clock);
  const answering = (init: RequestInit) => ask((request) => handle(request, () => new Response()), token, init);
  const caller = new AbortController();
  const answer = answering({ signal: caller.signal });
  await until("the keys are fetched", () => keys.state.fetched > 0);
  assertEquals(clock.timers, 1);
  caller.abort();
  assertEquals([(await answer).status, clock.timers, log], [499, 0, []]);
  assertEquals((await answering({ signal: AbortSignal.abort() })).status, 499);
  keys.go.resolve();
  assertEquals((await answering({})).status, 200);
  assertEquals([keys.state.fetched, clock.timers], [1, 0]);
});

Deno.test("createAuthenticate() adopts keys that arrive after every caller has left", async () => {
  await using keys = startKeys();
  keys.go.resolve();
  using time = new FakeTime();
  const authenticate = createAuthenticate({ auth: "user", env: keys.env, rememberTokensMs: 60_000 });
  const old = await project.sign({ exp: 4_000_000_000 });
  const request = () => new Request("https://x.test/f", { headers: { Authorization: `Bearer ${old}` } });
  assertEquals((await authenticate(request())).error, null);
  keys.state.answer = () => Response.json({ keys: [] });
  time.tick(JWKS_MAX_AGE_MS);
  let fetching: Promise<unknown> | undefined;
  const leaves: RequestWait = (work) => {
    fetching = work;
    return Promise.reject(new Error("left"));
  };
  await assertRejects(async () => await authenticate(request(), leaves), Error, "left");
  await fetching;
  assertEquals((await authenticate(request())).error?.code, "INVALID_JWT");
  assertEquals(keys.state.fetched, 2);
});

Deno.test("withPooledSupabase() fetches unavailable keys once, and rejects as withSupabase does", async () => {
  await using keys = startKeys();
  await using _bodies = cancelUnreadBodies();
  keys.go.resolve();
  const { handle, log } = handlerOn(keys);
  const theirs = withSupabase({ env: keys.env }, () => Promise.resolve(Response.json("in")));
  const faults: readonly (() => Response)[] = [
    () => new Response("no", { status: 503 }),
    () => new Response("<html>"),
    () => Response.json({ keys: "none" }),
  ];
  for (const answer of faults) {
    keys.state.answer = answer;
    keys.state.fetched = 0;
    const ours = await ask(handle);
    assertEquals(keys.state.fetched, 1);
    const other = await ask(theirs);
    assertEquals([ours.status, await ours.json()], [other.status, await other.json()]);
    assertEquals(ours.headers.get("x-supabase-server-error"), "JWKS_FETCH_FAILED");
  }
  assertEquals(log.length, 1);
});

Deno.test("JwksSource.keysFor() cancels the body of a response that is not a key set", async () => {
  await using keys = startKeys();
  keys.go.resolve();
  for (const status of [204, 302, 404, 503]) {
    let canceled = status === 204;
    const endless = () =>
      new ReadableStream({ start: (body) => body.enqueue(new Uint8Array(10)), cancel: () => void (canceled = true) });
    keys.state.answer = () => new Response(status === 204 ? null : endless(), { status });
    const source = JwksSource.at(new URL(`?${status}`, keys.env.jwks));
    const { failure } = await source.keysFor("a", (work) => work);
    assertStringIncludes(String(failure), "Expected 200 OK");
    await until(`the body of status ${status} to be canceled`, () => canceled);
  }
});

Deno.test("withPooledSupabase() fetches no keys for a token that it rejects with any keys", async () => {
  await using keys = startKeys();
  const { handle } = handlerOn(keys);
  const theirs = withSupabase({ env: keys.env }, () => Promise.resolve(Response.json("in")));
  const noKid = await sharedSecretToken();
  for (const bearer of [noKid, unsignedToken(), "nonsense", "sb_publishable_default", "e30.e30.e30"]) {
    const [ours, other] = [await ask(handle, bearer), await ask(theirs, bearer)];
    assertEquals([ours.status, await ours.json()], [other.status, await other.json()], bearer);
  }
  assertEquals(keys.state.fetched, 0);
});
