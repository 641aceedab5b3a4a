/** Tests handlers on real pools, with a fake project. */
import { assert, assertEquals, assertFalse, assertGreaterOrEqual, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async";
import { type PooledContext, type PooledHandler, withPooledSupabase } from "../support/http.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { environment, setUp } from "./real_rig.ts";
import { sharedSecretToken } from "./tokens.ts";
import { until } from "../support/until.ts";

const list: PooledHandler<unknown> = async (_request, { supabase }) => {
  const { data, error } = await supabase.from("budgets").select();
  if (error) throw error;
  return Response.json(data);
};

Deno.test("ctx.supabase sends interleaved requests as their own callers", async () => {
  await using rig = setUp(async (request, context) => {
    await delay(Math.random() * 5);
    const name = new URL(request.url).pathname.slice(1);
    const { error } = await context.supabase.from(name).select();
    if (error) throw error;
    return Response.json(name);
  }, { POOL_MAX_CONNECTIONS: "4" });
  const users = await Promise.all(Array.from({ length: 8 }, (_, i) => sharedSecretToken({ sub: `user-${i}` })));
  const answers = await Promise.all(
    Array.from({ length: 80 }, async (_, i) => {
      const as = users[i % 9];
      return await rig.fetch(`/table-${i % 9}`, as === undefined ? {} : { as });
    }),
  );
  assert(answers.every(({ status }) => status === 200));
  assertEquals(rig.project.requests.length, 80);
  for (const { path, apikey, authorization } of rig.project.requests) {
    const user = users[Number(/table-(\d)/.exec(path)?.[1])];
    assertEquals([apikey, authorization], ["sb_publishable_test", user === undefined ? null : `Bearer ${user}`]);
  }
});

Deno.test("withPooledSupabase() sends at most maxConnections calls at once for 100 requests", async () => {
  await using rig = setUp(list, { POOL_MAX_CONNECTIONS: "10" });
  rig.project.answer = async () => {
    await delay(2);
    return Response.json([]);
  };
  const answers = await Promise.all(Array.from({ length: 100 }, () => rig.fetch("/")));
  assertEquals(answers.map(({ status }) => status), Array(100).fill(200));
  assertEquals(rig.project.load.most, 10);
  const waited = answers.map(({ headers }) =>
    Number(/pool;dur=([\d.]+)/.exec(headers.get("Server-Timing") ?? "")?.[1])
  );
  assertGreaterOrEqual(Math.max(...waited), 10);
  for (const { headers } of answers) {
    assert(Number(headers.get("X-Pool-Total-Connections")) <= 10);
    assert(Number(headers.get("X-Pool-Active-Connections")) <= 10);
  }
  await delay(5);
  assertEquals(rig.service.getPoolStats().activeConnections, 0);
});

Deno.test("withPooledSupabase() responds 503 with Retry-After to an acquire timeout, although supabase-js turns it into text", async () => {
  await using rig = setUp(list, { POOL_MAX_CONNECTIONS: "1", POOL_ACQUIRE_TIMEOUT_MS: "20" });
  await using _held = await rig.service.getConnectionPool().lease();
  const response = await rig.fetch("/");
  const body = await response.json();
  assertEquals([response.status, body.code, response.headers.get("Retry-After")], [503, "ACQUIRE_TIMEOUT", "1"]);
  assertEquals(response.headers.get("X-Pool-Active-Connections"), "1");
  assertGreaterOrEqual(Number(/dur=([\d.]+)/.exec(response.headers.get("Server-Timing") ?? "")?.[1]), 15);
  assertEquals(rig.log.map((line) => [JSON.parse(line).event, JSON.parse(line).data.code]), [
    ["request_refused", "ACQUIRE_TIMEOUT"],
  ]);
  assertEquals(rig.project.requests.length, 0);
});

Deno.test("withPooledSupabase() responds QUEUE_FULL to a full queue and REQUEST_TIMEOUT to a slow project", async () => {
  await using full = setUp(list, { POOL_MAX_CONNECTIONS: "1", POOL_MAX_WAITERS: "0" });
  await using _held = await full.service.getConnectionPool().lease();
  assertEquals((await (await full.fetch("/")).json()).code, "QUEUE_FULL");
  await using slow = setUp(list, { POOL_REQUEST_TIMEOUT_MS: "20" });
  slow.project.answer = () => new Promise(() => {});
  const response = await slow.fetch("/");
  assertEquals([response.status, (await response.json()).code], [504, "REQUEST_TIMEOUT"]);
});

Deno.test("withPooledSupabase() keeps the status of an error of the Data API, and hides its details", async () => {
  await using rig = setUp(list);
  rig.project.answer = () =>
    Response.json({ code: "22P02", message: "bad uuid", details: "row (Ada)", hint: null }, { status: 400 });
  const response = await rig.fetch("/");
  const text = await response.text();
  assertEquals([response.status, JSON.parse(text).code, JSON.parse(text).detail], [400, "22P02", "bad uuid"]);
  assertFalse(text.includes("Ada"));
});

Deno.test("withPooledSupabase() responds UPSTREAM_UNAVAILABLE if the project is unreachable, although supabase-js turns the error into text", async () => {
  await using rig = setUp(async (_request, { supabase }) => {
    const { data, error } = await supabase.from("notes").select().retry(false);
    if (error) throw error;
    return Response.json(data);
  });
  await rig.project[Symbol.asyncDispose]();
  const response = await rig.fetch("/f");
  assertEquals([response.status, (await response.json()).code], [503, "UPSTREAM_UNAVAILABLE"]);
  assert(rig.log.join("").includes("refused"), "the log says why");
});

Deno.test("withPooledSupabase() aborts the call and frees the slot when the caller disconnects", async () => {
  await using rig = setUp(list, { POOL_MAX_CONNECTIONS: "1" });
  const arrived = Promise.withResolvers<Request>();
  rig.project.answer = (request) => {
    arrived.resolve(request);
    return new Promise(() => {});
  };
  const caller = new AbortController();
  const answer = rig.fetch("/", { signal: caller.signal });
  await arrived.promise;
  caller.abort();
  assertEquals((await answer).status, 499);
  rig.project.answer = () => Response.json([]);
  assertEquals((await rig.fetch("/")).status, 200);
  assertEquals(rig.log, []);
});

Deno.test("ctx.supabase works in waitUntil() work and is rejected afterwards", async () => {
  let kept: PooledContext<unknown> | undefined;
  const release = Promise.withResolvers<void>();
  const results: unknown[] = [];
  await using rig = setUp((_request, context) => {
    kept = context;
    context.waitUntil((async () => {
      await release.promise;
      results.push(await context.supabase.from("log").delete());
    })());
    return new Response("at once");
  });
  rig.project.answer = () => new Response(null, { status: 204 });
  const as = await sharedSecretToken();
  const response = await rig.fetch("/", { as });
  assertEquals([await response.text(), rig.project.requests.length], ["at once", 0]);
  release.resolve();
  await until("the background call settles", () => results.length > 0);
  await delay(1);
  assertEquals(rig.project.requests.map(({ authorization }) => authorization), [`Bearer ${as}`]);
  assertStringIncludes((await kept?.supabase.from("log").select())?.error?.message ?? "", "LeaseReleasedError");
  assertEquals(rig.project.requests.length, 1);
});

Deno.test("withPooledSupabase() frees the slot once a body that the handler passes on has been read", async () => {
  await using rig = setUp(async (_request, { supabase }) => {
    const { data, error } = await supabase.storage.from("files").download("big").asStream();
    if (error) throw error;
    return new Response(data);
  }, { POOL_MAX_CONNECTIONS: "1" });
  const part = Promise.withResolvers<void>();
  rig.project.answer = () =>
    new Response(
      new ReadableStream<Uint8Array>({
        async start(controller) {
          controller.enqueue(new TextEncoder().encode("one "));
          await part.promise;
          controller.enqueue(new TextEncoder().encode("two"));
          controller.close();
        },
      }),
    );
  const response = await rig.fetch("/");
  assertEquals(response.status, 200);
  assertEquals(rig.service.getPoolStats().activeConnections, 1);
  part.resolve();
  assertEquals(await response.text(), "one two");
  await delay(1);
  assertEquals(rig.service.getPoolStats().activeConnections, 0);
});

Deno.test("ctx.supabaseAdmin sends the secret key, and ctx.supabase does not", async () => {
  await using rig = setUp(async (_request, { supabase, supabaseAdmin }) => {
    await supabase.from("mine").select();
    await supabaseAdmin.from("all").select();
    return new Response();
  });
  await rig.fetch("/", { as: await sharedSecretToken() });
  assertEquals(rig.project.requests.map(({ path, apikey }) => [path.split("?")[0], apikey]), [
    ["/rest/v1/mine", "sb_publishable_test"],
    ["/rest/v1/all", "sb_secret_test"],
  ]);
});

Deno.test("/<name>/health/pool reports a healthy and a failing real pool, and hides the error", async () => {
  await using well = setUp(list);
  const good = await well.fetch("/f/health/pool");
  assertEquals([good.status, (await good.json()).status], [200, "pass"]);
  await using ill = setUp(list);
  ill.project.answer = () => Response.json({ code: "PGRST000", message: "no database at 10.0.0.1" }, { status: 503 });
  const floods = await Promise.all(Array.from({ length: 50 }, () => ill.fetch("/f/health/pool")));
  for (const response of floods) {
    const text = await response.text();
    assertEquals([response.status, JSON.parse(text).status], [503, "fail"]);
    assertFalse(text.includes("10.0.0.1"));
  }
  assertEquals(ill.project.requests.length, 1);
});

Deno.test("withPooledSupabase() rejects new requests after beforeunload and completes those that run", async () => {
  await using project = startFakeProject();
  const started = Promise.withResolvers<void>();
  const go = Promise.withResolvers<Response>();
  project.answer = () => {
    started.resolve();
    return go.promise;
  };
  const handle = withPooledSupabase<unknown>(
    { auth: "none", variables: environment(project.url), log: () => {} },
    list,
  );
  const running = handle(new Request("https://x.test/f"));
  await started.promise;
  dispatchEvent(new Event("beforeunload"));
  const refused = await handle(new Request("https://x.test/f"));
  assertEquals([refused.status, (await refused.json()).code], [503, "POOL_CLOSED"]);
  assertEquals(refused.headers.get("Retry-After"), "1");
  go.resolve(Response.json(["done"]));
  const answer = await running;
  assertEquals([answer.status, await answer.json()], [200, ["done"]]);
});

Deno.test("withPooledSupabase() frees the slot of a disconnected caller once its waitUntil() work has settled", async () => {
  const caller = new AbortController();
  const background = Promise.withResolvers<void>();
  await using rig = setUp(async (_request, context) => {
    context.waitUntil(background.promise);
    return Response.json(await context.supabase.from("a").select());
  });
  rig.project.answer = () => new Promise(() => {});
  const answer = rig.fetch("/f", { signal: caller.signal });
  const active = () => rig.service.getPoolStats().activeConnections;
  await until("the request arrives", () => rig.project.requests.length > 0);
  caller.abort();
  assertEquals(active(), 1);
  background.resolve();
  await answer;
  assertEquals(active(), 0);
});

Deno.test("withPooledSupabase() responds 500 to any thrown value, also if the log fails", async () => {
  const getter = Object.defineProperty({}, "message", {
    get() {
      throw new Error("bad getter");
    },
  });
  const odd = [
    Object.assign(new Error("x"), { message: 42 }),
    Object.assign(new Error("x"), { stack: ["a"] }),
    Object.assign(new Error("x"), { name: 10n }),
    { message: Object.create(null) },
    Object.create(null),
    getter,
    undefined,
  ];
  for (const thrown of odd) {
    await using rig = setUp((_request, { waitUntil }) => {
      waitUntil(Promise.reject(thrown));
      throw thrown;
    });
    const response = await rig.fetch("/f");
    assertEquals([response.status, (await response.json()).code], [500, "INTERNAL_ERROR"]);
    assertEquals(rig.log.length, 2);
    assert(rig.log.every((line) => JSON.parse(line).level === "error"));
  }
  const log = () => {
    throw new Error("the log is full");
  };
  await using rig = setUp(() => Promise.reject(new Error("x")), {}, { log });
  assertEquals((await rig.fetch("/f")).status, 500);
});

Deno.test("withPooledSupabase() responds to errors of storage, functions and auth as to those of a query", async (t) => {
  type Ask = (context: PooledContext<unknown>) => Promise<{ error: unknown }>;
  const asks: Record<string, Ask> = {
    query: async ({ supabase }) => await supabase.from("a").select(),
    function: async ({ supabase }) => await supabase.functions.invoke("f"),
    storage: async ({ supabase }) => await supabase.storage.from("b").list(),
    auth: async ({ supabaseAdmin }) => await supabaseAdmin.auth.admin.listUsers(),
  };
  for (const [name, ask] of Object.entries(asks)) {
    await t.step(name, async () => {
      await using rig = setUp(async (_request, context) => {
        const { error } = await ask(context);
        throw error;
      }, { POOL_MAX_CONNECTIONS: "1", POOL_ACQUIRE_TIMEOUT_MS: "250", POOL_REQUEST_TIMEOUT_MS: "250" });
      const answer = async () => {
        const response = await rig.fetch("/f");
        return [response.status, (await response.json()).code];
      };
      rig.project.answer = () =>
        Response.json({ message: "no", error: "no", code: "no", details: null, hint: null }, { status: 404 });
      assertEquals((await answer())[0], 404);
      if (name === "auth") return; // auth-js makes texts of what else goes wrong
      rig.project.answer = () => new Promise(() => {});
      assertEquals(await answer(), [504, "REQUEST_TIMEOUT"]);
      await using _held = await rig.service.getConnectionPool().lease();
      assertEquals(await answer(), [503, "ACQUIRE_TIMEOUT"]);
    });
  }
});
