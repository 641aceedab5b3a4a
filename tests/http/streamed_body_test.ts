/** Tests responses whose body is a stream: the request goes on until the body has ended, and its slot does not. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async";
import type { PooledContext } from "../support/http.ts";
import { type Rig, setUp } from "./real_rig.ts";
import { until } from "../support/until.ts";

const ONE = { POOL_MAX_CONNECTIONS: "1" };
const text = (value: string) => new TextEncoder().encode(value);
const events = (rig: Rig) => rig.log.map((line) => JSON.parse(line).event);
const active = (rig: Rig) => rig.service.getPoolStats().activeConnections;

/** A stream of `count` chunks, each the number of rows of a query. */
function rowsOf(
  { supabase }: PooledContext<unknown>,
  count: number,
  each = () => delay(1),
): ReadableStream<Uint8Array> {
  let n = 0;
  return new ReadableStream({
    async pull(controller) {
      await each();
      const { data, error } = await supabase.from("rows").select();
      controller.enqueue(text(error ? `${error.message};` : `${data.length};`));
      if (++n === count) controller.close();
    },
  });
}

Deno.test("ctx.supabase works in a streamed body, first used there or before, and holds its slot during calls only", async () => {
  const held: number[] = [];
  await using rig = setUp(async (request, context) => {
    if (request.url.endsWith("/before")) await context.supabase.from("before").select();
    const seen = () => delay(2).then(() => void held.push(active(rig)));
    return new Response(rowsOf(context, 3, seen));
  }, ONE);
  rig.project.answer = () => Response.json([1, 2]);
  for (const path of ["/before", "/first"]) {
    const response = await rig.fetch(path);
    assertEquals(await response.text(), "2;2;2;");
  }
  assertEquals(held, [0, 0, 0, 0, 0, 0]);
  assertEquals([active(rig), rig.log], [0, []]);
});

Deno.test("ctx.pool and ctx.supabaseAdmin work in a streamed body", async () => {
  await using rig = setUp((_request, { pool, supabaseAdmin }) =>
    new Response(
      new ReadableStream({
        async start(controller) {
          await delay(1);
          await using lease = await pool.lease();
          const { data } = await lease.client.from("a").select();
          const { data: all } = await supabaseAdmin.from("b").select();
          controller.enqueue(text(JSON.stringify([data, all])));
          controller.close();
        },
      }),
    ), ONE);
  assertEquals(await (await rig.fetch("/f")).json(), [[], []]);
  assertEquals([active(rig), rig.log], [0, []]);
});

Deno.test("ctx.supabase rejects calls after a streamed body, without an exception in a timer, and logs the remedy once", async () => {
  const results: unknown[] = [];
  let timer: ReturnType<typeof setInterval> | undefined;
  let pending = 0;
  await using rig = setUp((_request, { supabase }) => {
    timer = setInterval(() => {
      // On a slow machine, calls without a limit would leave no time for their results.
      if (pending >= 3) return;
      pending++;
      // Not in an async function: what this throws would be uncaught.
      const query = supabase.from("late").delete();
      query.then(({ error }) => {
        pending--;
        results.push(error?.message);
      });
    }, 1);
    return new Response(
      new ReadableStream({
        async pull(controller) {
          await until("three rows were read", () => results.length > 2);
          controller.close();
        },
      }),
    );
  });
  assertEquals(await (await rig.fetch("/f")).text(), "");
  const sent = rig.project.requests.length;
  const before = results.length;
  await until("five more rows were read", () => results.length > before + 5);
  clearInterval(timer);
  assertStringIncludes(String(results.at(-1)), "LeaseReleasedError");
  assert(rig.project.requests.length <= sent + 6); // those under way
  assertEquals(events(rig), ["call_refused"]);
  assertStringIncludes(rig.log[0] ?? "", "ctx.waitUntil");
});

Deno.test("withPooledSupabase() ends a request whose caller cancels the stream: calls of its cancel() are sent", async () => {
  let kept: PooledContext<unknown> | undefined;
  const saved = Promise.withResolvers<unknown>();
  await using rig = setUp((_request, context) => {
    kept = context;
    return new Response(
      new ReadableStream({
        async pull(controller) {
          await context.supabase.from("rows").select();
          controller.enqueue(text("x"));
        },
        async cancel() {
          await delay(5);
          saved.resolve((await context.supabase.from("saved").delete()).error);
        },
      }),
    );
  }, ONE);
  const response = await rig.fetch("/f");
  const reader = response.body?.getReader();
  await reader?.read();
  await reader?.cancel();
  assertEquals(await saved.promise, null);
  assertStringIncludes((await kept?.supabase.from("late").select())?.error?.message ?? "", "LeaseReleasedError");
  assertEquals(active(rig), 0);
});

