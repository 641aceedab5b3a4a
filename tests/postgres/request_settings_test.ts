import { assertEquals } from "@std/assert";
import { withPooledPostgres } from "../../shared/http/postgres.ts";
import { requestSettings } from "../../shared/postgres/caller/request_settings.ts";
import type { Transaction } from "../../shared/postgres/mod.ts";
import { JWT_SECRET, VARIABLES } from "../http/fake_pools.ts";
import { sharedSecretToken } from "../http/tokens.ts";
import { claimsOf, TestDatabase } from "./support.ts";

const ALICE = "7a1d6f3e-0c4b-4e52-9f0a-1b6b1c2d3e04";

/** The secret key of the variables. */
const SECRET = "sb_secret_default";

const SHOW = `select current_setting('request.method', true) as method, current_setting('request.path', true) as path,
  current_setting('request.headers', true)::json as headers, current_setting('request.cookies', true)::json as cookies`;

const NONE = { method: "", path: "", headers: {}, cookies: {} };

async function shown(queries: Pick<Transaction, "query">): Promise<unknown> {
  return (await queries.query(SHOW)).rows[0];
}

Deno.test("requestSettings() describes a request as the Data API does", () => {
  const headers = new Headers([["X-Tenant", "a"], ["Cookie", "sid=a=b; theme=dark%20; =x; flag"], ["__proto__", "p"]]);
  headers.append("X-Tenant", "b");
  const settings = requestSettings(new Request("https://x.test/notes/%C3%BC?q=1", { method: "PATCH", headers }));
  assertEquals(settings, [
    "PATCH",
    "/notes/%C3%BC",
    '{"__proto__":"p","x-tenant":"a, b"}',
    '{"sid":"a=b","theme":"dark%20","flag":""}',
  ]);
  assertEquals(requestSettings({ method: "GET", url: "no url", headers: [] }), ["GET", "", "{}", "{}"]);
});

Deno.test("requestSettings() reads headers as UTF-8 and keeps them within a bound", () => {
  const utf8 = String.fromCharCode(...new TextEncoder().encode("Zürich 😀"));
  const headers: [string, string][] = [["x-city", utf8], ["x-bad", "\xff\x00"], ["x-long", "x".repeat(40_000)]];
  for (let n = 0; n < 1_000; n++) headers.push([`x-${n}`, "y".repeat(100)]);
  const [, path = "", json = ""] = requestSettings({
    method: "GET",
    url: `http://x.test/${"p".repeat(99_999)}`,
    headers,
  });
  const kept = JSON.parse(json);
  assertEquals([kept["x-city"], kept["x-bad"], kept["x-long"]], ["Zürich 😀", "\ufffd", undefined]);
  assertEquals([path.length, json.length < 40_000, Object.keys(kept).length > 250], [8_192, true, true]);
});

Deno.test("as() sets request.headers and its like for the request of a caller, and for no other", async (t) => {
  await using database = await TestDatabase.start();
  const manager = database.manager({ maxConnections: 1 }, "authenticator");
  const request = new Request("https://x.test/a", { headers: { "x-tenant": "acme", cookie: "sid=1" } });
  const described = { method: "GET", path: "/a", headers: { "x-tenant": "acme" }, cookies: { sid: "1" } };

  await t.step("in queries, lists, transactions and leases", async () => {
    const alice = manager.as(claimsOf(ALICE), { request });
    assertEquals(await shown(alice), described);
    assertEquals((await alice.transaction([{ query: SHOW }]))[0]?.rows, [described]);
    assertEquals(await alice.transaction(shown), described);
    await using connection = await alice.lease();
    assertEquals((await connection.query(SHOW)).rows, [described]);
  });

  await t.step("and they are empty, never left over, without a request", async () => {
    assertEquals(await shown(manager.as(claimsOf(ALICE))), NONE);
    assertEquals(await shown(manager.as("anonymous")), NONE);
  });

  await t.step("withPooledPostgres() passes its request, without secret keys", async () => {
    const postgres = { ...database.options("authenticator"), minConnections: 0 };
    const handler = withPooledPostgres(
      { auth: ["user", "secret"], variables: { ...VARIABLES, JWT_SECRET }, postgres, log: () => {} },
      async (_request, ctx) => Response.json(await shown(ctx.postgres)),
    );
    const send = async (headers: Record<string, string>) =>
      await (await handler(new Request("https://x.test/f/b?c=d", { method: "POST", headers }))).json();
    const token = await sharedSecretToken();
    const authorization = `Bearer ${token}`;
    assertEquals(await send({ authorization, "x-tenant": "acme", apikey: "sb_publishable_web" }), {
      method: "POST",
      path: "/f/b",
      headers: { apikey: "sb_publishable_web", authorization, "x-tenant": "acme" },
      cookies: {},
    });
    assertEquals((await send({ apikey: SECRET, "x-a": "1" })).headers, { "x-a": "1" });
    assertEquals((await send({ authorization, apikey: SECRET })).headers, { authorization });
  });

  await t.step(
    "withPooledPostgres() uses the manager that its option creates, and has the admin pool beside it",
    async () => {
      let created = 0;
      const handler = withPooledPostgres(
        {
          auth: "secret",
          variables: VARIABLES,
          postgres: () => {
            created++;
            return manager;
          },
          log: () => {},
        },
        async (_request, ctx) => {
          const { maxConnections } = ctx.adminPool.config;
          return Response.json([(await ctx.postgres.query("select 1 as n")).rows, maxConnections]);
        },
      );
      const send = async () =>
        await (await handler(new Request("https://x.test/f", { headers: { apikey: SECRET } }))).json();
      assertEquals(await send(), [[{ n: 1 }], 10]);
      await send();
      assertEquals(created, 1);
    },
  );
});
