import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { createClient, type RealtimeChannel, SupabaseClient } from "@supabase/supabase-js";
import { LeaseReleasedError } from "../../shared/pool/mod.ts";
import { RequestTimeoutError, transportFailure, ViewRestrictedError } from "../../shared/supabase/mod.ts";
import { userToken } from "../support/fake_project.ts";
import { createRig, PUBLISHABLE, SECRET } from "./support.ts";
import { until } from "../support/until.ts";

const alice = userToken("alice");
const bob = userToken("bob");

Deno.test("ClientLease.client has the members of a SupabaseClient, and no other client behind it", async () => {
  await using rig = createRig();
  await using lease = await rig.pool.lease();
  const auth = { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false };
  const whole = createClient("http://127.0.0.1:9", PUBLISHABLE, { auth });
  const members = Object.getOwnPropertyNames(SupabaseClient.prototype).filter((name) => /^[a-z]/.test(name))
    .concat(["auth", "realtime", "storage", "rest", "supabaseUrl"]);
  for (const name of members) {
    assertEquals(name in lease.client, true, name);
    if (name === "realtime") continue; // rejected
    assertEquals(typeof Reflect.get(lease.client, name), typeof Reflect.get(whole, name), name);
  }
  for (let object: unknown = lease.client; object !== null; object = Object.getPrototypeOf(object)) {
    for (const part of ["auth", "realtime", "supabaseKey", "settings"]) {
      const own = Object.getOwnPropertyDescriptor(object, part);
      assertEquals(own !== undefined && "value" in own, false, `${part} is to be reached`);
    }
  }
});

Deno.test("ClientLease.client sends from(), rpc() and schema() as the lease's caller", async () => {
  await using rig = createRig();
  await using lease = await rig.pool.lease({ identity: { token: alice } });
  await lease.client.from("budgets").insert({ name: "x" });
  await lease.client.rpc("total", { id: 1 });
  await lease.client.schema("private").from("notes").select();
  assertEquals(rig.project.requests.map(({ method, path }) => `${method} ${path}`), [
    "POST /rest/v1/budgets",
    "POST /rest/v1/rpc/total",
    "GET /rest/v1/notes?select=*",
  ]);
  assertEquals(rig.project.requests[2]?.headers.get("accept-profile"), "private");
  for (const { authorization } of rig.project.requests) assertEquals(authorization, `Bearer ${alice}`);
});

Deno.test("ClientLease.client sends functions, storage and an own fetch as the lease's caller", async () => {
  await using rig = createRig();
  await using lease = await rig.pool.lease({ identity: { token: alice } });
  rig.project.answer = () => Response.json({});
  let seen = 0;
  const own: typeof fetch = (input, init) => (seen++, fetch(input, init));
  await lease.client.functions.invoke("hello");
  await lease.client.storage.from("files").list();
  await lease.client.from("budgets", { fetch: own }).select();
  assertEquals(seen, 1);
  assertEquals(rig.project.requests.map(({ authorization }) => authorization), Array(3).fill(`Bearer ${alice}`));
});

Deno.test("ClientLease.client ignores a token that its holder sets", async () => {
  await using rig = createRig();
  await using lease = await rig.pool.lease({ identity: { token: alice } });
  rig.project.answer = () => Response.json({});
  await lease.client.from("budgets").select().setHeader("Authorization", `Bearer ${bob}`).setHeader("apikey", SECRET);
  await lease.client.functions.invoke("hello", { headers: { Authorization: `Bearer ${bob}` } });
  for (const { authorization, apikey } of rig.project.requests) {
    assertEquals([authorization, apikey], [`Bearer ${alice}`, PUBLISHABLE]);
  }
});

Deno.test("ClientLease.client has no changes of the previous holder", async () => {
  await using rig = createRig({ maxConnections: 1 });
  {
    await using lease = await rig.pool.lease({ identity: { token: alice } });
    // deno-lint-ignore no-explicit-any -- accesses members that the types do not declare
    const client = lease.client as any;
    client.functions.setAuth(bob);
    client.functions.headers["x-left"] = "functions";
    client.storage.setHeader("x-left", "storage");
    client.storage.headers["x-left"] = "storage";
    client.rest.headers.set("x-left", "rest");
    client.rest.url = "http://127.0.0.1:1/rest/v1";
    client.headers["x-left"] = "headers";
    for (const field of ["fetch", "rest", "headers", "functions", "storage", "auth", "from"]) {
      try {
        client[field] = () => "left";
      } catch {
        // a rejection is as good as no effect
      }
    }
    Object.getPrototypeOf(client.rest).left = "rest";
    delete Object.getPrototypeOf(client.rest).left;
  }
  await using lease = await rig.pool.lease({ identity: { token: bob } });
  rig.project.answer = () => Response.json({});
  await lease.client.from("budgets").select();
  await lease.client.functions.invoke("hello");
  await lease.client.storage.from("files").list();
  assertEquals(rig.project.requests.length, 3);
  for (const { headers, authorization } of rig.project.requests) {
    assertEquals(headers.get("x-left"), null);
    assertEquals(authorization, `Bearer ${bob}`);
  }
});

