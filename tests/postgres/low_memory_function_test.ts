/** Tests a function on direct Postgres whose isolate is announced to be short of memory. */
import { assertEquals } from "@std/assert";
import { withPooledPostgres } from "../../shared/http/postgres.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { until } from "../support/until.ts";
import { environment } from "../http/real_rig.ts";
import { TestDatabase } from "./support.ts";

const unload = (reason: string) => dispatchEvent(new CustomEvent("beforeunload", { detail: { reason } }));

Deno.test({
  name: "withPooledPostgres() has its connections drop what they keep when the isolate is short of memory",
  // Its pools end with the isolate, and not with the test.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using database = await TestDatabase.start();
    await using project = startFakeProject();
    const { host, port, user, password } = database.options("authenticator");
    const login = { DB_HOST: host, DB_PORT: `${port}`, DB_NAME: "postgres", DB_USER: `${user}`, DB_PASSWORD: password };
    const variables = { ...environment(project.url), ...login };
    const handle = withPooledPostgres<unknown>(
      { auth: "none", variables, log: () => {} },
      async (_request, { postgres }) => Response.json((await postgres.query("select 1 as n")).rows),
    );
    const get = async (path: string, headers: HeadersInit = {}) =>
      await (await handle(new Request(`https://x.test/f${path}`, { headers }))).json();
    const lows = async () =>
      (await get("/health/pool", { apikey: "sb_secret_test" })).details.stats.totalMemoryLow ?? 0;
    try {
      assertEquals([await get(""), await lows()], [[{ n: 1 }], 0]);
      unload("memory");
      assertEquals([await get(""), await lows()], [[{ n: 1 }], 1]);
    } finally {
      unload("early_drop");
      const admin = database.manager();
      const own = "select from pg_stat_activity where usename = 'authenticator'";
      await until("its connections end", async () => (await admin.query(own)).rowCount === 0);
    }
  },
});
