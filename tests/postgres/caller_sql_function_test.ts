/** A function that runs SQL as its caller, over HTTP and on a real Postgres. */
import { assert, assertEquals } from "@std/assert";
import { ConnectionWrapper, createQueryBuilder, kyselyOf, Repository } from "../../shared/data/mod.ts";
import { type PooledPostgresContext, withPooledPostgres } from "../../shared/http/postgres.ts";
import { environment } from "../http/real_rig.ts";
import { sharedSecretToken } from "../http/tokens.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { until } from "../support/until.ts";
import { TestDatabase } from "./support.ts";

type Tables = { note: { id: number; user_id: string; text: string } };

const ALICE = "00000000-0000-4000-8000-00000000000a";
const BOB = "00000000-0000-4000-8000-00000000000b";

const SCHEMA = [
  `create table public.note (
    id int generated always as identity primary key,
    user_id uuid not null default auth.uid(),
    text text not null)`,
  "alter table public.note enable row level security",
  "create policy own on public.note for all to authenticated using (user_id = auth.uid())",
  "grant select, insert, update, delete on public.note to authenticated",
];

async function serve(request: Request, { postgres }: PooledPostgresContext<unknown>): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  const { sql } = postgres;
  const text = searchParams.get("text") ?? "";
  switch (`${request.method} ${pathname}`) {
    case "GET /notes":
      return Response.json(await sql`select text from note where text like ${`${text}%`} order by id`);
    case "POST /notes":
      return Response.json(await sql`insert into note (text) values (${text}) returning user_id, text`.first());
    case "PUT /notes":
      return Response.json(
        await postgres.transaction(async (tx) => {
          await tx.sql`update note set text = text || ${"!"}`;
          await tx.sql`select pg_sleep(${Math.random() / 200})`;
          return await tx.sql`select distinct user_id from note`;
        }),
      );
    case "GET /kysely":
      return Response.json(await kyselyOf<Tables>(postgres).selectFrom("note").select("text").orderBy("id").execute());
    case "GET /builder":
      return Response.json(await createQueryBuilder<Tables>(postgres).from("note").select("text").orderBy("id").get());
    case "GET /repository":
      return Response.json(await new Repository<Tables, "note">(postgres, "note").count());
    case "PUT /joined": {
      const db = new ConnectionWrapper(postgres);
      return Response.json(
        await db.withTransaction(async () => {
          await db.sql`update note set text = text || ${"?"}`;
          return await db.query("select distinct user_id from note");
        }),
      );
    }
    case "GET /sleep":
      return Response.json(await sql`select pg_sleep(${30})`);
    case "GET /inside":
      return await postgres.transaction(async () => Response.json(await sql`select 1`));
    default:
      return Response.json({}, { status: 404 });
  }
}

