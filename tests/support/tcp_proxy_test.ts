import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import net from "node:net";
import { TcpProxy } from "./tcp_proxy.ts";

/** Starts a server that echoes each chunk, and a proxy in front of it. */
async function startEcho(): Promise<{ proxy: TcpProxy; ends: string[] } & AsyncDisposable> {
  const ends: string[] = [];
  const server = net.createServer((socket) => {
    socket.on("data", (bytes) => socket.write(bytes));
    socket.on("end", () => ends.push("end"));
    socket.on("error", (error: NodeJS.ErrnoException) => ends.push(error.code ?? "error"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert(typeof address === "object" && address);
  const proxy = await TcpProxy.start({ host: "127.0.0.1", port: address.port });
  return {
    proxy,
    ends,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A client that keeps what it receives. */
class Client {
  received = "";
  readonly closed: Promise<string>;
  readonly #socket: net.Socket;

  constructor(port: number) {
    this.#socket = net.connect({ port, host: "127.0.0.1" });
    this.#socket.on("data", (bytes: Buffer) => this.received += bytes.toString());
    this.closed = new Promise((resolve) => {
      let how = "end";
      this.#socket.on("error", (error: NodeJS.ErrnoException) => how = error.code ?? "error");
      this.#socket.on("close", () => resolve(how));
    });
  }

  send(text: string): void {
    this.#socket.write(text);
  }

  async until(text: string): Promise<void> {
    while (this.received !== text) await pause(1);
  }

  end(): Promise<string> {
    this.#socket.end();
    return this.closed;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

Deno.test("TcpProxy forwards all bytes and ends in order", async () => {
  await using echo = await startEcho();
  const client = new Client(echo.proxy.port);
  const text = "abcdefgh".repeat(40_000);
  client.send(text);
  await client.until(text);
  assertEquals(await client.end(), "end");
  while (echo.proxy.connections.length > 0) await pause(1);
  assertEquals([echo.ends, echo.proxy.accepted], [["end"], 1]);
});

Deno.test("TcpProxy.refuse() keeps open connections, and accept() listens on the same port", async () => {
  await using echo = await startEcho();
  const { proxy } = echo;
  const client = new Client(proxy.port);
  client.send("a");
  await client.until("a");
  await proxy.refuse();
  assertEquals(await new Client(proxy.port).closed, "ECONNREFUSED");
  client.send("b");
  await client.until("ab");
  await proxy.accept();
  const other = new Client(proxy.port);
  other.send("c");
  await other.until("c");
  assertEquals([await client.end(), await other.end()], ["end", "end"]);
});

Deno.test("ProxiedConnection.reset() resets both sides", async () => {
  await using echo = await startEcho();
  const client = new Client(echo.proxy.port);
  client.send("a");
  await client.until("a");
  echo.proxy.reset();
  assertEquals(await client.closed, "ECONNRESET");
  while (echo.ends.length === 0) await pause(1);
  assertEquals(echo.ends, ["ECONNRESET"]);
});

Deno.test("ProxiedConnection.stall() stops both directions until resume()", async () => {
  await using echo = await startEcho();
  const client = new Client(echo.proxy.port);
  client.send("a");
  await client.until("a");
  echo.proxy.stall();
  client.send("b");
  const later = new Client(echo.proxy.port);
  later.send("c");
  const ended = later.end();
  await pause(30);
  assertEquals([client.received, later.received, echo.ends], ["a", "", []]);
  echo.proxy.resume();
  await client.until("ab");
  assertEquals(await ended, "end");
  assertEquals([later.received, await client.end()], ["c", "end"]);
});

Deno.test("TcpProxy.latencyMs delays both directions and keeps the order", async () => {
  await using echo = await startEcho();
  echo.proxy.latencyMs = 20;
  const client = new Client(echo.proxy.port);
  const start = performance.now();
  for (const letter of "abc") client.send(letter);
  await client.until("abc");
  assert(performance.now() - start >= 39, "there and back");
  await client.end();
});

Deno.test("ProxiedConnection.cutAfter() resets after exactly that many bytes of the server", async () => {
  await using echo = await startEcho();
  const client = new Client(echo.proxy.port);
  client.send("ab");
  await client.until("ab");
  const [connection] = echo.proxy.connections;
  connection?.cutAfter(3);
  client.send("cdefg");
  assertEquals([await client.closed, client.received], ["ECONNRESET", "abcde"]);
});
