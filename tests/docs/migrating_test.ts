/**
 * Runs the pairs of docs/migrating.md: the code before and after each point gets the same requests.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { SignJWT } from "jose";
import { startFakeProject } from "../support/fake_project.ts";
import { runJsonScript } from "../support/json_script.ts";
import { ROOT } from "./documents.ts";
import type { HandlerRequest, HandlerResponse, HandlerRun } from "./run_handlers.ts";

const SECRET = "a secret of at least thirty-two bytes";
const USER = {
  id: "11111111-1111-4111-8111-111111111111",
  aud: "authenticated",
  role: "authenticated",
  email: "ada@example.test",
  app_metadata: { provider: "email" },
  user_metadata: { name: "Ada" },
  created_at: "2026-01-05T09:00:00Z",
};

const { id: sub, created_at: _, ...claims } = USER;
const sign = (payload: Record<string, unknown>) =>
  new SignJWT(payload).setProtectedHeader({ alg: "HS256" }).setExpirationTime("1h").sign(
    new TextEncoder().encode(SECRET),
  );
const [TOKEN, ANON, SERVICE] = await Promise.all([
  sign({ sub, ...claims }),
  sign({ role: "anon" }),
  sign({ role: "service_role" }),
]);

const bearer = (token: string): HandlerRequest => ({ headers: { Authorization: `Bearer ${token}` } });
const user = bearer(TOKEN);
const none: HandlerRequest = {};
const json = (body: string): HandlerRequest => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body,
});

/** The requests to a point, and those whose responses differ: `[status before, status after]`. */
interface Point {
  readonly requests: Readonly<Record<string, HandlerRequest>>;
  readonly differ?: Readonly<Record<string, readonly [before: number, after: number]>>;
}

const POINTS: Readonly<Record<string, Point>> = {
  "The OPTIONS branch and `corsHeaders`": {
    requests: { user, preflight: { method: "OPTIONS", headers: { Origin: "https://app.test" } } },
    differ: { preflight: [200, 204] },
  },
  "Keeping your own error shape": { requests: { user, none, invalid: bearer("a.b.c"), anon: bearer(ANON) } },
  "`readJson` instead of `request.json()`": {
    requests: { valid: json('{"text":"hello"}'), malformed: json("{"), missing: json("{}") },
    differ: { malformed: [500, 400], missing: [500, 400] },
  },
  "Endpoints with an optional user": { requests: { user, none, anon: bearer(ANON) } },
  "Legacy bearers, cron and webhooks": { requests: { service: bearer(SERVICE), user, none, anon: bearer(ANON) } },
  "A service client with `getUser(token)`": { requests: { user, none, invalid: bearer("a.b.c"), anon: bearer(ANON) } },
  "Factories in `_shared`, and a service client at module level": { requests: { user, none } },
  "What `userClaims` holds of `user`": { requests: { user } },
  "Two clients in one handler": { requests: { user } },
  "Streams that save at the end": { requests: { user } },
  "An admin call's 401 that reaches the caller": { requests: { none }, differ: { none: [401, 500] } },
};

/** Responds as the project: each caller sees its own notes. */
function answer(request: Request): Response {
  const { pathname } = new URL(request.url);
  const token = request.headers.get("Authorization")?.replace("Bearer ", "") ?? request.headers.get("apikey");
  if (pathname === "/auth/v1/user") {
    if (token === TOKEN) return Response.json(USER);
    return Response.json({ code: 403, error_code: "bad_jwt", msg: "invalid JWT" }, { status: 403 });
  }
  if (pathname !== "/rest/v1/notes") {
    const error = { code: "PGRST205", message: "Could not find the table", details: null, hint: null };
    return Response.json(error, { status: 404 });
  }
  if (token !== TOKEN && token !== ANON && token !== SERVICE) {
    return Response.json({ code: "PGRST301", message: "No key", details: null, hint: null }, { status: 401 });
  }
  if (request.method === "POST") return new Response(null, { status: 201 });
  const mine = { id: "1", text: "mine" };
  return Response.json(token === TOKEN ? [mine] : token === SERVICE ? [mine, { id: "2", text: "theirs" }] : []);
}

/** Returns the code before and after of each point. */
async function readPairs(): Promise<Map<string, { before: string; after: string }>> {
  const text = await Deno.readTextFile(new URL("docs/migrating.md", ROOT));
  const section = text.slice(text.indexOf("## From `createClient`, point by point"));
  const pairs = new Map<string, { before: string; after: string }>();
  for (const part of section.slice(0, section.indexOf("\n## ", 3)).split(/^### /m).slice(1)) {
    const [before = "", after = ""] = Array.from(part.matchAll(/^```ts\n([^]*?)^```$/gm), ([, code = ""]) => code);
    assert(before.startsWith("// Before") && after.startsWith("// After"), part.slice(0, 60));
    pairs.set(part.slice(0, part.indexOf("\n")), { before, after });
  }
  return pairs;
}

async function run(runs: readonly HandlerRun[], url: string): Promise<HandlerResponse[][]> {
  return await runJsonScript(new URL("run_handlers.ts", import.meta.url), {
    input: runs,
    env: { SUPABASE_URL: url, SUPABASE_ANON_KEY: ANON, SUPABASE_SERVICE_ROLE_KEY: SERVICE, JWT_SECRET: SECRET },
  });
}

Deno.test("the pairs of docs/migrating.md give the same responses before and after", async (t) => {
  const pairs = await readPairs();
  assertEquals([...pairs.keys()], Object.keys(POINTS));
  const folder = await Deno.makeTempDir();
  await using project = startFakeProject();
  project.answer = answer;
  try {
    const runs: HandlerRun[] = [];
    for (const [index, [title, pair]] of [...pairs].entries()) {
      for (const side of ["before", "after"] as const) {
        const path = `${folder}/${index}_${side}.ts`;
        await Deno.writeTextFile(path, pair[side].replaceAll('"../../shared/', `"${new URL("shared/", ROOT)}`));
        runs.push({ module: `file://${path}`, requests: Object.values(POINTS[title]?.requests ?? {}) });
      }
    }
    const results = await run(runs, project.url);
    for (const [index, [title, { requests, differ = {} }]] of Object.entries(POINTS).entries()) {
      await t.step(title, () => {
        const [before = [], after = []] = results.slice(index * 2);
        for (const [at, name] of Object.keys(requests).entries()) {
          const difference = differ[name];
          if (difference) assertEquals([before[at]?.status, after[at]?.status], [...difference], name);
          else assertEquals([after[at]?.status, after[at]?.body], [before[at]?.status, before[at]?.body], name);
          const allowed = before[at]?.headers["access-control-allow-origin"];
          if (allowed) assertEquals(after[at]?.headers["access-control-allow-origin"], allowed, name);
        }
        assert(before.some(({ status }) => status < 500) && before.length > 0);
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
