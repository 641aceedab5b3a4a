import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../shared/pool/mod.ts";
import { readSupabaseEnvironment } from "../../shared/supabase/environment.ts";
import { parseSupabasePoolConfig, SupabaseConnectionPool } from "../../shared/supabase/mod.ts";
import { userToken } from "../support/fake_project.ts";
import { until } from "../support/until.ts";
import { KEY, received, startReplicas } from "./replica_rig.ts";

Deno.test("readReplicas are URLs without credentials, each once, also from POOL_READ_REPLICAS", () => {
  const urls = ["https://a.example", "http://127.0.0.1:5"];
  assertEquals(
    parseSupabasePoolConfig({ readReplicas: ["https://a.example/", "http://127.0.0.1:5"] }).readReplicas,
    urls,
  );
  const project = { SUPABASE_URL: "https://p.example", SUPABASE_PUBLISHABLE_KEY: KEY };
  const { pool } = readSupabaseEnvironment({
    ...project,
    POOL_READ_REPLICAS: " https://a.example , http://127.0.0.1:5",
  });
  assertEquals(pool.readReplicas, urls);
  assertEquals(parseSupabasePoolConfig().readReplicas, []);
  const secret = "https://user:hunter2@h.example";
  for (
    const bad of [[secret], ["postgres://h"], ["https://a.example?x"], ["h"], [1], 7, [
      "https://a.example",
      "https://a.example/",
    ]]
  ) {
    const error = assertThrows(() => parseSupabasePoolConfig({ readReplicas: bad as string[] }), ConfigError);
    assert(error.message.startsWith("Invalid") || error.message.includes("readReplicas"), error.message);
    assert(!error.message.includes("hunter2"));
  }
});

Deno.test("SupabaseConnectionPool sends reads of the Data API to replicas, and all else to the project", async () => {
  await using rig = await startReplicas();
  const { project, replicas, pool } = rig;
  const identity = { token: userToken("7f1c0f3e-3b0a-4c3e-9d55-6f1a5c3b0001") };
  const read = async () => {
    await using lease = await pool.lease({ identity });
    await lease.client.from("notes").select();
    await lease.client.from("notes").select("id", { head: true });
    await lease.client.rpc("totals", {}, { get: true });
  };
  await Promise.all(Array.from({ length: 20 }, read));
  assertEquals(project.requests, []);
  for (const replica of replicas) assert(replica.requests.length > 5, String(replica.requests.length));
  const [first] = replicas[0].requests;
  assertEquals([first?.apikey, first?.authorization], [KEY, `Bearer ${identity.token}`]);
  const before = replicas.map(({ requests }) => requests.length);
  await using lease = await pool.lease({ identity });
  await lease.client.storage.from("files").list();
  await lease.client.rpc("add", {});
  assertEquals(received(project), ["POST /storage/v1/object/list/files", "POST /rest/v1/rpc/add"]);
  assertEquals(replicas.map(({ requests }) => requests.length), before);
});

Deno.test("SupabaseConnectionPool reads from the project in a scope that has written, and from replicas in others", async () => {
  await using rig = await startReplicas();
  const { project, replicas, pool } = rig;
  await using scope = pool.scope();
  const client = scope.client();
  await client.from("notes").select();
  assertEquals(project.requests.length, 0);
  await client.from("notes").insert({ id: 1 });
  await client.from("notes").select();
  await using nested = await scope.lease();
  await nested.client.from("notes").select();
  assertEquals(received(project), ["POST /rest/v1/notes", "GET /rest/v1/notes", "GET /rest/v1/notes"]);
  await using other = await pool.lease();
  await other.client.from("notes").select();
  assertEquals(replicas[0].requests.length + replicas[1].requests.length, 2);
});