Deno.test("ClientLease.client sends headers set on its rest with its later queries, and with no other view's", async () => {
  await using rig = createRig();
  await using lease = await rig.pool.lease({ identity: { token: alice } });
  await using other = await rig.pool.lease({ identity: { token: bob } });
  // deno-lint-ignore no-explicit-any -- accesses members that the types do not declare
  const [client, stranger] = [lease.client as any, other.client as any];
  rig.project.answer = () => Response.json({});
  for (const one of [client, stranger]) await one.from("before").select();
  const builder = client.from("begun");
  builder.headers.set("x-builder", "1");
  client.rest.headers.set("x-rest", "1");
  await builder.select();
  for (const one of [client, client.schema("other"), stranger]) await one.from("after").select();
  assertEquals(
    rig.project.requests.map(({ headers }) => [headers.get("x-builder"), headers.get("x-rest")]),
    [[null, null], [null, null], ["1", null], [null, "1"], [null, "1"], [null, null]],
  );
});

Deno.test("ClientLease.client shares no mutable object with another view, except the classes of its modules", async () => {
  await using rig = createRig({ maxConnections: 1 });
  /** Returns all objects that are reachable from `client` by properties and prototypes. */
  const reach = (client: object): Set<object> => {
    const seen = new Set<object>();
    const visit = (value: unknown) => {
      if (value === null || (typeof value !== "object" && typeof value !== "function") || seen.has(value)) return;
      if (known.has(value)) return;
      seen.add(value);
      for (const [name, { get, value: held }] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
        visit(get);
        visit(held);
        if (value === client || Object.getPrototypeOf(client) === value) {
          try {
            visit(Reflect.get(client, name));
          } catch {
            // a rejected property leads to no object
          }
        }
      }
      visit(Object.getPrototypeOf(value));
    };
    visit(client);
    return seen;
  };
  // Objects of the runtime and the modules: those reachable from a client without a pool.
  const known = new Set<object>();
  const { SupabaseClient: _, ...plain } = await import("@supabase/supabase-js");
  const own = createClient("http://127.0.0.1:9", PUBLISHABLE, { auth: { autoRefreshToken: false } });
  for (const object of [globalThis, plain, own]) {
    for (const found of reach(object)) known.add(found);
  }
  const first = await rig.pool.lease();
  const one = reach(first.client);
  first.release();
  await using second = await rig.pool.lease();
  const shared = [...reach(second.client)].filter((object) => one.has(object) && !Object.isFrozen(object));
  assertEquals(shared.map((object) => Deno.inspect(object, { depth: 1 })), []);
  assert(one.size > 30, `only ${one.size} objects were reached`);
});

Deno.test("ClientLease.client rejects a builder of an earlier lease, which never sends the next one's token", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const first = await rig.pool.lease({ identity: { token: alice } });
  const kept = first.client.from("budgets").select();
  const storage = first.client.storage.from("files");
  const { fetch: bound } = first.client as unknown as { fetch: typeof fetch };
  first.release();
  await using second = await rig.pool.lease({ identity: { token: bob } });
  const { error, status } = await kept;
  assertEquals(status, 0);
  assertStringIncludes(error?.message ?? "", "LeaseReleasedError");
  assertInstanceOf(transportFailure(first.client, error), LeaseReleasedError);
  await assertRejects(() => bound(`${rig.project.url}/rest/v1/budgets`), LeaseReleasedError);
  assert((await storage.list()).error);
  await second.client.from("budgets").select();
  assertEquals(rig.project.requests.map(({ authorization }) => authorization), [`Bearer ${bob}`]);
});

