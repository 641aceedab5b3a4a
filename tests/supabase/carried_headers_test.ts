/** What a call carries: its own headers, those that all queries have in common, and the lease's credentials. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { LeaseFetch } from "../../shared/supabase/calls/lease_fetch.ts";
import { userToken } from "../support/fake_project.ts";
import { settle } from "../support/fake_clock.ts";
import { calling, URL_OF_X } from "./call_rig.ts";
import { fetchOf, rig } from "./support.ts";

const alice = userToken("alice");
const ALICE = { apikey: "key", authorization: `Bearer ${alice}`, token: alice, mayOverride: false };
const ADMIN = { apikey: "secret", authorization: "Bearer secret", token: undefined, mayOverride: true };

/** However a caller may write headers down. */
const FORMS: Record<string, () => HeadersInit> = {
  "an object": () => ({ authorization: "Bearer other", apikey: "other", accept: "a/b" }),
  "an object in capitals": () => ({ Authorization: "Bearer other", APIKEY: "other", Accept: "a/b" }),
  "an object that names them twice": () => ({
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
  Deno.test(`a user's lease sends its own credentials, and no others that are given as ${name}`, async () => {
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

Deno.test("an admin's own authorization is sent, whatever case it is written in; its key never is", async () => {
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

Deno.test("what is no header is refused, and the next call is sent", async () => {
  await using made = rig();
  await using lease = await made.pool.lease({ identity: { token: alice } });
  const send = fetchOf(lease.client);
  for (const headers of [{ "no name": "x" }, { "x-a": "a\nb" }, { "x-\u212a": "x" }]) {
    await assertRejects(() => send(`${made.project.url}/rest/v1/a`, { headers }), TypeError);
  }
  assertEquals(made.project.requests.length, 0);
  await (await send(`${made.project.url}/rest/v1/a`)).body?.cancel();
  assertEquals(made.project.requests.map(({ authorization }) => authorization), [`Bearer ${alice}`]);
});

Deno.test("a fetch of the caller's own gets Headers, as with a plain client", async () => {
  const seen: unknown[] = [];
  const own: typeof fetch = (_input, init) => {
    const { headers } = init ?? {};
    assert(headers instanceof Headers);
    seen.push([headers.get("apikey"), headers.get("x-client-info")?.split("/")[0]]);
    return Promise.resolve(Response.json([]));
  };
  await using made = rig({ fetch: own });
  await using lease = await made.pool.lease();
  await lease.client.from("a").select();
  await lease.client.schema("private").from("a").select();
  assertEquals(seen, [["sb_publishable_test", "supabase-js"], ["sb_publishable_test", "supabase-js"]]);
});

Deno.test("a query's own header wins over the one that all queries have", async () => {
  await using made = rig({ headers: { "X-Tenant": "all" } });
  await using lease = await made.pool.lease();
  const tenants: (string | null)[] = [];
  made.project.answer = (request) => {
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

Deno.test("headers that read otherwise the second time bring no credentials in", async () => {
  let reads = 0;
  const shifty = new Proxy<Record<string, string>>({ accept: "a/b", Authorization: "Bearer other" }, {
    ownKeys: () => reads++ === 0 ? ["accept"] : ["accept", "Authorization"],
  });
  const { calls, sent } = calling({ credentials: ALICE });
  const carried = await sentWith(calls, sent, shifty);
  assertEquals(carried.get("authorization"), `Bearer ${alice}`);
  calls.end();
});
