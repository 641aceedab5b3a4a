/** Tests that the clients of `withPooledSupabase` send the same requests as those of `withSupabase`. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { type SupabaseContext, type SupabaseEnv, withSupabase, type WithSupabaseConfig } from "@supabase/server";
import { type PooledSupabaseOptions, withPooledSupabase } from "../support/http.ts";
import { ConfigError } from "../../shared/pool/mod.ts";
import { type RecordedRequest, startFakeProject } from "../support/fake_project.ts";
import { createProjectKey } from "./tokens.ts";

const key = await createProjectKey();
const token = await key.sign();

type Config = Pick<WithSupabaseConfig, "auth" | "allow" | "env" | "supabaseOptions">;

type Context = Pick<SupabaseContext, "supabase" | "supabaseAdmin" | "authMode">;

/** Sends one call of each kind, as the caller and as admin. */
async function callAll(_request: Request, { supabase, supabaseAdmin, authMode }: Context): Promise<Response> {
  for (const client of [supabase, supabaseAdmin]) {
    await client.from("a").select("id").eq("name", "x");
    await client.from("a").insert({ name: "y" });
    await client.rpc("f", { n: 1 });
    await client.schema("other").from("b").select();
    await client.functions.invoke("g", { body: { n: 1 } });
    await client.storage.from("files").list();
  }
  // The client of a caller accepts its own token only.
  if (authMode === "user") await supabase.auth.getUser(token);
  await supabaseAdmin.auth.getUser(token);
  await supabaseAdmin.auth.admin.getUserById("11111111-1111-4111-8111-111111111111");
  return new Response();
}

/** Shuts the pools of all handlers down, as the end of their isolate does. */
function endPools(): void {
  dispatchEvent(new CustomEvent("beforeunload", { detail: { reason: "early_drop" } }));
}

/** Returns the requests of both handlers' clients. */
async function sentBy(config: Config, headers: HeadersInit) {
  await using project = startFakeProject();
  const env: SupabaseEnv = {
    url: project.url,
    publishableKeys: { default: "sb_publishable_default", web: "sb_publishable_web" },
    secretKeys: { default: "sb_secret_default", jobs: "sb_secret_jobs" },
    jwks: key.jwks,
    ...config.env,
  };
  const make = () => new Request("https://x.test/f", { headers });
  const handlers = [
    withPooledSupabase<unknown>({ ...config as PooledSupabaseOptions<unknown>, env, variables: {} }, callAll),
    withSupabase({ ...config, env }, callAll),
  ];
  const [ours = [], theirs = []] = await Promise.all([
    (await handlers[0]?.(make()), project.requests.splice(0).map(describe)),
    (await handlers[1]?.(make()), project.requests.splice(0).map(describe)),
  ]);
  endPools();
  return { ours, theirs };
}

/** Returns a request without intended differences: a new API key is not a JWT, so the pool does not send it as a token. */
function describe({ method, path, apikey, headers }: RecordedRequest) {
  const all = Object.fromEntries(headers);
  for (const name of ["host", "connection", "user-agent", "accept-encoding"]) delete all[name];
  // The pool names the version that it is tested with; a project may have installed a later one.
  all["x-client-info"] = all["x-client-info"]?.replace(/^supabase-js\/\S+;/, "supabase-js;") ?? "";
  if (all["authorization"] === `Bearer ${apikey}`) delete all["authorization"];
  return { method, path, ...all };
}

const NONE = {};
const USER = { Authorization: `Bearer ${token}` };
const ROWS: Record<string, readonly [Config, HeadersInit]> = {
  "a user": [{ auth: "user" }, USER],
  "a user, by default": [{}, USER],
  "a user, by the older option": [{ allow: ["publishable", "user"] }, USER],
  "a user whose project has no default key": [
    { auth: "user", env: { publishableKeys: { web: "sb_publishable_web" }, secretKeys: { jobs: "sb_secret_jobs" } } },
    USER,
  ],
  "the publishable key": [{ auth: "publishable" }, { apikey: "sb_publishable_default" }],
  "a named publishable key": [{ auth: "publishable:web" }, { apikey: "sb_publishable_web" }],
  "any publishable key": [{ auth: ["user", "publishable:*"] }, { apikey: "sb_publishable_web" }],
  "a user beside a key that comes first": [{ auth: ["publishable:*", "user"] }, {
    ...USER,
    apikey: "sb_publishable_web",
  }],
  "the secret key": [{ auth: "secret" }, { apikey: "sb_secret_default" }],
  "a named secret key": [{ auth: "secret:jobs" }, { apikey: "sb_secret_jobs" }],
  "any secret key": [{ auth: ["secret:*", "none"] }, { apikey: "sb_secret_jobs" }],
  "a key and an unused token": [{ auth: "secret:*" }, { ...USER, apikey: "sb_secret_jobs" }],
  "no credentials": [{ auth: "none" }, NONE],
  "mode none, with a token": [{ auth: "none" }, USER],
  "mode none, with the secret key": [{ auth: "none" }, { apikey: "sb_secret_default" }],
  "a schema and headers of one's own": [
    {
      auth: "user",
      supabaseOptions: {
        db: { schema: "app" },
        global: { headers: { "x-app": "mine", Authorization: "Bearer x", apikey: "y" } },
      },
    },
    USER,
  ],
};

