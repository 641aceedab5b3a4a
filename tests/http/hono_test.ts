/** Tests that the Hono middleware behaves as `withPooledSupabase` does. */
import { assert, assertEquals, assertFalse } from "@std/assert";
import { delay } from "@std/async";
import { FakeTime } from "@std/testing/time";
import type { AuthError } from "@supabase/server";
import { withSupabase } from "@supabase/server/adapters/hono";
import { Hono, type MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { HTTPException } from "hono/http-exception";
import { onPooledError, type PooledEnv, type PooledMiddlewareOptions, pooledSupabase } from "../../shared/http/hono.ts";
import { type PooledHandler, RequestError, withPooledSupabase } from "../support/http.ts";
import { AcquireTimeoutError } from "../../shared/pool/mod.ts";
import { IdentityError } from "../../shared/supabase/mod.ts";
import { PooledBaseService, SupabaseService } from "../../shared/services/mod.ts";
import { readEnvironment } from "../support/http.ts";
import { denoArgs } from "../support/deno_process.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { FakePools, JWT_SECRET, VARIABLES } from "./fake_pools.ts";
import { environment } from "./real_rig.ts";
import { sharedSecretToken } from "./tokens.ts";
import { until } from "../support/until.ts";

type App = Hono<PooledEnv<unknown>>;

/** Creates an app with the middleware, on fake pools. */
function onFakes(routes: (app: App) => void, options: PooledMiddlewareOptions<unknown> = {}) {
  const service = new FakePools();
  const log: string[] = [];
  const app: App = new Hono();
  const all = { variables: { ...VARIABLES, JWT_SECRET }, service, log: (line: string) => log.push(line), ...options };
  app.use("*", pooledSupabase<unknown>(all));
  routes(app);
  return { app, service, log, options: all };
}

async function describe(response: Response) {
  response.headers.delete("Server-Timing");
  response.headers.delete("X-Correlation-Id");
  return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() };
}

Deno.test("pooledSupabase() responds and rejects as withPooledSupabase() does", async (t) => {
  const good = await sharedSecretToken();
  const elsewhere = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
    return new Response("from there", { headers: { "Access-Control-Expose-Headers": "X-There", Date: "now" } });
  });
  const handlers: Record<string, PooledHandler<unknown>> = {
    "a plain response": (_request, { userClaims, authMode, authKeyName }) =>
      Response.json({ userClaims, authMode, authKeyName: authKeyName ?? null }),
    "headers of its own": (_request, { supabase }) =>
      new Response(typeof supabase, { headers: { "X-Mine": "1", "Access-Control-Expose-Headers": "X-Mine" } }),
    "a redirect, whose headers are immutable": () => Response.redirect("https://y.test/", 303),
    "a response of fetch, whose headers are immutable": () => fetch(`http://127.0.0.1:${elsewhere.addr.port}/`),
    "no content": () => new Response(null, { status: 204 }),
    "an acquire timeout": () => Promise.reject(new AcquireTimeoutError("Connection acquire timeout")),
    "an error of the Data API": () =>
      Promise.reject(Object.assign(new Error("no"), { code: "22P02", details: "row (Ada)", hint: null })),
    "the same, not an Error": () => Promise.reject({ code: "22P02", message: "no", details: "row (Ada)", hint: null }),
    "bad input": () => Promise.reject(new RequestError({ status: 415, code: "UNSUPPORTED", title: "Unsupported" })),
  };
  for (const [name, handler] of Object.entries(handlers)) {
    const { app, options } = onFakes((app) => app.get("/f", (c) => handler(c.req.raw, c.var.supabaseContext)), {
      auth: ["user", "publishable:*"],
    });
    const plain = withPooledSupabase<unknown>({ ...options, cors: "disabled" }, handler);
    for (
      const headers of [{}, { Authorization: `Bearer ${good}` }, { apikey: "sb_publishable_web" }, { apikey: "x" }]
    ) {
      await t.step(`${name}, ${Object.keys(headers)}`, async () => {
        const make = () => new Request("https://x.test/f", { headers });
        const [ours, theirs] = [await describe(await app.fetch(make())), await describe(await plain(make()))];
        assertEquals(ours, theirs);
      });
    }
  }
  await elsewhere.shutdown();
});

