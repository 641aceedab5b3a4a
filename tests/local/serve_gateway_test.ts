/** Tests the requests and bodies that the gateway passes on. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { openTo, raw, serveProject } from "./serve.ts";
import { eventually } from "./fixture.ts";

const gzip = async (text: string, format: CompressionFormat = "gzip") =>
  new Uint8Array(
    await new Response(new Blob([text]).stream().pipeThrough(new CompressionStream(format))).arrayBuffer(),
  );

Deno.test("Gateway passes bodies byte for byte, whatever their encoding, and events at once", async () => {
  await using served = await serveProject({
    files: {
      "supabase/config.toml": openTo("a"),
      "supabase/functions/a/index.ts": `
        const next = Promise.withResolvers();
        Deno.serve(async (request) => {
          const { searchParams } = new URL(request.url);
          const encoding = searchParams.get("encoding");
          if (searchParams.has("next")) next.resolve();
          if (searchParams.has("events")) {
            let n = 0;
            return new Response(new ReadableStream({
              async pull(controller) {
                controller.enqueue(new TextEncoder().encode("data: " + n + "\\n\\n"));
                if (++n === 3) return controller.close();
                await Promise.race([next.promise, new Promise((resolve) => setTimeout(resolve, 10_000))]);
              },
            }, { highWaterMark: 0 }), { headers: { "content-type": "text/event-stream" } });
          }
          const body = await request.bytes();
          return new Response(body, { headers: {
            "x-length": String(body.length),
            "x-encoding": request.headers.get("content-encoding") ?? "none",
            "content-type": "text/plain",
            ...(encoding ? { "content-encoding": encoding } : {}),
          } });
        });`,
    },
  });
  const text = "a text that compresses well. ".repeat(200);
  for (const format of ["gzip", "deflate"] as const) {
    const packed = await gzip(text, format);
    // The client decodes what the function has encoded.
    const response = await served.call(`a?encoding=${format}`, { method: "POST", body: packed });
    assertEquals(response.headers.get("content-encoding"), format);
    // The fetch of Deno decodes gzip only.
    if (format === "gzip") assertEquals(await response.text(), text);
    else assertEquals(new Uint8Array(await response.arrayBuffer()), packed);
    const upload = await served.call("a", { method: "POST", body: packed, headers: { "content-encoding": format } });
    assertEquals(upload.headers.get("x-encoding"), format);
    assertEquals(new Uint8Array(await upload.arrayBuffer()), packed);
  }
  // Encodings that nothing here knows stay as they are, too.
  const head = `GET /functions/v1/a?encoding=x HTTP/1.1\r\nHost: localhost:${served.port}\r\nConnection: close\r\n\r\n`;
  assertStringIncludes((await raw(served.port, head)).toLowerCase(), "content-encoding: x\r\n");
  const plain = await served.call("a", { method: "POST", body: text, headers: { "accept-encoding": "gzip" } });
  assertEquals([plain.headers.get("content-encoding"), await plain.text()], [null, text]);

  const startedAt = performance.now();
  const { body } = await served.call("a?events", { headers: { "accept-encoding": "gzip, br" } });
  assert(body);
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  assertEquals((await reader.read()).value, "data: 0\n\n");
  assert(performance.now() - startedAt < 9_000, "the first event came with the others");
  await (await served.call("a?next")).body?.cancel();
  let rest = "";
  for (let read = await reader.read(); !read.done; read = await reader.read()) rest += read.value;
  assertEquals(rest, "data: 1\n\ndata: 2\n\n");
});

Deno.test("Gateway gives each malformed or misdirected request its status", async () => {
  await using served = await serveProject({
    allowedHosts: ["10.0.2.2", "host.docker.internal"],
    files: {
      "supabase/config.toml": openTo("a"),
      "supabase/functions/a/index.ts": `Deno.serve(async (request) => {
        const body = await request.text();
        console.log("path " + decodeURIComponent(new URL(request.url).pathname));
        return new Response(String(body.length));
      });`,
    },
  });
  const { port } = served;
  const path = "/functions/v1/a";
  const own = `Host: localhost:${port}\r\n`;
  const post = (rest: string) => `POST ${path} HTTP/1.1\r\n${own}Connection: close\r\n${rest}`;
  const cases: [request: string, status: number][] = [
    [`GET ${path} HTTP/1.1\r\n${own}\r\n`, 200],
    [`TRACE ${path} HTTP/1.1\r\n${own}\r\n`, 405],
    [`TRACK ${path} HTTP/1.1\r\n${own}\r\n`, 405],
    [`CONNECT localhost:${port} HTTP/1.1\r\n${own}\r\n`, 405],
    [`GET ${path} HTTP/1.1\r\nHost: localhost:${port},evil\r\n\r\n`, 421],
    [`GET ${path} HTTP/1.1\r\nHost: localhost:1,evil\r\n\r\n`, 421],
    [`GET ${path} HTTP/1.1\r\nHost: evil.com:${port}\r\n\r\n`, 421],
    [`GET ${path} HTTP/1.1\r\nHost: user@localhost:${port}\r\n\r\n`, 421],
    [`GET ${path} HTTP/1.1\r\nHost: localhost:${port}/x\r\n\r\n`, 421],
    [`GET http://evil.com${path} HTTP/1.1\r\n${own}\r\n`, 421],
    [`GET ${path} HTTP/1.1\r\nHost: 10.0.2.2:${port}\r\n\r\n`, 200],
    [`GET ${path} HTTP/1.1\r\nHost: HOST.docker.internal\r\n\r\n`, 200],
    [`GET ${path} HTTP/1.1\r\nHost: 10.0.2.2.evil.com:${port}\r\n\r\n`, 421],
    [post("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), 200],
    [post(`Transfer-Encoding: chunked\r\n\r\n3;${"x".repeat(20_000)}\r\nabc\r\n0\r\n\r\n`), 400],
    [post("Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"), 400],
    [post("Content-Length: x\r\n\r\nabc"), 400],
    [`GET ${path} HTTP/9.9\r\n${own}\r\n`, 400],
    [`G@T ${path} HTTP/1.1\r\n${own}\r\n`, 400],
    [`GET ${path} HTTP/1.1\r\n${own}A B: c\r\n\r\n`, 400],
    [`GET ${path}?${"x".repeat(70_000)} HTTP/1.1\r\n${own}\r\n`, 400],
  ];
  for (const [request, status] of cases) {
    const response = await raw(port, request);
    assertEquals(response.slice(9, 12), String(status), `${request.slice(0, 120)}\n${response.slice(0, 300)}`);
  }
  // The server of Deno closes the connection.
  assertEquals(await raw(port, post("Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n")), "");
  const odd = await served.call("a/%1b%5b2J%00%0d");
  assertEquals(odd.status, 200);
  await odd.body?.cancel();
  await eventually(() => served.lines.some((line) => line.includes("path /a/")), "the line");
});

Deno.test("Gateway sends text/html to GET as text/plain, as hosted projects do, and says so once", async () => {
  await using served = await serveProject({
    files: {
      "supabase/config.toml": openTo("page"),
      "supabase/functions/page/index.ts":
        `Deno.serve((request) => new Response("<p>hi", { headers: { "content-type": new URL(request.url).searchParams.get("type")! } }));`,
    },
  });
  const typeOf = async (type: string, method = "GET") => {
    const response = await served.call(`page?type=${encodeURIComponent(type)}`, { method });
    await response.body?.cancel();
    return response.headers.get("content-type");
  };
  assertEquals(await typeOf("text/html"), "text/plain");
  assertEquals(await typeOf("Text/HTML; charset=utf-8"), "text/plain; charset=utf-8");
  assertEquals(await typeOf("text/html", "HEAD"), "text/plain");
  assertEquals(await typeOf("text/html", "POST"), "text/html");
  assertEquals(await typeOf("text/htmlx"), "text/htmlx");
  assertEquals(await typeOf("application/xhtml+xml"), "application/xhtml+xml");
  assertEquals(served.lines.filter((line) => line.includes("sent as text/plain")).length, 1);
});

Deno.test("Gateway responds 414 to a URL that hosted projects do not accept", async () => {
  await using served = await serveProject({
    files: {
      "supabase/config.toml": openTo("open"),
      "supabase/functions/open/index.ts": `Deno.serve(() => new Response("ok"));`,
    },
  });
  const status = async (length: number) => {
    const path = "open?q=";
    const response = await served.call(
      path + "x".repeat(length - `${served.url}/functions/v1/${path}`.length),
    );
    await response.body?.cancel();
    return response.status;
  };
  assertEquals([await status(32_768), await status(32_769), await status(60_000)], [200, 414, 414]);
});

/** Returns the number of files and sockets that this process has open. */
async function openFiles(): Promise<number> {
  return (await Array.fromAsync(Deno.readDir("/proc/self/fd"))).length;
}

