/** Tests the lines about the connections of a function on direct Postgres. */
import { assertEquals } from "@std/assert";
import { withPooledPostgres } from "../../shared/http/postgres.ts";
import { environment } from "../http/real_rig.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { until } from "../support/until.ts";
import { TestDatabase } from "./support.ts";

Deno.test({
  name:
    "withPooledPostgres() logs Postgres leases under the id of their requests, whatever leases of clients there are",
  // Its pools end with the isolate, and not with the test.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using database = await TestDatabase.start();
    await using project = startFakeProject();
    const { host, port, user, password } = database.options("authenticator");
    const login = { DB_HOST: host, DB_PORT: `${port}`, DB_NAME: "postgres", DB_USER: `${user}`, DB_PASSWORD: password };
    const variables = { ...environment(project.url), ...login, POOL_LOG_LEVEL: "debug" };
    const lines: string[] = [];
    const held = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const handle = withPooledPostgres<unknown>(
      { auth: "none", variables, log: (line) => lines.push(line) },
      async (request, { postgres, supabase }) => {
        if (request.url.endsWith("/sql")) {
          await postgres.transaction(async (tx) => {
            await tx.query("select 1");
            begun.resolve();
            await held.promise;
          });
        } else await supabase.from("things").select();
        return Response.json([]);
      },
    );
    const get = async (path: string, id: string) => {
      const response = await handle(new Request(`https://x.test/f/${path}`, { headers: { "x-request-id": id } }));
      await response.body?.cancel();
      return response.status;
    };
    const leases = () =>
      lines.map((line) => JSON.parse(line)).filter(({ event }) => /^connection_(acquired|released)$/.test(event));
    try {
      const sql = get("sql", "sql");
      await begun.promise;
      // Their leases of clients have the numbers from 1 on, as those of Postgres.
      for (let index = 0; index < 10; index++) assertEquals(await get("rest", `rest-${index}`), 200);
      held.resolve();
      assertEquals(await sql, 200);
      await until(
        "the release is logged",
        () => leases().some(({ event, correlationId }) => event === "connection_released" && correlationId === "sql"),
      );
      assertEquals(leases().filter(({ correlationId }) => String(correlationId).startsWith("rest")), []);
    } finally {
      held.resolve();
      dispatchEvent(new CustomEvent("beforeunload", { detail: { reason: "early_drop" } }));
      const admin = database.manager();
      const own = "select from pg_stat_activity where usename = 'authenticator'";
      await until("its connections end", async () => (await admin.query(own)).rowCount === 0);
    }
  },
});