Deno.test({
  name: "withPooledPostgres() over HTTP",
  // Its pools end with the isolate, and not with the test.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    await using database = await TestDatabase.start();
    await using project = startFakeProject();
    const admin = database.manager();
    await admin.transaction(SCHEMA.map((query) => ({ query })));
    const { host, port, user, password } = database.options("authenticator");
    const login = { DB_HOST: host, DB_PORT: `${port}`, DB_NAME: "postgres", DB_USER: `${user}`, DB_PASSWORD: password };
    const create = (deadlineMs: number) =>
      withPooledPostgres<unknown>({
        auth: "user",
        variables: { ...environment(project.url), ...login },
        log: () => {},
        deadlineMs,
        postgres: { maxConnections: 3, acquireTimeoutMs: 60_000 },
      }, serve);
    const [handler, impatient] = [create(60_000), create(500)];
    await using server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      (request) => new URL(request.url).searchParams.has("impatient") ? impatient(request) : handler(request),
    );
    const tokens = new Map<string, string>();
    for (const sub of [ALICE, BOB]) tokens.set(sub, await sharedSecretToken({ sub }));
    const send = (sub: string, method: string, path: string, init: RequestInit = {}) =>
      fetch(`http://127.0.0.1:${server.addr.port}${path}`, {
        ...init,
        method,
        headers: { authorization: `Bearer ${tokens.get(sub)}`, apikey: "sb_publishable_test" },
      });
    const json = async (sub: string, method: string, path: string) => {
      const response = await send(sub, method, path);
      const body = await response.json();
      assertEquals(response.status, 200, JSON.stringify(body));
      return body;
    };
    const sleeping = async () =>
      (await admin.query(
        "select from pg_stat_activity where query like '%pg_sleep%' and state = 'active' and pid <> pg_backend_pid()",
      ))
        .rowCount;
    try {
      await t.step("ctx.postgres.sql runs as the caller: each user sees their own rows", async () => {
        const text = "it's '; drop table note; --";
        const created = await json(ALICE, "POST", `/notes?text=${encodeURIComponent(text)}`);
        assertEquals(created, { user_id: ALICE, text });
        await json(BOB, "POST", "/notes?text=bob");
        assertEquals(await json(ALICE, "GET", "/notes"), [{ text }]);
        assertEquals(await json(BOB, "GET", "/notes"), [{ text: "bob" }]);
        assertEquals(await json(BOB, "GET", "/notes?text=it"), []);
      });

      await t.step("Kysely, the query builder and repositories run as the caller", async () => {
        for (const path of ["/kysely", "/builder"]) assertEquals(await json(BOB, "GET", path), [{ text: "bob" }], path);
        assertEquals(await json(BOB, "GET", "/repository"), 1);
        assertEquals(await json(BOB, "PUT", "/joined"), [{ user_id: BOB }]);
        assertEquals(await json(BOB, "GET", "/kysely"), [{ text: "bob?" }]);
      });

      await t.step("two users never meet, in 400 interleaved requests on three connections", async () => {
        const work = Array.from({ length: 400 }, async (_, index) => {
          const sub = index % 8 < 4 ? ALICE : BOB;
          switch (index % 4) {
            case 0:
              return assertEquals((await json(sub, "POST", `/notes?text=${sub}`)).user_id, sub);
            case 1:
              return assertEquals(await json(sub, "PUT", "/notes"), [{ user_id: sub }]);
            case 2:
              return assertEquals(await json(sub, "PUT", "/joined"), [{ user_id: sub }]);
            default: {
              const seen: { text: string }[] = await json(sub, "GET", "/notes?text=0000");
              assert(seen.every(({ text }) => text.startsWith(sub)));
            }
          }
        });
        await Promise.all(work);
        const { rows } = await admin.query("select user_id, count(*)::int as n from note group by 1 order by 1");
        assertEquals(rows, [{ user_id: ALICE, n: 51 }, { user_id: BOB, n: 51 }]);
      });

      await t.step("a request without a valid token is rejected, before any connection", async () => {
        const { status, body } = await fetch(`http://127.0.0.1:${server.addr.port}/notes`);
        await body?.cancel();
        assertEquals(status, 401);
      });

      await t.step("the deadline cancels the statement", async () => {
        const response = await send(ALICE, "GET", "/sleep?impatient");
        await response.body?.cancel();
        assertEquals(response.status, 504);
        await until("the statement was canceled", async () => await sleeping() === 0);
      });

      await t.step("a client that disconnects cancels the statement, and its connection is released", async () => {
        const client = new AbortController();
        const left = send(ALICE, "GET", "/sleep", { signal: client.signal }).catch(() => undefined);
        await until("it runs", async () => await sleeping() === 1);
        client.abort();
        await left;
        await until("the statement was canceled", async () => await sleeping() === 0);
        await until("the connection is released", async () => {
          const response = await send(BOB, "GET", "/notes?text=none");
          assertEquals(await response.json(), []);
          return response.headers.get("x-pool-active-connections") === "0";
        });
      });

      await t.step("the pool inside a transaction is a 500 with its code", async () => {
        const response = await send(ALICE, "GET", "/inside");
        assertEquals([response.status, (await response.json()).code], [500, "OUTSIDE_TRANSACTION"]);
      });

      await t.step("headers and health report the connections", async () => {
        const response = await send(ALICE, "GET", "/notes?text=none");
        await response.body?.cancel();
        assert(Number(response.headers.get("x-pool-total-connections")) <= 3);
        assertEquals(response.headers.get("x-pool-waiting-requests"), "0");
        const health = await fetch(`http://127.0.0.1:${server.addr.port}/notes/health/pool`);
        assertEquals([health.status, (await health.json()).healthy], [200, true]);
      });
    } finally {
      dispatchEvent(new CustomEvent("beforeunload", { detail: { reason: "early_drop" } }));
      const own = "select from pg_stat_activity where usename = 'authenticator'";
      await until("its connections end", async () => (await admin.query(own)).rowCount === 0);
    }
  },
});
