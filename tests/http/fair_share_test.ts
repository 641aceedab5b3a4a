/** Tests whose share of the slots a request takes in pools with `fairShare`, with a fake project. */
import { assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "@std/assert";
import { ConfigError, type Flow } from "../../shared/pool/mod.ts";
import { type PooledHandler, type PooledSupabaseOptions, withPooledSupabase } from "../support/http.ts";
import { until } from "../support/until.ts";
import { type Rig, setUp } from "./real_rig.ts";
import { sharedSecretToken } from "./tokens.ts";

/** Queries the table that the path names. */
const query: PooledHandler<unknown> = async (request, { supabase }) => {
  const { error } = await supabase.from(new URL(request.url).pathname.slice(1)).select();
  return Response.json({ error }, { status: error ? 500 : 200 });
};

/** As {@linkcode query}, with the client that bypasses row-level security. */
const queryAsAdmin: PooledHandler<unknown> = (request, context) =>
  query(request, { ...context, supabase: context.supabaseAdmin });

/** Creates a function with one slot. */
function oneSlot(
  handler: PooledHandler<unknown> = query,
  options: PooledSupabaseOptions<unknown> = {},
  on = "on",
): Rig {
  return setUp(handler, { POOL_MAX_CONNECTIONS: "1", POOL_FAIR_SHARE: on }, options);
}

/** A request, and the name of the table it queries. */
type Wanted = readonly [table: string, init: RequestInit & { as?: string }];

/** Sends requests while the only slot is taken, and returns the order in which the project gets their queries. */
async function orderOf(rig: Rig, wanted: readonly Wanted[], pool = rig.service.getConnectionPool()): Promise<string> {
  const holder = await pool.lease({ flow: "holder" });
  const responses: Promise<Response>[] = [];
  for (const [table, init] of wanted) {
    responses.push(rig.fetch(`/${table}`, init));
    await until(`${table} waits`, () => pool.getStats().waitingForConnection === responses.length);
  }
  holder.release();
  assertEquals((await Promise.all(responses)).map(({ status }) => status), wanted.map(() => 200));
  return rig.project.requests.map(({ path }) => /v1\/(\w+)/.exec(path)?.[1]).join(" ");
}

const ada = await sharedSecretToken({ sub: "ada" });
const bob = await sharedSecretToken({ sub: "bob" });

Deno.test("POOL_FAIR_SHARE lets users take turns, whatever tokens they have", async () => {
  await using rig = oneSlot();
  const refreshed = await sharedSecretToken({ sub: "ada", session_id: "another" });
  const order = await orderOf(rig, [
    ["a1", { as: ada }],
    ["a2", { as: refreshed }],
    ["a3", { as: ada }],
    ["b1", { as: bob }],
    ["b2", { as: bob }],
  ]);
  assertEquals(order, "a1 b1 a2 b2 a3");
});

Deno.test("POOL_FAIR_SHARE is off by default, and flowKey is not called then", async () => {
  let calls = 0;
  await using rig = oneSlot(query, { flowKey: () => `${calls++}` }, "off");
  const order = await orderOf(rig, [["a1", { as: ada }], ["a2", { as: ada }], ["b1", { as: bob }]]);
  assertEquals([order, calls], ["a1 a2 b1", 0]);
});

Deno.test("POOL_FAIR_SHARE counts all anonymous callers as one", async () => {
  await using rig = oneSlot();
  assertEquals(await orderOf(rig, [["x1", {}], ["x2", {}], ["a1", { as: ada }], ["x3", {}]]), "x1 a1 x2 x3");
});

Deno.test("flowKey chooses whose share a request takes, and undefined leaves the default", async () => {
  await using rig = oneSlot(query, { flowKey: (request) => request.headers.get("x-tenant") ?? undefined });
  const of = (tenant: string) => ({ headers: { "x-tenant": tenant } });
  const order = await orderOf(rig, [["t1", of("t")], ["t2", of("t")], ["u1", of("u")], ["x1", {}], ["x2", {}]]);
  assertEquals(order, "t1 u1 x1 t2 x2");
});

Deno.test("flowKey cannot name a user, and gives weights", async () => {
  const flowKey = (request: Request): Flow | undefined => {
    const tenant = request.headers.get("x-tenant");
    return tenant === null ? undefined : { key: tenant, weight: 2 };
  };
  await using rig = oneSlot(query, { flowKey });
  const as = { headers: { "x-tenant": "user ada" } };
  const order = await orderOf(rig, [
    ["a1", { as: ada }],
    ["a2", { as: ada }],
    ["t1", as],
    ["t2", as],
    ["t3", as],
  ]);
  assertEquals(order, "t1 a1 t2 t3 a2");
});

for (const [what, flow] of [["a promise", Promise.resolve("t")], ["a number", 7], ["an object without a key", {}]]) {
  Deno.test(`flowKey that returns ${what} is an error, and does not put all callers into one flow`, async () => {
    let failure: unknown;
    const handler: PooledHandler<unknown> = async (_request, { pool }) => {
      failure = await pool.lease().catch((error) => error);
      return new Response();
    };
    await using rig = oneSlot(handler, { flowKey: (() => flow) as () => Flow });
    await rig.fetch("/t1");
    assertInstanceOf(failure, ConfigError);
    assertStringIncludes(failure.message, "flow: must be a string, or { key, weight }");
    assertEquals(rig.service.getConnectionPool().getStats().activeConnections, 0);
  });
}

Deno.test("flowKey that returns null leaves the default", async () => {
  await using rig = oneSlot(query, { flowKey: () => null as unknown as undefined });
  assertEquals(await orderOf(rig, [["a1", { as: ada }], ["a2", { as: ada }], ["b1", { as: bob }]]), "a1 b1 a2");
});

Deno.test("POOL_FAIR_SHARE shares the admin pool between the users that requests act for", async () => {
  await using rig = oneSlot(queryAsAdmin);
  const wanted: Wanted[] = [["a1", { as: ada }], ["a2", { as: ada }], ["b1", { as: bob }], ["x1", {}]];
  assertEquals(await orderOf(rig, wanted, rig.service.getAdminPool()), "a1 b1 x1 a2");
});

Deno.test("POOL_FAIR_SHARE rejects the flood with QUEUE_FULL, and no other caller", async () => {
  await using rig = setUp(query, { POOL_MAX_CONNECTIONS: "1", POOL_MAX_WAITERS: "2", POOL_FAIR_SHARE: "on" });
  const pool = rig.service.getConnectionPool();
  const holder = await pool.lease();
  const flood: Promise<Response>[] = [];
  for (const table of ["a1", "a2"]) {
    flood.push(rig.fetch(`/${table}`, { as: ada }));
    await until("the flood waits", () => pool.getStats().waitingForConnection === flood.length);
  }
  const other = rig.fetch("/b1", { as: bob });
  const rejected = await flood[1];
  const text = await rejected?.text();
  assertEquals([rejected?.status, /ada|bob/.test(`${text}${rig.log}`)], [500, false], text);
  assertEquals(pool.getStats().waitingFlows, 2);
  holder.release();
  assertEquals([(await other).status, (await flood[0])?.status], [200, 200]);
});

Deno.test("withPooledSupabase() rejects a flowKey that is not a function", () => {
  const options = { flowKey: "x-tenant" } as unknown as PooledSupabaseOptions<unknown>;
  assertThrows(() => withPooledSupabase(options, query), ConfigError, "flowKey: is a string, must be a function");
});