Deno.test("pooledSupabase() does not run a route, or open a scope, for a rejected request", async () => {
  let ran = 0;
  const { app, service } = onFakes((app) =>
    app.get("/f", (c) => {
      ran++;
      return c.json(typeof c.var.supabaseContext.supabase);
    })
  );
  assertEquals((await app.request("/f")).status, 401);
  assertEquals([ran, service.user.scopes.length], [0, 0]);
});

Deno.test("pooledSupabase() closes the scope with the response", async () => {
  const { app, service } = onFakes((app) => app.get("/f", (c) => c.json(typeof c.var.supabaseContext.supabase)), {
    auth: "none",
  });
  await app.request("/f");
  assertEquals(service.user.scopes.map(({ closed }) => closed), [1]);
});

Deno.test("pooledSupabase() keeps the context of an earlier middleware, so that a route may have other auth modes", async () => {
  const { service, options } = onFakes(() => {});
  const app: App = new Hono();
  app.use("/public", pooledSupabase<unknown>({ ...options, auth: "none" }));
  app.use("*", pooledSupabase<unknown>({ ...options, auth: "user" }));
  app.get("/public", (c) => c.json([c.var.supabaseContext.authMode, typeof c.var.supabaseContext.supabase]));
  app.get("/mine", (c) => c.json(c.var.supabaseContext.authMode));
  assertEquals(await (await app.request("/public")).json(), ["none", "object"]);
  assertEquals((await app.request("/mine")).status, 401);
  assertEquals(service.user.scopes.length, 1);
});

Deno.test("pooledSupabase() rejects credentials to onError() as the adapter of @supabase/server does", async () => {
  const { options } = onFakes(() => {});
  const seen: Record<string, unknown>[] = [];
  const answer = async (middleware: MiddlewareHandler, headers: HeadersInit) => {
    const app = new Hono().use("*", middleware).get("/f", (c) => c.text("in")).onError((error, c) => {
      const { name, message } = error;
      const { code, status, hint, details } = error.cause as AuthError;
      seen.push({ name, message, code, status, hint, details, is: error instanceof HTTPException });
      return c.json({ message, code }, 418);
    });
    return await app.request("/f", { headers });
  };
  const env = { url: VARIABLES["SUPABASE_URL"] ?? "", publishableKeys: {}, secretKeys: {}, jwks: { keys: [] } };
  for (const headers of [{}, { Authorization: "Bearer nonsense" }, { apikey: "x" }]) {
    const ours = await answer(pooledSupabase<unknown>({ ...options, auth: "user" }), headers);
    const theirs = await answer(withSupabase({ env, auth: "user" }), headers);
    assertEquals(seen[0], seen.pop());
    assertEquals(seen.pop()?.["is"], true);
    assertEquals([ours.status, await ours.json()], [theirs.status, await theirs.json()]);
    assertEquals(ours.headers.get("X-Pool-Total-Connections"), "8");
    assertEquals(ours.headers.get("Content-Type"), theirs.headers.get("Content-Type"));
  }
  const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln";
  await answer(pooledSupabase<unknown>({ ...options, auth: "user" }), { Authorization: token });
  assertFalse(Deno.inspect(seen).includes(token));
});

