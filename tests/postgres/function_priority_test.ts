/** Tests the priority of a function on direct Postgres. None of these functions connects. */
import { assertEquals, assertThrows } from "@std/assert";
import { type PooledPostgresOptions, withPooledPostgres } from "../../shared/http/postgres.ts";
import { ConfigError } from "../../shared/mod.ts";
import { endIsolate } from "../functions/fixture.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { environment } from "../http/real_rig.ts";

/** Returns the size, the login and the wait of a function's pool. */
async function poolOf(options: PooledPostgresOptions<unknown>, variables: Record<string, string> = {}) {
  await using project = startFakeProject();
  const handler = withPooledPostgres<unknown>({
    auth: "none",
    log: () => {},
    ...options,
    variables: { ...environment(project.url), DB_HOST: "127.0.0.1", DB_PORT: "1", ...variables },
  }, (_request, { postgres: { config } }) => {
    const { maxConnections, minConnections, user, acquireTimeoutMs } = config;
    return Response.json([maxConnections, minConnections, user, acquireTimeoutMs]);
  });
  try {
    return await (await handler(new Request("https://x.test/f"))).json();
  } finally {
    await endIsolate();
  }
}

Deno.test("withPooledPostgres() takes the size of its priority, then the variables, then its options", async () => {
  assertEquals(await poolOf({}), [4, 0, "postgres", 5_000]);
  assertEquals(await poolOf({ priority: "highPriority" }), [4, 0, "postgres", 5_000]);
  assertEquals(await poolOf({ priority: "lowPriority" }), [2, 0, "postgres", 5_000]);
  assertEquals(await poolOf({ priority: "admin" }), [1, 0, "postgres", 5_000]);
  const variables = {
    DB_USER: "app",
    DB_MAX_CONNECTIONS: "9",
    DB_LOW_PRIORITY_MAX: "3",
    DB_LOW_PRIORITY_ACQUIRE_TIMEOUT: "70",
    DB_ADMIN_USER: "owner",
  };
  assertEquals(await poolOf({}, variables), [9, 0, "app", 5_000]);
  assertEquals(await poolOf({ priority: "lowPriority" }, variables), [3, 0, "app", 70]);
  assertEquals(await poolOf({ priority: "admin" }, variables), [1, 0, "owner", 5_000]);
  assertEquals(await poolOf({ priority: "admin", postgres: { max: 6 } }, variables), [6, 0, "owner", 5_000]);
});

Deno.test("withPooledPostgres() without priorities keeps the login of its priority, and nothing else", async () => {
  const variables = { DB_PRIORITIES: "off", DB_ADMIN_USER: "owner", DB_ADMIN_MAX: "2", DB_MAX_CONNECTIONS: "9" };
  assertEquals(await poolOf({ priority: "admin" }, variables), [9, 0, "owner", 5_000]);
  assertEquals(await poolOf({ priority: "lowPriority" }, variables), [9, 0, "postgres", 5_000]);
});

Deno.test("withPooledPostgres() rejects an unknown priority", () => {
  const options = { auth: "none", priority: "high" as never } as const;
  const { issues } = assertThrows(() => withPooledPostgres(options, () => new Response()), ConfigError);
  assertEquals(issues, [{ path: "priority", message: "must be one of highPriority, lowPriority, admin" }]);
});
