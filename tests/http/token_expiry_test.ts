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

/** The pools of an isolate live as long as it does. */
const OF_ISOLATE = { sanitizeOps: false, sanitizeResources: false };

function send(fetch: (request: Request) => Promise<Response>, token: string): Promise<Response> {
  return fetch(new Request("https://x.test/f", { headers: { Authorization: `Bearer ${token}` } }));
}

Deno.test(
  "withPooledSupabase() serves a request until 30 s after the exp of its token, and new ones until its exp",
  OF_ISOLATE,
  async () => {
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
  },
);

Deno.test("withPooledPostgres() responds 403 to a role that Postgres callers cannot have", OF_ISOLATE, async () => {
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

Deno.test(
  "withPooledSupabase() responds 401 to tokens whose exp, nbf or iat is absurd, and logs nothing",
  OF_ISOLATE,
  async () => {
    const log: string[] = [];
    const options = {
      auth: "user" as const,
      variables: { ...VARIABLES, SUPABASE_URL: "https://claims.supabase.co", JWT_SECRET },
      log: (line: string) => log.push(line),
    };
    const handler = withPooledSupabase(options, () => new Response("ok"));
    const nowS = Date.now() / 1_000;
    const absurd: Record<string, unknown[]> = {
      exp: [1e308, 1e12, Number.MAX_SAFE_INTEGER, -1, 0, -1e308, 0.5, String(nowS + 600), null, true, [nowS + 600], {}],
      nbf: [1e308, nowS + 600, "0", null, [0], {}],
      iat: ["0", null, [0], {}, true],
    };
    for (const [claim, values] of Object.entries(absurd)) {
      for (const value of values) {
        const response = await send(handler, await sharedSecretToken({ [claim]: value }));
        assertEquals([claim, value, response.status], [claim, value, 401]);
        await response.body?.cancel();
      }
    }
    for (const harmless of [{ exp: nowS + 600.5 }, { nbf: -1e308 }, { nbf: 0.5 }, { iat: 0.5 }, { iat: -1 }]) {
      assertEquals((await send(handler, await sharedSecretToken(harmless))).status, 200);
    }
    assertEquals(log, []);
  },
);