Deno.test("pooledSupabase() keeps the headers of earlier middlewares on all responses", async () => {
  const { options } = onFakes(() => {});
  const app: App = new Hono();
  app.use("*", cors({ origin: "https://app.test", exposeHeaders: ["X-Mine"], credentials: true }));
  app.use("*", async (c, next) => {
    c.header("X-Request-Id", "7");
    c.header("Set-Cookie", "a=1");
    c.header("Set-Cookie", "b=2", { append: true });
    await next();
  });
  app.use("*", pooledSupabase<unknown>({ ...options, auth: ["user", "secret"] }));
  app.get("/busy", () => Promise.reject(new AcquireTimeoutError("Connection acquire timeout")));
  app.get("/fine", (c) => c.text("fine"));
  app.get("/stream", () => new Response(new ReadableStream({ start: (stream) => stream.close() })));
  const headers = { apikey: "sb_secret_default", Origin: "https://app.test" };
  const rows: readonly (readonly [path: string, status: number, headers: Record<string, string>])[] = [
    ["/fine", 200, headers],
    ["/stream", 200, headers],
    ["/nowhere", 404, headers],
    ["/busy", 503, headers],
    ["/fine", 401, { Origin: "https://app.test" }],
    ["/f/health/pool", 200, headers],
  ];
  for (const onError of [undefined, () => new Response("as the app has it", { status: 401 })]) {
    if (onError) app.onError(onError);
    for (const [path, status, headers] of rows) {
      const answer = await app.request(path, { headers });
      assertEquals(answer.status, onError && status === 503 ? 401 : status, path);
      assertEquals(answer.headers.get("Access-Control-Allow-Origin"), "https://app.test", path);
      assertEquals(answer.headers.get("Access-Control-Allow-Credentials"), "true");
      assertEquals(answer.headers.get("X-Request-Id"), "7");
      const exposed = answer.headers.get("Access-Control-Expose-Headers") ?? "";
      for (const name of ["X-Mine", "X-Pool-Idle-Connections"]) assert(exposed.includes(name), `${path}: ${exposed}`);
      assertEquals(answer.headers.get("X-Pool-Total-Connections"), "8");
      if (!onError) assertEquals(answer.headers.getSetCookie(), ["a=1", "b=2"], path);
      await answer.body?.cancel();
    }
  }
});

Deno.test("pooledSupabase() responds 500 to a route that sets a header with a control character, without that header", async () => {
  const { app, log } = onFakes((app) => {
    app.get("/", (c) => {
      c.header("X-Name", "a\x01");
      c.header("X-Kept", "yes");
      return c.text("hello");
    });
  }, { auth: "none" });
  const { status, headers } = await app.request("/");
  assertEquals([status, headers.get("X-Name"), headers.get("X-Kept")], [500, null, "yes"]);
  assertEquals(log.length, 1);
});

Deno.test("pooledSupabase() rejects a token that expires during its request as an expired one", async () => {
  using time = new FakeTime();
  const { app, log } = onFakes((app) => {
    app.get("/f", () => {
      time.tick(601_000);
      throw new IdentityError("The token has expired", "expired");
    });
  }, { deadlineMs: 900_000 });
  const headers = { Authorization: `Bearer ${await sharedSecretToken()}` };
  const refused = await app.request("/f", { headers });
  assertEquals([refused.status, (await refused.json()).code, log], [401, "INVALID_JWT", []]);
});

Deno.test("pooledSupabase() leaves other errors to Hono, and keeps the response of onError() unless it is a plain 500", async () => {
  const routes = (app: App) => {
    app.get("/teapot", () => {
      throw new HTTPException(418, { message: "short and stout" });
    });
    app.get("/bug", () => {
      throw new TypeError("password=hunter2");
    });
    app.get("/busy", () => {
      throw new AcquireTimeoutError("Connection acquire timeout");
    });
  };
  const plain = onFakes(routes, { auth: "none" });
  assertEquals(await (await plain.app.request("/teapot")).text(), "short and stout");
  plain.app.onError((error, c) => c.text(error.name, error instanceof AcquireTimeoutError ? 429 : 500));
  const bug = await plain.app.request("/bug");
  assertEquals([bug.status, await bug.text()], [500, "TypeError"]);
  assertEquals(bug.headers.get("X-Pool-Total-Connections"), "8");
  assertEquals((await plain.app.request("/busy")).status, 429);
  assertEquals((await plain.app.request("/nowhere")).status, 404);
  assertEquals(plain.log, []);
  plain.app.onError((_error, c) => c.text("oops", 500));
  const busy = await plain.app.request("/busy");
  assertEquals([busy.status, (await busy.json()).code, busy.headers.get("Retry-After")], [503, "ACQUIRE_TIMEOUT", "1"]);
  assertEquals(plain.log.length, 1);
});

