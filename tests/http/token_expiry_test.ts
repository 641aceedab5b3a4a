/** Tokens that expire while their request runs. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { withPooledPostgres } from "../../shared/http/postgres.ts";
import { type PooledSupabaseOptions, withPooledSupabase } from "../support/http.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { JWT_SECRET, VARIABLES } from "./fake_pools.ts";
import { sharedSecretToken } from "./tokens.ts";

/** Runs `work` under a wall clock of its own. */
async function withWallClock(work: (setMs: (nowMs: number) => void) => Promise<void>): Promise<void> {
  const original = Date.now;
  let wallMs = original();
  Date.now = () => wallMs;
  try {
    await work((nowMs) => wallMs = nowMs);
  } finally {
    Date.now = original;
  }
}

function send(fetch: (request: Request) => Promise<Response>, token: string): Promise<Response> {
  return fetch(new Request("https://x.test/f", { headers: { Authorization: `Bearer ${token}` } }));
}

Deno.test("withPooledSupabase() serves a request until 30 s after the exp of its token, and new ones until its exp", async () => {
  await using project = startFakeProject();
  const variables = { ...VARIABLES, SUPABASE_URL: project.url, JWT_SECRET };
  const exp = Math.ceil(Date.now() / 1_000) + 60;
  const token = await sharedSecretToken({ exp });
  await withWallClock(async (setMs) => {
    const statusOf = async (beganMs: number, calledMs: number) => {
      const log: string[] = [];
      const options: PooledSupabaseOptions<unknown> = { auth: "user", variables, log: (line) => void log.push(line) };
      const handler = withPooledSupabase(options, async (_request, ctx) => {
        setMs(exp * 1_000 + calledMs);
        const { error } = await ctx.supabase.from("notes").select();
        if (error) throw error;
        return new Response("ok");
      });
      setMs(exp * 1_000 + beganMs);
      const response = await send(handler, token);
      return [response.status, log.length];
    };
    assertEquals(await statusOf(-1, -1), [200, 0]);
    assertEquals(await statusOf(-1, 0), [200, 0]);
    assertEquals(await statusOf(-1, 29_999), [200, 0]);
    assertEquals(await statusOf(-1, 30_000), [401, 0]);
    assertEquals(await statusOf(0, 0), [401, 0]);
    assertEquals(await statusOf(29_999, 29_999), [401, 0]);
  });
  assertEquals(project.requests.map(({ authorization }) => authorization), Array(3).fill(`Bearer ${token}`));
});

Deno.test("withPooledPostgres() responds 403 to a role that Postgres callers cannot have", async () => {
  const variables = { ...VARIABLES, JWT_SECRET, POOL_USER_ROLES: "authenticated,editor" };
  const postgres = { host: "127.0.0.1", port: 9, minConnections: 0 };
  const options = { auth: "user" as const, variables, postgres, log: () => {} };
  const handler = withPooledPostgres(options, async (_request, ctx) => {
    await ctx.postgres.query("select 1");
    return new Response("ok");
  });
  const response = await send(handler, await sharedSecretToken({ role: "editor" }));
  const body = await response.json();
  assertEquals([response.status, body.code], [403, "CALLER_INVALID"]);
  assertStringIncludes(body.detail, "role");
});
