/** Tests the headers of a call: its own, those of all queries, and the lease's credentials. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { LeaseFetch } from "../../shared/supabase/calls/lease_fetch.ts";
import { userToken } from "../support/fake_project.ts";
import { settle } from "../support/fake_clock.ts";
import { calling, URL_OF_X } from "./lease_fetch_rig.ts";
import { createRig, fetchOf } from "./support.ts";

const alice = userToken("alice");
const ALICE = { apikey: "key", authorization: `Bearer ${alice}`, token: alice, mayOverride: false };
const ADMIN = { apikey: "secret", authorization: "Bearer secret", token: undefined, mayOverride: true };

/** The forms in which a caller may pass headers. */
const FORMS: Record<string, () => HeadersInit> = {
  "an object": () => ({ authorization: "Bearer other", apikey: "other", accept: "a/b" }),
  "an object in capitals": () => ({ Authorization: "Bearer other", APIKEY: "other", Accept: "a/b" }),
  "an object with each name twice": () => ({
    authorization: "Bearer other",
    Authorization: "Bearer another",
    apikey: "other",
    Apikey: "another",
    accept: "a/b",
  }),
  "a list": () => [["Authorization", "Bearer other"], ["apikey", "other"], ["accept", "a/b"]],
  "Headers": () => new Headers({ Authorization: "Bearer other", apikey: "other", accept: "a/b" }),
};

async function sentWith(calls: LeaseFetch, sent: { headers: Headers }[], headers: HeadersInit): Promise<Headers> {
  calls.fetch(URL_OF_X, { headers }).catch(() => {});
  await settle();
  const last = sent.at(-1);
  assert(last);
  return last.headers;
}

for (const [name, headers] of Object.entries(FORMS)) {
  Deno.test(`LeaseFetch.fetch() replaces credentials that are passed as ${name} by those of the lease`, async () => {
    const { calls, sent } = calling({ credentials: ALICE });
    const carried = await sentWith(calls, sent, headers());
    assertEquals([carried.get("authorization"), carried.get("apikey"), carried.get("accept")], [
      `Bearer ${alice}`,
      "key",
      "a/b",
    ]);
    const anonymous = calling();
    const bare = await sentWith(anonymous.calls, anonymous.sent, headers());
    assertEquals([bare.get("authorization"), bare.get("apikey")], [null, "key"]);
    for (const { calls: each } of [{ calls }, anonymous]) each.end();
  });
}

Deno.test("LeaseFetch.fetch() sends an admin's own authorization, in any case, and never its own apikey", async () => {
  for (
    const headers of [
      { authorization: "Bearer a" },
      { Authorization: "Bearer a" },
      new Headers({ AUTHORIZATION: "Bearer a" }),
    ]
  ) {
    const { calls, sent } = calling({ credentials: ADMIN });
    const carried = await sentWith(calls, sent, headers);
    assertEquals([carried.get("authorization"), carried.get("apikey")], ["Bearer a", "secret"]);
    calls.end();
  }
});

Deno.test("LeaseFetch.fetch() rejects an invalid header and sends the next call", async () => {
  await using rig = createRig();
  await using lease = await rig.pool.lease({ identity: { token: alice } });
  const send = fetchOf(lease.client);
  for (const headers of [{ "no name": "x" }, { "x-a": "a\nb" }, { "x-\u212a": "x" }]) {
    await assertRejects(() => send(`${rig.project.url}/rest/v1/a`, { headers }), TypeError);
  }
  assertEquals(rig.project.requests.length, 0);
  await (await send(`${rig.project.url}/rest/v1/a`)).body?.cancel();
  assertEquals(rig.project.requests.map(({ authorization }) => authorization), [`Bearer ${alice}`]);
});

Deno.test("SupabasePoolConfig.fetch receives Headers, as with a plain client", async () => {
  const seen: unknown[] = [];
  const own: typeof fetch = (_input, init) => {
    const { headers } = init ?? {};
    assert(headers instanceof Headers);
    seen.push([headers.get("apikey"), headers.get("x-client-info")?.split("/")[0]]);
    return Promise.resolve(Response.json([]));
  };
  await using rig = createRig({ fetch: own });
  await using lease = await rig.pool.lease();
  await lease.client.from("a").select();
  await lease.client.schema("private").from("a").select();
  assertEquals(seen, [["sb_publishable_test", "supabase-js"], ["sb_publishable_test", "supabase-js"]]);
});

Deno.test("from() of a view sends a query's own header instead of the one of all queries", async () => {
  await using rig = createRig({ headers: { "X-Tenant": "all" } });
  await using lease = await rig.pool.lease();
  const tenants: (string | null)[] = [];
  rig.project.answer = (request) => {
    tenants.push(request.headers.get("x-tenant"));
    return Response.json([]);
  };
  await lease.client.from("a").select();
  await lease.client.from("a").select().setHeader("x-tenant", "one");
  const { rest } = lease.client as unknown as { rest: { headers: Headers } };
  rest.headers.delete("x-tenant");
  await lease.client.from("a").select();
  assertEquals(tenants, ["all", "one", null]);
});

Deno.test("LeaseFetch.fetch() sends the lease's credentials if the headers change between two reads", async () => {
  let reads = 0;
  const shifty = new Proxy<Record<string, string>>({ accept: "a/b", Authorization: "Bearer other" }, {
    ownKeys: () => reads++ === 0 ? ["accept"] : ["accept", "Authorization"],
  });
  const { calls, sent } = calling({ credentials: ALICE });
  const carried = await sentWith(calls, sent, shifty);
  assertEquals(carried.get("authorization"), `Bearer ${alice}`);
  calls.end();
});