Deno.test("SupabaseConnectionPool reads elsewhere when a replica fails; its circuit opens, and closes when it responds", async () => {
  await using rig = await startReplicas({ circuitBreaker: { consecutiveFailures: 3, openMs: 50 } });
  const { project, replicas: [bad, good], pool } = rig;
  const events: string[] = [];
  pool.on("circuitOpened", ({ target }) => events.push(`opened ${target}`));
  pool.on("circuitClosed", ({ target }) => events.push(`closed ${target}`));
  const read = async () => {
    await using lease = await pool.lease();
    const { error, data } = await lease.client.from("notes").select();
    assertEquals([error, data], [null, []]);
  };
  const failures = [
    () => new Response("bad gateway", { status: 502 }),
    () =>
      Response.json({ code: "40001", message: "canceling statement due to conflict with recovery" }, { status: 500 }),
    () => new Response(null, { status: 503 }),
  ];
  let failed = 0;
  bad.answer = () => failures[failed++ % failures.length]?.() ?? Response.json([]);
  await until("its circuit opens", async () => {
    await Promise.all([read(), read(), read(), read()]);
    return events.length > 0;
  });
  assertEquals(events, [`opened ${bad.url}/rest`]);
  assertEquals(project.requests, []);
  assertEquals(pool.circuits.snapshot()["rest"]?.state, "closed");
  bad.answer = () => Response.json([]);
  await until("its circuit closes", async () => {
    await read();
    return events.length > 1;
  });
  assertEquals(events[1], `closed ${bad.url}/rest`);
  // Without a replica that responds, the project does.
  for (const replica of [bad, good]) replica.answer = () => new Response(null, { status: 503 });
  for (let call = 0; call < 10; call++) await read();
  assert(project.requests.length > 5);
});

Deno.test("SupabaseConnectionPool passes the errors of a replica on that are not its own", async () => {
  await using rig = await startReplicas();
  const { project, replicas, pool } = rig;
  for (const replica of replicas) {
    replica.answer = () => Response.json({ code: "42501", message: "permission denied", hint: null }, { status: 403 });
  }
  await using lease = await pool.lease();
  const { error, status } = await lease.client.from("notes").select();
  assertEquals([error?.code, status], ["42501", 403]);
  assertEquals(project.requests, []);
  const controller = new AbortController();
  for (const replica of replicas) {
    replica.answer = () => {
      controller.abort();
      return new Promise(() => {});
    };
  }
  const aborted = await lease.client.from("notes").select().abortSignal(controller.signal);
  assert(aborted.error !== null);
  assertEquals(project.requests, []);
});

Deno.test("SupabaseConnectionPool counts elsewhere when a replica fails, though its response to HEAD has no body", async () => {
  await using rig = await startReplicas();
  const { project, replicas, pool } = rig;
  for (const replica of replicas) replica.answer = () => new Response(null, { status: 500 });
  project.answer = () => new Response(null, { headers: { "content-range": "*/7" } });
  await using lease = await pool.lease();
  const { count, error } = await lease.client.from("notes").select("id", { count: "exact", head: true });
  assertEquals([count, error], [7, null]);
  assertEquals(replicas.map(({ requests }) => requests.length), [1, 1]);
});

Deno.test("SupabaseConnectionPool reads from the project when its replicas do not respond in time", async () => {
  await using rig = await startReplicas({ requestTimeoutMs: 400, readReplicas: [] });
  const { project, pool, replicas } = rig;
  const hung = SupabaseConnectionPool.getInstance(project.url, KEY, {
    readReplicas: [replicas[0].url],
    requestTimeoutMs: 600,
    headers: { "x-other": "1" },
  });
  replicas[0].answer = () => new Promise(() => {});
  try {
    await using lease = await hung.lease();
    const { data, error } = await lease.client.from("notes").select();
    assertEquals([data, error], [[], null]);
    assertEquals(project.requests.length, 1);
  } finally {
    await hung.shutdown(0);
  }
  await using plain = await pool.lease();
  await plain.client.from("notes").select();
  assertEquals(project.requests.length, 2);
});

Deno.test("SupabaseConnectionPool.getInstance() rejects other replicas for an existing pool", async () => {
  await using rig = await startReplicas();
  const { project, replicas: [one] } = rig;
  assertThrows(
    () => SupabaseConnectionPool.getInstance(project.url, KEY, { readReplicas: [one.url] }),
    ConfigError,
    "readReplicas",
  );
});