Deno.test("withPooledSupabase() ends a request whose caller leaves while its stream has nothing to send", async (t) => {
  // A server always has a read under way. A caller that leaves is no failure, and the stream's own cancel() comes first.
  const ways: Record<string, (reader: ReadableStreamDefaultReader<Uint8Array>) => Promise<void>> = {
    "a read under way": async (reader) => {
      const read = reader.read();
      await delay(1);
      await reader.cancel("the caller has left");
      assertEquals((await read).done, true);
    },
    "no read under way": (reader) => reader.cancel("the caller has left"),
  };
  for (const [name, leave] of Object.entries(ways)) {
    await t.step(name, async () => {
      let saved: unknown = "not saved";
      await using rig = setUp((_request, { supabase }) =>
        new Response(
          new ReadableStream({
            start(controller) {
              controller.enqueue(text("event"));
            },
            async cancel() {
              await delay(5);
              saved = (await supabase.from("saved").delete()).error;
            },
          }),
        ), ONE);
      const reader = (await rig.fetch("/f")).body?.getReader();
      assert(reader);
      await reader.read();
      await leave(reader);
      assertEquals([saved, rig.log, active(rig)], [null, [], 0]);
    });
  }
});

Deno.test("deadlineMs bounds the calls of a streamed body, and not the body", async () => {
  await using rig = setUp((_request, context) => new Response(rowsOf(context, 4, () => delay(100))), ONE, {
    deadlineMs: 250,
  });
  const parts = (await (await rig.fetch("/f")).text()).split(";");
  assertEquals([parts.length, parts[0]], [5, "0"]);
  assertStringIncludes(parts[3] ?? "", "deadlineMs");
  await until("a line is logged", () => rig.log.length > 0);
  assertEquals(events(rig), ["call_refused"]);
  assertEquals(active(rig), 0);
});

Deno.test("withPooledSupabase() logs a streamed body that fails, and frees its slot", async (t) => {
  const ways: Record<string, (context: PooledContext<unknown>) => ReadableStream<Uint8Array>> = {
    "thrown in pull": ({ supabase }) =>
      new ReadableStream({
        async pull(controller) {
          await supabase.from("rows").select();
          controller.enqueue(text("half"));
          throw new Error("the other half is missing");
        },
      }),
    "thrown in start": () =>
      new ReadableStream({
        start() {
          return Promise.reject(new Error("the other half is missing"));
        },
      }),
    "given to error()": () =>
      new ReadableStream({
        pull(controller) {
          controller.error(new Error("the other half is missing"));
        },
      }),
  };
  for (const [name, stream] of Object.entries(ways)) {
    await t.step(name, async () => {
      await using rig = setUp((_request, context) => new Response(stream(context)), ONE);
      const response = await rig.fetch("/f");
      assertEquals(response.status, 200);
      await assertRejects(() => response.text(), Error, "the other half is missing");
      assertEquals(events(rig), ["response_body_failed"]);
      assertStringIncludes(rig.log[0] ?? "", "the other half is missing");
      assertEquals(active(rig), 0);
    });
  }
});

Deno.test("withPooledSupabase() lets a streamed download take longer than requestTimeoutMs while bytes flow", async () => {
  await using rig = setUp(async (_request, { supabase }) => {
    const { data } = await supabase.storage.from("files").download("big").asStream();
    return new Response(data);
  }, { ...ONE, POOL_REQUEST_TIMEOUT_MS: "1000" });
  let n = 0;
  rig.project.answer = () =>
    new Response(
      new ReadableStream({
        async pull(controller) {
          await delay(150);
          controller.enqueue(text("x"));
          if (++n === 10) controller.close();
        },
      }),
    );
  assertEquals(await (await rig.fetch("/f")).text(), "xxxxxxxxxx");
  assertEquals([active(rig), rig.log], [0, []]);
});

Deno.test("withPooledSupabase() aborts and logs a download without progress for requestTimeoutMs", async (t) => {
  const endless = () =>
    new Response(new ReadableStream({ start: (controller) => controller.enqueue(text("x".repeat(100))) }));
  for (const [who, read] of [["the project", true], ["the reader", false]] as const) {
    await t.step(`of ${who}`, async () => {
      await using rig = setUp(async (_request, { supabase }) => {
        const { data } = await supabase.storage.from("files").download("big").asStream();
        return new Response(data);
      }, { ...ONE, POOL_REQUEST_TIMEOUT_MS: "200" });
      rig.project.answer = endless;
      const response = await rig.fetch("/f");
      const reader = response.body?.getReader();
      await reader?.read();
      if (!read) await delay(300);
      await assertRejects(async () => await reader?.read(), Error, "made no progress for 200 ms");
      assertEquals(events(rig), ["response_body_failed"]);
      assertEquals(active(rig), 0);
    });
  }
});

/** Serves a rig on a loopback port. */
function serve(rig: Rig): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    const response = await rig.fetch(pathname, { method: request.method, signal: request.signal });
    response.headers.set("Connection", "close");
    return response;
  });
}

