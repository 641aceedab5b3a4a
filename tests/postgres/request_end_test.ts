/** The end of a request ends what it does on the Postgres connections, as it does with its clients. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { kyselyOf } from "../../shared/data/mod.ts";
import { type PooledPostgresContext, withPooledPostgres } from "../../shared/http/postgres.ts";
import type { PostgresPool } from "../../shared/postgres/mod.ts";
import { endIsolate } from "../functions/fixture.ts";
import { environment } from "../http/real_rig.ts";
import { sharedSecretToken } from "../http/tokens.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { until } from "../support/until.ts";
import { ScriptedServer } from "./scripted_server.ts";
import { TestDatabase } from "./support.ts";

const ALICE = "00000000-0000-4000-8000-00000000000a";
const BOB = "00000000-0000-4000-8000-00000000000b";

type Handler = (context: PooledPostgresContext<unknown>) => Promise<Response>;

const never = new Promise<never>(() => {});
const ok = () => Response.json({});
const codeOf = (work: Promise<unknown>) =>
  work.then(() => "ran", (error: { code?: string }) => error.code ?? `${error}`);

/** Returns a function whose handler each call chooses, and its log. */
async function serving(project: string, login: Record<string, string>, deadlineMs: number) {
  const log: string[] = [];
  const tokens = new Map<string, string>();
  for (const sub of [ALICE, BOB]) tokens.set(sub, await sharedSecretToken({ sub }));
  let current: Handler = () => Promise.resolve(ok());
  const serve = withPooledPostgres<unknown>({
    auth: "user",
    variables: { ...environment(project), ...login },
    log: (line: string) => log.push(line),
    deadlineMs,
    postgres: { maxConnections: 2 },
  }, (_request, context) => current(context));
  const send = (handler: Handler, sub = ALICE) => {
    current = handler;
    const headers = { authorization: `Bearer ${tokens.get(sub)}`, apikey: "sb_publishable_test" };
    return serve(new Request("http://x.test/f", { headers }));
  };
  return { send, log };
}

/** Each leaves a connection behind. */
const CARELESS: Readonly<Record<string, { readonly status: number; readonly handler: Handler }>> = {
  "a lease": {
    status: 200,
    handler: async ({ postgres }) => {
      await postgres.lease();
      return ok();
    },
  },
  "a lease that is waited for": {
    status: 200,
    handler: async ({ postgres }) => {
      void postgres.lease().catch(() => {});
      return await Promise.resolve(ok());
    },
  },
  "a lease of a handler that throws": {
    status: 500,
    handler: async ({ postgres }) => {
      await postgres.lease();
      throw new Error("own");
    },
  },
  "a lease of a handler that hangs": {
    status: 504,
    handler: async ({ postgres }) => {
      await postgres.lease();
      return await never;
    },
  },
  "a lease whose statement runs": {
    status: 504,
    handler: async ({ postgres }) => {
      const connection = await postgres.lease();
      await connection.query("select pg_sleep(30)").catch(() => {});
      return await never;
    },
  },
  "a transaction of Kysely": {
    status: 200,
    handler: async ({ postgres }) => {
      const tx = await kyselyOf(postgres).startTransaction().execute();
      await tx.selectFrom("pg_class").select("relname").limit(1).execute();
      return ok();
    },
  },
  "a stream of Kysely": {
    status: 200,
    handler: async ({ postgres }) => {
      await kyselyOf(postgres).selectFrom("pg_class").select("relname").stream(1)[Symbol.asyncIterator]().next();
      return ok();
    },
  },
  "a transaction that hangs": {
    status: 200,
    handler: async ({ postgres }) => {
      void postgres.transaction(async (tx) => {
        await tx.query("select 1");
        await never;
      }).catch(() => {});
      return await Promise.resolve(ok());
    },
  },
};