Deno.test({
  name: "Gateway closes the connection of a client that disconnects within its body, also after the response began",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using served = await serveProject({
      files: {
        "supabase/config.toml": openTo("a"),
        "supabase/functions/a/index.ts": `Deno.serve((request) => new Response(request.body));`,
      },
    });
    const head = `POST /functions/v1/a HTTP/1.1\r\nhost: 127.0.0.1:${served.port}\r\ncontent-length: 50\r\n\r\n`;
    const send = async () => {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: served.port });
      await connection.write(new TextEncoder().encode(`${head}hello`));
      const buffer = new Uint8Array(4_000);
      // The response has begun: it repeats the body.
      for (let text = ""; !text.includes("hello");) {
        text += new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
      }
      return connection;
    };
    (await send()).close();
    const before = await openFiles();
    for (let n = 0; n < 20; n++) (await send()).close();
    await eventually(async () => await openFiles() <= before + 5, "the connections are closed");

    // A client that still reads gets the end of the response.
    using half = await send();
    await half.closeWrite();
    const buffer = new Uint8Array(4_000);
    while (await half.read(buffer) !== null);
    await eventually(() => served.functions.get("a")?.idleSince !== undefined, "no request is in flight");
  },
});

Deno.test("Gateway names the limit of a response with too many headers, and the reason of a closed connection", async () => {
  await using served = await serveProject({
    files: {
      "supabase/config.toml": openTo("a"),
      "supabase/functions/a/index.ts": `
        Deno.serve((request) => {
          const count = Number(new URL(request.url).searchParams.get("count"));
          return new Response("", { headers: Array.from({ length: count }, (_, n) => ["x-" + n, "v"]) });
        });`,
    },
  });
  assertEquals((await served.call("a?count=90")).status, 200);
  const response = await served.call("a?count=200");
  const { code, detail } = await response.json();
  assertEquals([response.status, code], [502, "RESPONSE_HEADERS_TOO_LARGE"]);
  assertStringIncludes(detail, "send fewer, or put the values in the body");
});
