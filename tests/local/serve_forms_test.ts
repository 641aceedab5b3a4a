import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { openTo, serveProject } from "./serve.ts";

/** `serve` of std before Deno 2: accepts connections and reads requests from them. */
const STD_SERVER = `
export async function serve(handler, options = {}) {
  const listener = Deno.listen({ port: options.port ?? 8000, hostname: options.hostname ?? "0.0.0.0", transport: "tcp" });
  options.onListen?.({ port: options.port ?? 8000, hostname: "localhost" });
  while (true) {
    let connection;
    try { connection = await listener.accept(); } catch { break; }
    (async () => {
      const http = Deno.serveHttp(connection);
      for (;;) {
        const event = await http.nextRequest();
        if (event === null) break;
        const response = await handler(event.request, { remoteAddr: connection.remoteAddr });
        await event.respondWith(response);
      }
    })();
  }
}`;

const FORMS: Record<string, string> = {
  handler: `Deno.serve((request) => new Response(new URL(request.url).pathname));`,
  options: `Deno.serve({ port: 8000 }, (request) => new Response(new URL(request.url).pathname));`,
  member: `Deno.serve({ port: 8000, handler: (request) => new Response(new URL(request.url).pathname) });`,
  declared: `export default { async fetch(request: Request) { return new Response(new URL(request.url).pathname); } };`,
  app: `
    class App { prefix = ""; fetch = (request: Request) => new Response(this.prefix + new URL(request.url).pathname); }
    Deno.serve(new App().fetch);`,
  "std-serve": `
    import { serve } from "../_shared/std.js";
    serve((request: Request) => new Response(new URL(request.url).pathname), { port: 8000 });`,
  "std-awaited": `
    import { serve } from "../_shared/std.js";
    await serve((request: Request) => new Response(new URL(request.url).pathname));`,
  later: `setTimeout(() => Deno.serve((request) => new Response(new URL(request.url).pathname)), 50);`,
  node: `
    import { createServer } from "node:http";
    createServer((request, response) => response.end(request.url)).listen(8000);`,
};

Deno.test("Functions serve the handler of every form of Deno.serve, and never collide on a port", async (t) => {
  await using served = await serveProject({
    files: {
      "supabase/config.toml": openTo(...Object.keys(FORMS)),
      "supabase/functions/_shared/std.js": STD_SERVER,
      ...Object.fromEntries(
        Object.entries(FORMS).map(([name, text]) => [`supabase/functions/${name}/index.ts`, text]),
      ),
    },
  });
  assertEquals([...served.failures], []);
  for (const name of Object.keys(FORMS)) {
    await t.step(name, async () => {
      const responses = await Promise.all([1, 2, 3].map((n) => served.call(`${name}/${n}?a=1`)));
      assertEquals(
        await Promise.all(responses.map((response) => response.text())),
        [1, 2, 3].map((n) => name === "node" ? `/node/${n}?a=1` : `/${name}/${n}`),
      );
    });
  }
});

Deno.test("Deno.serve() of a function returns a server that can be shut down, with the address of the hosted runtime", async () => {
  await using served = await serveProject({
    files: {
      "supabase/config.toml": openTo("a"),
      "supabase/functions/a/index.ts": `
        let listening: unknown;
        const first = Deno.serve({ port: 1, onListen: (address) => listening = address }, () => new Response("first"));
        first.ref(); first.unref();
        const other = new AbortController();
        const second = Deno.serve({
          signal: other.signal,
          onError: (error) => new Response("handled " + (error as Error).message, { status: 418 }),
        }, async (request, info) => {
          switch (new URL(request.url).pathname) {
            case "/a/throw": throw new Error("oh");
            case "/a/close": other.abort(); await second.finished; return new Response("closed");
          }
          return Response.json({ address: first.addr, listening, remote: info.remoteAddr, url: request.url,
            headers: Object.fromEntries(request.headers) });
        });
        await first.shutdown();
        await first.finished;`,
    },
  });
  const response = await served.call("a/x?y=1", { headers: { "accept-encoding": "br" } });
  const { address, listening, remote, url, headers } = await response.json();
  assertEquals([address, listening, remote], Array(3).fill({ transport: "tcp", hostname: "0.0.0.0", port: 9999 }));
  assertEquals(url, `${served.url}/a/x?y=1`);
  assertEquals([headers.host, headers["accept-encoding"]], [`127.0.0.1:${served.port}`, "br"]);
  assertEquals(headers["x-forwarded-host"], `127.0.0.1:${served.port}`);
  const thrown = await served.call("a/throw");
  assertEquals([thrown.status, await thrown.text()], [418, "handled oh"]);
  assertEquals(await (await served.call("a/close")).text(), "closed");
  assertEquals((await served.call("a")).status, 500);
});

Deno.test("Functions see only the headers that the caller has sent and those of a proxy", async () => {
  await using served = await serveProject({
    files: {
      "supabase/config.toml": openTo("a"),
      "supabase/functions/a/index.ts": `Deno.serve((request) => Response.json([...request.headers.keys()]));`,
    },
  });
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: served.port });
  await connection.write(new TextEncoder().encode(
    `GET /functions/v1/a HTTP/1.1\r\nHost: localhost:${served.port}\r\nX-Stack-Token: x\r\nConnection: close\r\n\r\n`,
  ));
  const text = await new Response(connection.readable).text();
  assertEquals(JSON.parse(/\[.*\]/.exec(text)?.[0] ?? ""), [
    "host",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
  ]);
});

Deno.test("Functions have the globals of the hosted runtime, and say what is not local", async () => {
  await using served = await serveProject({
    files: {
      "supabase/config.toml": openTo("a") + `[functions.a.env]\nMINE = "yes"\n[edge_runtime.secrets]\nSHARED = "all"\n`,
      "supabase/functions/.env": "BASE=foo\nFULL=${BASE}/bar\n",
      "supabase/functions/a/index.ts": `
        // deno-lint-ignore no-explicit-any
        const { EdgeRuntime, Supabase } = globalThis as any;
        Deno.serve(() => {
          let ai = "";
          try { new Supabase.ai.Session("gte-small"); } catch (error) { ai = (error as Error).message; }
          const same = Promise.resolve(1);
          return Response.json({ keys: Object.keys(EdgeRuntime), waits: EdgeRuntime.waitUntil(same) === same, ai,
            none: EdgeRuntime.waitUntil(undefined) === undefined, env: Deno.env.toObject() });
        });`,
    },
  });
  const { keys, waits, ai, none, env } = await (await served.call("a")).json();
  assertEquals([keys, waits, none], [["waitUntil"], true, true]);
  assertStringIncludes(ai, "Supabase.ai is not part of the local stack");
  assertEquals([env.FULL, env.MINE, env.SHARED], ["foo/bar", "yes", "all"]);
  assertMatch(env.SB_EXECUTION_ID, /^[\da-f-]{36}$/);
  assert(env.DENO_DEPLOYMENT_ID.includes("_a_"));
});