Deno.test("ClientLease.client sends nothing after its release, and never throws synchronously", async (t) => {
  await using rig = createRig();
  const lease = await rig.pool.lease({ identity: { token: alice } });
  const { client } = lease;
  lease.release();
  const calls: Record<string, () => PromiseLike<{ error: unknown }>> = {
    "from()": () => client.from("budgets").select(),
    "rpc()": () => client.rpc("total"),
    "schema()": () => client.schema("private").from("budgets").select(),
    "rest": () => (client as unknown as { rest: typeof client }).rest.from("budgets").select(),
    "functions": () => client.functions.invoke("f"),
    "storage": () => client.storage.from("files").list(),
    "auth": () => client.auth.getUser(),
  };
  for (const [name, call] of Object.entries(calls)) {
    await t.step(name, async () => {
      const { error } = await call();
      assertStringIncludes(Deno.inspect(error), "Cannot use this lease: it was released");
    });
  }
  await assertRejects(() => Promise.resolve(client.from("budgets").select().throwOnError()));
  assertEquals(rig.project.requests, []);
});

Deno.test("ClientLease.release() aborts the calls in flight", async () => {
  await using rig = createRig();
  const aborted = Promise.withResolvers<void>();
  rig.project.answer = (request) => {
    request.signal.addEventListener("abort", () => aborted.resolve());
    return new Promise(() => {});
  };
  const lease = await rig.pool.lease();
  const call = lease.client.from("budgets").select().then((result) => result);
  await until("the request arrives", () => rig.project.requests.length > 0);
  lease.release();
  const { error } = await call;
  assertInstanceOf(transportFailure(lease.client, error), LeaseReleasedError);
  await aborted.promise;
});

Deno.test("ClientLease.client rejects unsafe members and names the alternative", async () => {
  await using rig = createRig();
  await using lease = await rig.pool.lease({ identity: { token: alice } });
  const { client } = lease;
  for (
    const use of [
      () => client.channel("room"),
      () => client.realtime,
      () => client.auth.signInWithPassword({ email: "a@b.c", password: "x" }),
      () => client.auth.setSession({ access_token: bob, refresh_token: "x" }),
      () => client.auth.signOut(),
      () => client.auth.onAuthStateChange(() => {}),
      () => client.auth.admin,
    ]
  ) {
    const error = assertThrows(use, ViewRestrictedError);
    assertEquals(error.code, "VIEW_RESTRICTED");
    assert(/createClient|secret key/.test(error.message), error.message);
  }
  // The view hands out no channel that could be removed.
  assertThrows(() => client.removeChannel({} as RealtimeChannel), ViewRestrictedError, "it has no channels");
  assertEquals(client.getChannels(), []);
  await client.removeAllChannels();
  assertEquals(rig.project.requests.length, 0);
});

Deno.test("transportFailure() returns the RequestTimeoutError of a call without a response", async () => {
  await using rig = createRig({ requestTimeoutMs: 50 });
  rig.project.answer = () => new Promise(() => {});
  await using lease = await rig.pool.lease();
  const { error } = await lease.client.from("budgets").select();
  assertStringIncludes(error?.message ?? "", "no complete response within 50 ms");
  assertInstanceOf(transportFailure(lease.client, error), RequestTimeoutError);
});

Deno.test("transportFailure() returns undefined for a response with the text of a failure that an earlier call met", async () => {
  await using rig = createRig({ requestTimeoutMs: 50 });
  rig.project.answer = () => new Promise(() => {});
  await using lease = await rig.pool.lease();
  const { error: failure } = await lease.client.from("budgets").select();
  assertInstanceOf(transportFailure(lease.client, failure), RequestTimeoutError);
  rig.project.answer = () => Response.json({ message: failure?.message, code: "P0001" }, { status: 400 });
  const { error } = await lease.client.from("budgets").select();
  assertEquals([error?.message, error?.code], [failure?.message, "P0001"]);
  assertEquals(transportFailure(lease.client, error), undefined);
});

Deno.test("requestTimeoutMs includes the body", async () => {
  await using rig = createRig({ requestTimeoutMs: 100 });
  rig.project.answer = () => new Response(new ReadableStream({ start: (c) => c.enqueue(new Uint8Array([91])) }));
  await using lease = await rig.pool.lease();
  const { error } = await lease.client.from("budgets").select();
  assertInstanceOf(transportFailure(lease.client, error), RequestTimeoutError);
});

Deno.test("transportFailure() returns undefined for an error of the Data API", async () => {
  await using rig = createRig();
  rig.project.answer = () => Response.json({ message: "no such table", code: "42P01" }, { status: 404 });
  await using lease = await rig.pool.lease();
  const { error } = await lease.client.from("nothing").select();
  assertEquals(transportFailure(lease.client, error), undefined);
  assertEquals(transportFailure({}, error), undefined);
  assertEquals(transportFailure(null, null), undefined);
});