for (const [name, [config, headers]] of Object.entries(ROWS)) {
  Deno.test(`withPooledSupabase() sends the requests that withSupabase() sends: ${name}`, async () => {
    const { ours, theirs } = await sentBy(config, headers);
    assertEquals(ours, theirs);
    assert(ours.length >= 14, `${ours.length}`);
  });
}

/** Returns the status, the code and the log of a handler with these options. */
async function status(supabaseOptions: NonNullable<PooledSupabaseOptions<unknown>["supabaseOptions"]>, pool = {}) {
  const log: string[] = [];
  const env = { url: "https://nowhere.test", publishableKeys: { default: "sb_publishable_a" }, jwks: key.jwks };
  const options = {
    auth: "none",
    env,
    variables: {},
    supabaseOptions,
    pool,
    log: (line: string) => log.push(line),
  } as const;
  const handle = withPooledSupabase<unknown>(options, async (_request, { supabase }) => {
    const { data, error } = await supabase.from("a").select();
    if (error) throw error;
    return Response.json(data);
  });
  const response = await handle(new Request("https://x.test/f"));
  endPools();
  return [response.status, (await response.json()).code, log.join()] as const;
}

Deno.test("withPooledSupabase() uses the fetch and timeout of supabaseOptions for the pool; the pool's own options win", async () => {
  const sent: string[] = [];
  const answer: typeof fetch = (input) => Promise.resolve(Response.json([sent.push(String(input))]));
  assertEquals((await status({ global: { fetch: answer } }))[0], 200);
  assertEquals(sent, ["https://nowhere.test/rest/v1/a?select=*"]);
  const hang: typeof fetch = (_input, init) =>
    new Promise((_, reject) => {
      // Keeps the test alive: the timers of the pool do not.
      const alive = setInterval(() => {}, 1_000);
      init?.signal?.addEventListener("abort", () => {
        clearInterval(alive);
        reject(init?.signal?.reason);
      });
    });
  assertEquals((await status({ db: { timeout: 15 }, global: { fetch: hang } })).slice(0, 2), [504, "REQUEST_TIMEOUT"]);
  assertEquals((await status({ global: { fetch: hang } }, { fetch: answer }))[0], 200);
});

Deno.test("withPooledSupabase() ignores supabaseOptions without effect on a pooled client, and rejects unsupported ones by name", async () => {
  const answer: typeof fetch = () => Promise.resolve(Response.json([]));
  const harmless = {
    global: { fetch: answer },
    accessToken: () => Promise.resolve("another's"),
    auth: { persistSession: true, autoRefreshToken: true },
    realtime: {},
    db: { retry: true },
  };
  assertEquals((await status(harmless))[0], 200);
  await assertRejects(() => status({ storage: { useNewHostname: true } }), ConfigError, "useNewHostname");
});

Deno.test("withPooledSupabase() retries reads unless db.retry is false", async () => {
  for (const [retry, attempts] of [[undefined, 4], [true, 4], [false, 1]] as const) {
    let sent = 0;
    const answer: typeof fetch = () => {
      sent++;
      return Promise.resolve(new Response("busy", { status: 503, headers: { "Retry-After": "0" } }));
    };
    const db = retry === undefined ? {} : { db: { retry } };
    assertEquals((await status({ global: { fetch: answer }, ...db }))[0], 503);
    assertEquals(sent, attempts);
  }
});

Deno.test("withPooledSupabase() applies the supabaseOptions of each handler of an isolate to its own clients", async () => {
  const sent: string[] = [];
  const through = (name: string): typeof fetch => () => {
    sent.push(name);
    return Promise.resolve(Response.json([]));
  };
  const env = { url: "https://nowhere.test", publishableKeys: { default: "sb_publishable_a" }, jwks: key.jwks };
  const handles = (["one", "other"] as const).map((name, i) =>
    withPooledSupabase<unknown>({
      ...{ auth: "none", env, variables: {} },
      supabaseOptions: { global: { fetch: through(name) }, db: { timeout: 1_000 * (i + 1) } },
    }, async (_request, { supabase, pool }) => {
      await supabase.from("a").select();
      return Response.json(pool.config.requestTimeoutMs);
    })
  );
  for (const [i, handle] of handles.entries()) {
    assertEquals(await (await handle(new Request("https://x.test/f"))).json(), 1_000 * (i + 1));
  }
  assertEquals(sent, ["one", "other"]);
  endPools();
});