/** Opens a socket that sends a request and reads nothing. */
async function deafSocket(port: number, path: string, method = "GET"): Promise<Deno.TcpConn> {
  const socket = await Deno.connect({ hostname: "127.0.0.1", port });
  await socket.write(text(`${method} ${path} HTTP/1.1\r\nHost: x\r\n\r\n`));
  return socket;
}

Deno.test("withPooledSupabase() serves others while five sockets of a pool of 5 read nothing", async () => {
  await using rig = setUp(async (request, { supabase }) => {
    if (request.url.endsWith("/list")) return Response.json((await supabase.from("rows").select()).data);
    const { data } = await supabase.storage.from("files").download("big").asStream();
    return new Response(data);
  }, { POOL_MAX_CONNECTIONS: "5" });
  const chunk = new Uint8Array(65_536);
  let canceled = 0;
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
    await delay(0);
    controller.enqueue(chunk);
  };
  rig.project.answer = (request) =>
    request.url.includes("/storage/")
      ? new Response(new ReadableStream({ pull, cancel: () => void canceled++ }))
      : Response.json([]);
  const server = serve(rig);
  const { port } = server.addr;
  const sockets = await Promise.all(Array.from({ length: 5 }, () => deafSocket(port, "/big")));
  await until("five requests arrive", () => rig.project.requests.length === 5);
  const startedMs = performance.now();
  const statuses = await Promise.all(Array.from({ length: 10 }, async () => {
    const response = await fetch(`http://127.0.0.1:${port}/list`);
    await response.body?.cancel();
    return response.status;
  }));
  assertEquals(statuses, Array.from({ length: 10 }, () => 200));
  assert(performance.now() - startedMs < 9_000);
  await until("the leases end", () => active(rig) === 0);
  for (const socket of sockets) socket.close();
  await until("all bodies are canceled", () => canceled === 5);
  await server.shutdown();
});

Deno.test("withPooledSupabase() loses no slot to callers that leave during a stream, or ask by HEAD", async () => {
  let running = 0;
  await using rig = setUp((_request, context) => {
    running++;
    return new Response(rowsOf(context, 1_000_000));
  }, { POOL_MAX_CONNECTIONS: "2" });
  const server = serve(rig);
  const { port } = server.addr;
  for (let n = 0; n < 10; n++) {
    const socket = await deafSocket(port, "/f", n % 2 === 0 ? "GET" : "HEAD");
    await until("the body runs", () => running === n + 1);
    if (n % 3 === 0) await delay(5);
    socket.close();
  }
  await until("the leases end", () => active(rig) === 0);
  const sent = rig.project.requests.length;
  await delay(50);
  // Each may have had one call under way.
  assert(rig.project.requests.length - sent <= 10);
  assertEquals(active(rig), 0);
  await server.shutdown();
});

Deno.test("withPooledSupabase() sends text, bytes and blobs with their length, and streams without", async (t) => {
  const bodies: Record<string, readonly [() => BodyInit, length: string | null]> = {
    "text": [() => "hello", "5"],
    "bytes": [() => text("hello"), "5"],
    "parameters": [() => new URLSearchParams({ a: "b" }), "3"],
    "a stream": [() => new Blob(["hello"]).stream(), null],
  };
  for (const [name, [create, length]] of Object.entries(bodies)) {
    await t.step(name, async () => {
      await using rig = setUp(async (_request, { supabase }) => {
        await supabase.from("rows").select();
        return new Response(create());
      });
      const server = serve(rig);
      const response = await fetch(`http://127.0.0.1:${server.addr.port}/f`);
      assertEquals(response.headers.get("content-length"), length);
      assert((await response.text()).length >= 3);
      await server.shutdown();
    });
  }
});

Deno.test("withPooledSupabase() ends a request with a stream and waitUntil() work after both, in either order", async (t) => {
  for (const first of ["stream", "work"] as const) {
    await t.step(`${first} first`, async () => {
      const [stream, work] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      let kept: PooledContext<unknown> | undefined;
      await using rig = setUp((_request, context) => {
        kept = context;
        context.waitUntil(work.promise);
        return new Response(
          new ReadableStream({ pull: (controller) => stream.promise.then(() => controller.close()) }),
        );
      }, ONE);
      const body = (await rig.fetch("/f")).text();
      const call = async () => (await kept?.supabase.from("x").select())?.error?.message ?? "sent";
      const finish = { stream: () => stream.resolve(), work: () => work.resolve() };
      finish[first]();
      await delay(5);
      assertEquals(await call(), "sent");
      finish[first === "stream" ? "work" : "stream"]();
      await body;
      await delay(5);
      assertStringIncludes(await call(), "LeaseReleasedError");
      assertEquals(active(rig), 0);
    });
  }
});
