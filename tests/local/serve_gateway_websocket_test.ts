/** Tests the WebSockets that the gateway passes on. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { openTo, raw, serveProject } from "./serve.ts";
import { eventually } from "./fixture.ts";

Deno.test("Gateway passes WebSockets to functions, with messages, protocol, codes and refusals", async (t) => {
  await using served = await serveProject({
    files: {
      "supabase/config.toml": openTo("a") + "[functions.closed]\n",
      "supabase/functions/closed/index.ts": "Deno.serve(() => new Response())",
      "supabase/functions/a/index.ts": `
        Deno.serve((request) => {
          const { pathname } = new URL(request.url);
          if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") return new Response("no upgrade", { status: 400 });
          if (pathname === "/a/refuse") return new Response("not you", { status: 403, headers: { "x-why": "test" } });
          const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "chat" });
          socket.onopen = () => socket.send("hello " + pathname);
          socket.onmessage = ({ data }) => {
            if (data === "close") socket.close(4001, "done");
            else socket.send(data);
          };
          return response;
        });`,
    },
  });
  const url = `ws://127.0.0.1:${served.port}/functions/v1/a`;
  await t.step("messages and close", async () => {
    const socket = new WebSocket(`${url}/room`, "chat");
    socket.binaryType = "arraybuffer";
    const received: unknown[] = [];
    socket.onmessage = ({ data }) => {
      received.push(typeof data === "string" ? data : [...new Uint8Array(data)]);
      if (received.length === 1) socket.send("echo");
      if (received.length === 2) socket.send(new Uint8Array([1, 2, 255]));
      if (received.length === 3) socket.send("close");
    };
    const { code, reason } = await new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
    assertEquals(received, ["hello /a/room", "echo", [1, 2, 255]]);
    assertEquals([socket.protocol, code, reason], ["chat", 4001, "done"]);
  });
  await t.step("refusals", async () => {
    const upgrade = (path: string) =>
      raw(
        served.port,
        `GET ${path} HTTP/1.1\r\nHost: localhost:${served.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
      );
    const refused = await upgrade("/functions/v1/a/refuse");
    assert(refused.startsWith("HTTP/1.1 403"), refused);
    assertStringIncludes(refused, "x-why: test");
    assert((await upgrade("/functions/v1/closed")).startsWith("HTTP/1.1 401"));
    assert((await upgrade("/realtime/v1/websocket")).startsWith("HTTP/1.1 501"));
  });
});

Deno.test("Gateway responds 400 to an invalid handshake of a WebSocket, and keeps no process busy", async () => {
  await using served = await serveProject({
    files: {
      "supabase/config.toml": openTo("ws"),
      "supabase/functions/ws/index.ts": `Deno.serve((request) => Deno.upgradeWebSocket(request).response);`,
    },
  });
  const handshake = (...headers: string[]) =>
    raw(
      served.port,
      [
        "GET /functions/v1/ws HTTP/1.1",
        `Host: 127.0.0.1:${served.port}`,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        ...headers,
        "",
        "",
      ].join("\r\n"),
    );
  const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
  const invalid = [
    await handshake(key, "Sec-WebSocket-Protocol: a, a"),
    await handshake(key, "Sec-WebSocket-Protocol: a b"),
    await handshake(),
  ];
  for (const response of invalid) assertStringIncludes(response, "HTTP/1.1 400 ");
  assertStringIncludes(await handshake(key), "HTTP/1.1 101 ");
  await eventually(() => served.functions.get("ws")?.idleSince !== undefined, "the end of every connection");
});

Deno.test("Gateway releases the function of a WebSocket whose client leaves, and gives failures the status of other requests", async () => {
  await using served = await serveProject({
    limits: { memoryMb: 1_000, cpuMs: 60_000, wallClockMs: 60_000, idleMs: 1_500 },
    files: {
      "supabase/config.toml": openTo("a"),
      "supabase/functions/a/index.ts": `
        Deno.serve(async (request) => {
          switch (new URL(request.url).pathname) {
            case "/a/hang":
              await new Promise(() => {});
              break;
            case "/a/late":
              await new Promise((resolve) => setTimeout(resolve, 200));
              break;
            case "/a/exit":
              Deno.exit(3);
          }
          return Deno.upgradeWebSocket(request).response;
        });`,
    },
  });
  const handshake = (path: string) =>
    `GET /functions/v1/a/${path} HTTP/1.1\r\nHost: 127.0.0.1:${served.port}\r\nUpgrade: websocket\r\n` +
    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
  const isIdle = () => served.functions.get("a")?.idleSince !== undefined;
  for (const path of ["hang", "late"]) {
    const client = await Deno.connect({ hostname: "127.0.0.1", port: served.port });
    await client.write(new TextEncoder().encode(handshake(path)));
    await eventually(() => !isIdle(), `${path} is in flight`);
    client.close();
    await eventually(isIdle, `${path} is released`);
  }
  assertMatch(await raw(served.port, handshake("hang")), /^HTTP\/1\.1 504 [^]*"IDLE_TIMEOUT"/);
  await eventually(isIdle, "nothing is in flight");
  assertMatch(await raw(served.port, handshake("exit")), /^HTTP\/1\.1 503 [^]*It called Deno\.exit\(3\)/);
});