Deno.test({
  name: "ctx.postgres ends what a request has leased, and is refused after it and in another request",
  // Its pools end with the isolate, and not with the test.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using server = new ScriptedServer();
    await using project = startFakeProject();
    const { port, user } = server;
    const login = {
      DB_HOST: "127.0.0.1",
      DB_PORT: `${port}`,
      DB_NAME: "d",
      DB_USER: user,
      DB_PASSWORD: "p",
      DB_SSL: "false",
    };
    const { send, log } = await serving(project.url, login, 300);
    try {
      for (
        const left of [
          "a lease",
          "a lease that is waited for",
          "a lease of a handler that throws",
          "a lease of a handler that hangs",
        ]
      ) {
        const { status, handler } = CARELESS[left] ?? {};
        assert(handler);
        for (let n = 0; n < 3; n++) assertEquals((await send(handler)).status, status, left);
        await until("no connection is leased", async () => {
          const response = await send(async ({ postgres }) => {
            await using _connection = await postgres.lease();
            return ok();
          });
          return response.headers.get("x-pool-active-connections") === "0";
        });
      }
      assertStringIncludes(log.join("\n"), "lease_forgotten");

      const kept = Promise.withResolvers<PostgresPool>();
      const hold = Promise.withResolvers<void>();
      const open = send(async ({ postgres }) => {
        kept.resolve(postgres);
        await hold.promise;
        return ok();
      });
      const pool = await kept.promise;
      const stolen = await send(async () => Response.json(await codeOf(pool.lease())), BOB);
      assertEquals(await stolen.json(), "IDENTITY_REFUSED");
      hold.resolve();
      await open;
      const calls = [pool.query("select 1"), pool.transaction(() => Promise.resolve()), pool.lease()];
      assertEquals(await Promise.all(calls.map(codeOf)), Array(3).fill("LEASE_RELEASED"));
      assertStringIncludes(log.join("\n"), "call_refused");
      // Also one that is first read after the end.
      const late = Promise.withResolvers<PooledPostgresContext<unknown>>();
      await send((context) => {
        late.resolve(new Proxy(context, {}));
        return Promise.resolve(ok());
      });
      const context = await late.promise;
      assertEquals(await codeOf(context.postgres.lease()), "LEASE_RELEASED");
    } finally {
      await endIsolate();
    }
  },
});

Deno.test({
  name: "ctx.postgres at the end of its request",
  // Its pools end with the isolate, and not with the test.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    await using database = await TestDatabase.start();
    await using project = startFakeProject();
    const { host, port, user, password } = database.options("authenticator");
    const login = { DB_HOST: host, DB_PORT: `${port}`, DB_NAME: "postgres", DB_USER: `${user}`, DB_PASSWORD: password };
    const { send } = await serving(project.url, login, 1_000);
    const free = () =>
      until("no connection is leased", async () => {
        const response = await send(async ({ postgres }) => Response.json((await postgres.query("select 1")).rows));
        await response.body?.cancel();
        return response.headers.get("x-pool-active-connections") === "0";
      });
    try {
      for (const [left, { status, handler }] of Object.entries(CARELESS)) {
        await t.step(`${left} that is left behind is ended`, async () => {
          for (let n = 0; n < 3; n++) {
            const response = await send(handler);
            await response.body?.cancel();
            assertEquals(response.status, status);
          }
          await free();
        });
      }

      await t.step("a statement and a transaction that are not awaited are carried through", async () => {
        const work: Promise<unknown>[] = [];
        const response = await send(({ postgres }) => {
          work.push(postgres.query("select pg_sleep(0.1)"));
          work.push(postgres.transaction(async (tx) => {
            await tx.query("select pg_sleep(0.05)");
            await tx.query("select pg_sleep(0.05)");
          }));
          return Promise.resolve(ok());
        });
        assertEquals(response.status, 200);
        assertEquals((await Promise.allSettled(work)).map(({ status }) => status), ["fulfilled", "fulfilled"]);
        await free();
      });

      await t.step("ctx.waitUntil() and a streamed body keep ctx.postgres", async () => {
        const work: Promise<unknown>[] = [];
        const response = await send(({ postgres, waitUntil }) => {
          const later = async () => {
            await new Promise((resolve) => setTimeout(resolve, 30));
            await using connection = await postgres.lease();
            return (await connection.query("select auth.uid() as uid")).rows;
          };
          const background = later();
          work.push(background);
          waitUntil(background);
          const body = new ReadableStream<Uint8Array>({
            async pull(controller) {
              controller.enqueue(new TextEncoder().encode(JSON.stringify(await later())));
              controller.close();
            },
          });
          return Promise.resolve(new Response(body));
        });
        assertEquals([await response.json(), await work[0]], [[{ uid: ALICE }], [{ uid: ALICE }]]);
        await free();
      });
    } finally {
      await endIsolate();
    }
  },
});
