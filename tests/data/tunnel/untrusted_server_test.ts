import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import net from "node:net";
import { HostKeyVerifier } from "../../../shared/data/tunnel/host_key.ts";
import { LocalServer } from "../../../shared/data/tunnel/local_server.ts";
import { shownWords } from "../../../shared/data/tunnel/server_words.ts";
import { parseTunnelConfig } from "../../../shared/data/tunnel/config.ts";
import { SSHTunnel, TunnelChannelRefusedError, TunnelConnectError } from "../../../shared/data/tunnel/mod.ts";
import { generateKeyFile, publicKeyOf } from "./script_server.ts";
import { rejection } from "./rig.ts";

const HOSTILE = `\x1b[2J\r\n{"level":"error"}\u202e\u0085\u2028${"x".repeat(10_000)}`;

// deno-lint-ignore no-control-regex -- control characters are what must not be there
const NOT_PRINTABLE = /[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e]/;

/** A packet before any encryption (RFC 4253, section 6): SSH_MSG_DISCONNECT with a description. */
function disconnectPacket(description: string): Uint8Array {
  const words = Buffer.from(description);
  const payload = Buffer.concat([Buffer.from([1, 0, 0, 0, 2]), length(words), words, length(Buffer.alloc(0))]);
  const padding = 8 - (payload.length + 5) % 8 + 8;
  return Buffer.concat([
    length({ length: payload.length + padding + 1 }),
    Buffer.from([padding]),
    payload,
    Buffer.alloc(padding),
  ]);
}

function length(of: { readonly length: number }): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(of.length);
  return bytes;
}

Deno.test("shownWords() shows words on one line, shortened, without characters that are not printable", () => {
  assertEquals(shownWords("Connection refused"), "Connection refused");
  assertEquals(shownWords("a\x1b[0m\r\nb\u202e\u009b"), "a\\u{1b}[0m\\u{d}\\u{a}b\\u{202e}\\u{9b}");
  assert(!NOT_PRINTABLE.test(shownWords(HOSTILE)));
  assertEquals(shownWords("x".repeat(300)), `${"x".repeat(200)}...`);
  assert(shownWords(`${"x".repeat(199)}\u{1f600}`).isWellFormed());
});

Deno.test("SSHTunnel.connect() shows words of a server that is not verified escaped and shortened", async () => {
  await using key = await generateKeyFile();
  const server = net.createServer((socket) => {
    socket.on("error", () => {}).resume();
    socket.write("SSH-2.0-OpenSSH_9.2\r\n");
    socket.end(disconnectPacket(HOSTILE));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const address = server.address();
    const sshPort = typeof address === "object" ? address?.port : undefined;
    const tunnel = SSHTunnel.initializeInstance({
      ...{ sshHost: "127.0.0.1", sshPort, sshUsername: "x", sshKeyPath: key.path },
      ...{ maxRetries: 0, verifyHostKey: false, healthCheckInterval: 0 },
    });
    const error = await rejection(tunnel.connect(), TunnelConnectError);
    assertEquals(error.code, "TUNNEL_HANDSHAKE_FAILED");
    assert(!NOT_PRINTABLE.test(error.message), JSON.stringify(error.message.slice(0, 300)));
    assert(error.message.length < 700, String(error.message.length));
    assertStringIncludes(error.message, "\\u{1b}[2J");
  } finally {
    SSHTunnel.resetInstance();
    server.close();
  }
});

Deno.test("HostKeyVerifier shows the type of an unknown key escaped and shortened", async () => {
  const file = await Deno.makeTempFile();
  try {
    const config = { sshHost: "h", sshUsername: "u", sshKeyPath: "k", sshKnownHostsPath: file };
    const verifier = await HostKeyVerifier.create(parseTunnelConfig(config));
    assertEquals(verifier.verify(publicKeyOf(HOSTILE)), false);
    const message = verifier.rejection?.message ?? "";
    assertStringIncludes(message, "SHA256:");
    assert(!NOT_PRINTABLE.test(message) && message.length < 700);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("TunnelChannelRefusedError shows the words of the server once", () => {
  assertStringIncludes(
    new TunnelChannelRefusedError("db:5432", 2, "Connection refused").message,
    '("Connection refused")',
  );
  assert(!new TunnelChannelRefusedError("db:5432", 9, "").message.includes('("'));
});

Deno.test("LocalServer reports errors of a server that listens, and connections whose channel was not opened", async () => {
  const { createServer } = net;
  let inner: net.Server | undefined;
  net.createServer =
    ((...args: Parameters<typeof createServer>) => inner = createServer(...args)) as typeof createServer;
  const failures: unknown[] = [];
  const refused = new Error("no channel");
  const local = new LocalServer(() => Promise.reject(refused), (error) => failures.push(error));
  net.createServer = createServer;
  assertEquals(local.port, undefined);
  await local.listen(0);
  const broken = new Error("EMFILE");
  inner?.emit("error", broken);
  inner?.emit("error", broken);
  assertEquals(failures, [broken, broken]);
  const socket = net.connect(local.port ?? 0, "127.0.0.1");
  const stream = new Promise((resolve) => socket.on("close", resolve));
  socket.on("error", () => {});
  await stream;
  assertEquals(failures.at(-1), refused);
  await local.close();
});