Deno.test("pooledSupabase() serves each function's health without credentials", async () => {
  const { app } = onFakes(() => {}, { auth: "user" });
  const health = await app.request("/f/health/pool");
  assertEquals([health.status, (await health.json()).status], [200, "pass"]);
  assertFalse((await onFakes(() => {}, { health: false }).app.request("/f/health/pool")).status === 200);
});

class ItemService extends PooledBaseService {
  list(depth = 2): Promise<unknown> {
    return this.withPooledClient(async (client) => {
      if (depth > 0) return await new ItemService(this.pool).list(depth - 1);
      const { data, error } = await client.from("items").select();
      if (error) this.handleError(error);
      return data;
    });
  }
}

Deno.test("pooledSupabase() holds one slot per request, and frees it at the deadline and when the caller disconnects", async () => {
  await using project = startFakeProject();
  const variables = environment(project.url, { POOL_MAX_CONNECTIONS: "1" });
  const service = new SupabaseService<unknown>(readEnvironment(variables));
  const log: string[] = [];
  const app: App = new Hono();
  const options = { variables, service, deadlineMs: 1_000, log: (line: string) => log.push(line) };
  app.use("*", pooledSupabase<unknown>({ ...options, auth: "user" }));
  app.get("/items", async (c) => c.json(await new ItemService(c.var.supabaseContext.pool).list()));
  const headers = { Authorization: `Bearer ${await sharedSecretToken()}` };
  const answers = await Promise.all(Array.from({ length: 8 }, () => app.request("/items", { headers })));
  assertEquals(answers.map(({ status }) => status), Array(8).fill(200));
  assertEquals([project.requests.length, project.load.most], [8, 1]);

  project.answer = () => new Promise(() => {});
  const late = await app.request("/items", { headers });
  assertEquals([late.status, (await late.json()).code], [504, "DEADLINE_EXCEEDED"]);
  await delay(1); // the route continues for a while, without effect
  assertEquals(service.getPoolStats().activeConnections, 0);

  const caller = new AbortController();
  const gone = app.request("/items", { headers, signal: caller.signal });
  await until("ten requests arrive", () => project.requests.length >= 10);
  caller.abort();
  assertEquals([(await gone).status, service.getPoolStats().activeConnections], [499, 0]);
  assert(log.every((line) => JSON.parse(line).data.code === "DEADLINE_EXCEEDED"), log.join("\n"));
  await service.shutdown(0);
});

Deno.test("shared/mod.ts does not load Hono", async () => {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", ...denoArgs(), new URL("../../shared/mod.ts", import.meta.url).pathname],
    stderr: "null",
  }).output();
  assertEquals(code, 0);
  const { modules } = JSON.parse(new TextDecoder().decode(stdout));
  const loaded: string[] = modules.map(({ specifier }: { specifier: string }) => specifier);
  assert(loaded.some((specifier) => specifier.includes("npm:/jose@")), "the list names what is loaded");
  assertEquals(loaded.filter((specifier) => /npm:\/hono@/.test(specifier)), []);
});

Deno.test("onPooledError() responds to all errors and logs them, and nothing is printed", async () => {
  const printed: unknown[][] = [];
  const print = console.error;
  console.error = (...what) => printed.push(what);
  try {
    const { app, log } = onFakes((app) => {
      app.onError(onPooledError);
      app.get("/api", () => Promise.reject({ code: "22P02", message: "no", details: "row (Ada)", hint: null }));
      app.get("/bug", () => Promise.reject(new TypeError("a bug")));
      app.get("/teapot", () => Promise.reject(new HTTPException(418, { message: "short and stout" })));
    }, { auth: "none" });
    const teapot = await app.request("/teapot");
    assertEquals([teapot.status, await teapot.text()], [418, "short and stout"]);
    assertEquals(teapot.headers.get("X-Pool-Total-Connections"), "8");
    const api = await app.request("/api");
    assertEquals([api.status, (await api.json()).code], [400, "22P02"]);
    const bug = await app.request("/bug");
    assertEquals([bug.status, (await bug.json()).code], [500, "INTERNAL_ERROR"]);
    assertEquals(log.map((line) => JSON.parse(line).data.error), ["a bug"]);
    assertEquals(printed, []);
  } finally {
    console.error = print;
  }
});