Deno.test("ClientLease.client runs callsPerLease calls at once, and the others in order", async () => {
  await using rig = createRig({ callsPerLease: 6 });
  rig.project.answer = async () => {
    await new Promise((resolve) => setTimeout(resolve, 2));
    return Response.json([]);
  };
  await using lease = await rig.pool.lease();
  const results = await Promise.all(Array.from({ length: 100 }, () => lease.client.from("budgets").select()));
  assertEquals(results.filter(({ error }) => error).length, 0);
  assertEquals(rig.project.load.most, 6);
});

Deno.test("ClientLease.client frees the permit of a call once its response is read, in every way to read", async () => {
  await using rig = createRig({ callsPerLease: 1, requestTimeoutMs: 5_000 });
  rig.project.answer = () => Response.json({ ok: true });
  await using lease = await rig.pool.lease();
  const { fetch: bound } = lease.client as unknown as { fetch: typeof fetch };
  const get = (init?: RequestInit) => bound(`${rig.project.url}/rest/v1/x`, init);
  assertEquals(await (await get()).json(), { ok: true });
  assertEquals(await (await get()).text(), '{"ok":true}');
  assertEquals((await (await get()).arrayBuffer()).byteLength, 11);
  assertEquals((await (await get()).blob()).size, 11);
  const streamed = await get();
  let length = 0;
  for await (const chunk of streamed.body ?? []) length += chunk.length;
  assertEquals(length, 11);
  await (await get()).body?.cancel();
  assertEquals(await (await get()).clone().text(), '{"ok":true}');
  await get({ method: "HEAD" });
  rig.project.answer = () => new Response(null, { status: 204 });
  await get();
  await get();
});

Deno.test("ClientLease.client removes an aborted call from the queue for permits", async () => {
  await using rig = createRig({ callsPerLease: 1 });
  const hold = Promise.withResolvers<Response>();
  rig.project.answer = () => hold.promise;
  await using lease = await rig.pool.lease();
  const first = lease.client.from("a").select().then((result) => result);
  const controller = new AbortController();
  const second = lease.client.from("b").select().abortSignal(controller.signal).then((result) => result);
  const third = lease.client.from("c").select().then((result) => result);
  controller.abort();
  assertStringIncludes((await second).error?.message ?? "", "AbortError");
  hold.resolve(Response.json([]));
  rig.project.answer = () => Response.json([]);
  assertEquals((await first).error, null);
  assertEquals((await third).error, null);
  assertEquals(rig.project.requests.map(({ path }) => path.slice(9, 10)), ["a", "c"]);
});

Deno.test("transportFailure() returns the error of its own call among several that failed", async () => {
  await using rig = createRig({ requestTimeoutMs: 250 });
  await using lease = await rig.pool.lease();
  rig.project.answer = () => new Response(null, { status: 302, headers: { location: "https://elsewhere.test/" } });
  const redirected = await lease.client.from("a").select();
  rig.project.answer = () => new Promise(() => {});
  const silent = await lease.client.from("b").select();
  const [first, second] = [redirected, silent].map(({ error }) => transportFailure(lease.client, error));
  assertInstanceOf(second, RequestTimeoutError);
  assertEquals([(first as { code?: string }).code, second.code], ["FOREIGN_ADDRESS", "REQUEST_TIMEOUT"]);
});

Deno.test("ClientLease.client returns the text of an error whose body is JSON, but not an object", async () => {
  await using rig = createRig();
  await using lease = await rig.pool.lease();
  for (const [body, message] of [["the database is down", "the database is down"], [7, "7"], [null, "null"]] as const) {
    rig.project.answer = () => Response.json(body, { status: 500 });
    const { data, error, status } = await lease.client.from("budgets").select();
    assertEquals([data, error?.message, status], [null, message, 500]);
  }
});

Deno.test("ClientLease.client sends getOpenApiSpec() as the lease's caller, and returns the description", async () => {
  await using rig = createRig();
  await using lease = await rig.pool.lease({ identity: { token: alice } });
  rig.project.answer = () => Response.json({ swagger: "2.0" });
  const { data } = await lease.client.getOpenApiSpec();
  assertEquals(data?.swagger, "2.0");
  assertEquals(rig.project.requests.map(({ path, headers }) => [path, headers.get("authorization")]), [
    ["/rest/v1/", `Bearer ${alice}`],
  ]);
});
