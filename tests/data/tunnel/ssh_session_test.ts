import { assert, assertEquals, assertRejects, assertStrictEquals, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import net from "node:net";
import type { Duplex } from "node:stream";
import {
  SSHTunnel,
  TunnelChannelRefusedError,
  TunnelClosedError,
  TunnelConnectError,
  TunnelKeyError,
  TunnelLostError,
} from "../../../shared/data/tunnel/mod.ts";
import { ChannelStream } from "../../../shared/data/tunnel/channel_stream.ts";
import { expandHome } from "../../../shared/data/tunnel/files.ts";
import { HostKeyVerifier, matchesHosts } from "../../../shared/data/tunnel/host_key.ts";
import { parseTunnelConfig } from "../../../shared/data/tunnel/config.ts";
import { parsePrivateKey } from "../../../shared/data/tunnel/private_key.ts";
import { garbageCollector } from "../../support/collect_garbage.ts";
import { until } from "../../support/until.ts";
import { rejection, roundTrip, withTunnel } from "./rig.ts";
import { publicKeyOf, ScriptServer } from "./script_server.ts";
// @ts-types="../../../shared/data/tunnel/ssh2.d.ts"
import type ssh2 from "ssh2";

Deno.test("SSHTunnel through a scripted server", async (t) => {
  await using server = await ScriptServer.start();

  await t.step("once(), off() and await using work as on, and disconnect", async () => {
    const tunnel = SSHTunnel.initializeInstance(server.config());
    const seen: string[] = [];
    const never = () => seen.push("never");
    tunnel.once("error", ({ message }) => seen.push(message));
    tunnel.on("error", never);
    tunnel.off("error", never);
    await roundTrip(await tunnel.open(), 10);
    server.connections.at(-1)?._sock.destroy();
    await until("the loss is noted", () => tunnel.getStats().losses === 1);
    await roundTrip(await tunnel.open(), 10);
    server.connections.at(-1)?._sock.destroy();
    await until("the second loss is noted", () => tunnel.getStats().losses === 2);
    assertEquals(seen.length, 1);
    await tunnel[Symbol.asyncDispose]();
    await rejection(tunnel.open(), TunnelClosedError);
    SSHTunnel.resetInstance();
  });

  await t.step("open() shows the words of a server that refuses a channel, escaped", async () => {
    await withTunnel(server.config(), async (tunnel) => {
      server.onChannel = ({ reject }) => reject();
      await tunnel.connect();
      const protocol = server.connections.at(-1)?._protocol;
      assert(protocol);
      // `ssh2` itself sends no words.
      const { channelOpenFail } = protocol;
      protocol.channelOpenFail = (channel) => channelOpenFail.call(protocol, channel, 2, "no\r\nway\x1b[2J");
      const error = await rejection(tunnel.open(), TunnelChannelRefusedError);
      assertStringIncludes(error.message, '("no\\u{d}\\u{a}way\\u{1b}[2J")');
    });
  });

  await t.step("open() closes a channel that the server opens after its signal has aborted", async () => {
    await withTunnel(server.config(), async (tunnel) => {
      const asked = Promise.withResolvers<() => void>();
      let isClosed = false;
      server.onChannel = ({ accept }) => asked.resolve(() => accept().on("close", () => isClosed = true).resume());
      const controller = new AbortController();
      const opening = tunnel.open({ signal: controller.signal });
      const accept = await asked.promise;
      const reason = new Error("left");
      controller.abort(reason);
      assertStrictEquals(await opening.catch((error) => error), reason);
      accept();
      await until("the channel is closed", () => isClosed && tunnel.getStats().channels === 0);
    });
  });

  await t.step("what the server says when it ends the session is shown, and open channels are destroyed", async () => {
    await withTunnel(server.config(), async (tunnel) => {
      server.onChannel = ({ accept }) => accept().on("error", () => {});
      const stream = await tunnel.open();
      const lost = Promise.withResolvers<Error>();
      tunnel.on("error", lost.resolve);
      stream.on("error", () => {});
      server.connections.at(-1)?._protocol.disconnect(2);
      const error = await lost.promise;
      assert(error instanceof TunnelLostError);
      assertEquals(error.code, "ECONNRESET");
      await until("the channel is destroyed", () => stream.destroyed);
    });
  });

  await t.step("a health check that is asked for while the connection ends is rejected with the reason", async () => {
    await withTunnel(server.config({ healthCheckInterval: 20 }), async (tunnel) => {
      let asked = 0;
      server.onRequest = () => {
        asked++;
        server.connections.at(-1)?._sock.destroy();
      };
      const problems: Error[] = [];
      tunnel.on("tunnelError", (error) => problems.push(error));
      await tunnel.connect();
      await until("the connection is lost", () => tunnel.getStats().losses > 0);
      assert(asked > 0);
      server.onRequest = (reject) => reject();
      await until("it is connected again", () => tunnel.isConnectedToTunnel());
    });
  });

  await t.step("disconnect() ends an attempt to log in, and one to listen, with TUNNEL_CLOSED", async () => {
    await withTunnel(server.config({ localPort: 0 }), async (tunnel) => {
      for (const delayMs of [0, 1, 5, 20, 60]) {
        const connecting = tunnel.connect();
        const outcome = connecting.then(() => undefined, (error) => error);
        await new Promise((resolve) => setTimeout(resolve, delayMs));
        await tunnel.disconnect();
        const error = await outcome;
        assert(error === undefined || error instanceof TunnelClosedError, String(error));
        assertEquals(tunnel.isConnectedToTunnel(), false);
      }
      const { listen } = net.Server.prototype;
      const listening = Promise.withResolvers<void>();
      net.Server.prototype.listen = function (this: net.Server, ...args: unknown[]) {
        queueMicrotask(listening.resolve);
        setTimeout(() => Reflect.apply(listen, this, args), 30);
        return this;
      } as typeof listen;
      try {
        const connecting = rejection(tunnel.connect(), TunnelClosedError);
        await listening.promise;
        await tunnel.disconnect();
        await connecting;
      } finally {
        net.Server.prototype.listen = listen;
      }
    });
  });
});

Deno.test("SSHTunnel.disconnect() ends a login that the server does not answer", async () => {
  const sockets: net.Socket[] = [];
  const silent = net.createServer((socket) => sockets.push(socket.on("error", () => {})));
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  await using server = await ScriptServer.start();
  const address = silent.address();
  const sshPort = typeof address === "object" ? address?.port : undefined;
  await withTunnel(server.config({ sshPort }), async (tunnel) => {
    const outcome = rejection(tunnel.connect(), TunnelClosedError);
    await until("the server is reached", () => sockets.length > 0);
    await tunnel.disconnect();
    await outcome;
  });
  await withTunnel(server.config({ sshPort, connectTimeout: 50 }), async (tunnel) => {
    assertEquals((await rejection(tunnel.connect(), TunnelConnectError)).code, "ETIMEDOUT");
  });
  for (const socket of sockets) socket.destroy();
  silent.close();
});

Deno.test("SSHTunnel.disconnect() leaves nothing of a connection that began while another call was disconnecting", async () => {
  await using server = await ScriptServer.start();
  await withTunnel(server.config(), async (tunnel) => {
    await tunnel.connect();
    // It does not notice that the client ends the session.
    server.connections.at(-1)?._sock.pause();
    const first = tunnel.disconnect();
    const connecting = rejection(tunnel.connect(), TunnelClosedError);
    await tunnel.open();
    assertEquals(tunnel.getStats().connects, 2);
    await tunnel.disconnect();
    await Promise.all([first, connecting]);
    assertEquals([tunnel.isConnectedToTunnel(), tunnel.getStats().channels], [false, 0]);
  });
});

Deno.test("SSHTunnel keeps nothing of a channel that has closed, for as long as it is connected", async () => {
  await using server = await ScriptServer.start();
  await withTunnel(server.config(), async (tunnel) => {
    const streams: WeakRef<Duplex>[] = [];
    const use = async () => {
      const stream = await tunnel.open();
      streams.push(new WeakRef(stream));
      await roundTrip(stream, 10);
      stream.destroy();
    };
    for (let n = 0; n < 20; n++) await use();
    await until("the channels are closed", () => tunnel.getStats().channels === 0);
    const collect = garbageCollector();
    await until("they are collected", () => {
      collect();
      return streams.filter((stream) => stream.deref() !== undefined).length <= 1;
    });
    assertEquals([tunnel.isConnectedToTunnel(), tunnel.getStats().connects], [true, 1]);
  });
});

Deno.test("ChannelStream pauses its channel while it is not read, and loses nothing", async () => {
  let paused = 0;
  const channel = Object.assign(new EventEmitter(), {
    pause: () => paused++,
    resume: () => {},
    destroy: () => {},
    end: () => {},
    write: () => true,
  });
  const stream = new ChannelStream(channel as unknown as ssh2.Channel, () => {});
  const chunk = new Uint8Array(40_000);
  for (let n = 0; n < 4; n++) channel.emit("data", chunk);
  assert(paused > 0);
  let received = 0;
  stream.on("data", (bytes: Uint8Array) => received += bytes.length);
  await until("all bytes are read", () => received === 160_000);
  stream.destroy();
});

Deno.test("expandHome() replaces a leading ~ alone", () => {
  const home = Deno.env.get("HOME") ?? Deno.env.get("USERPROFILE") ?? "~";
  const paths = ["~", "~/.ssh/id", "~other/id", "/a/~/b"];
  assertEquals(paths.map(expandHome), [home, `${home}/.ssh/id`, "~other/id", "/a/~/b"]);
});

Deno.test("matchesHosts() matches patterns that end in stars, and negated ones", () => {
  assertEquals(
    ["db.*", "db.example**", "d?.example", "db", "*,!db.example"].map((each) => matchesHosts(each, ["db.example"])),
    [
      true,
      true,
      true,
      false,
      false,
    ],
  );
});

Deno.test("HostKeyVerifier knows no server where neither default known_hosts file exists", async () => {
  const home = Deno.env.get("HOME");
  Deno.env.set("HOME", "/nonexistent");
  try {
    const config = parseTunnelConfig({ sshHost: "no.such.host.invalid", sshUsername: "u", sshKeyPath: "k" });
    const verifier = await HostKeyVerifier.create(config);
    assertEquals([verifier.verify(publicKeyOf("ssh-ed25519")), verifier.rejection?.code], [
      false,
      "TUNNEL_HOST_UNKNOWN",
    ]);
  } finally {
    if (home !== undefined) Deno.env.set("HOME", home);
  }
});

Deno.test("parsePrivateKey() names the reason of a key that cannot be used, and shows nothing of it", async (t) => {
  const SECRET = "SECRET-WORDS";
  const library = (found: unknown) => ({ utils: { parseKey: () => found } }) as unknown as typeof ssh2;
  const key = (type: string, pem = `-----BEGIN X-----\n${SECRET}\n-----END X-----`) => ({
    type,
    isPrivateKey: () => true,
    getPrivatePEM: () => pem,
  });
  const cases: [name: string, found: unknown, passphrase: string | undefined, words: string][] = [
    ["a key of DSA", key("ssh-dss"), undefined, "DSA"],
    ["a key that the runtime cannot use", key("ssh-rsa"), undefined, "this runtime cannot use it (ssh-rsa)"],
    ["a key that is no PEM", key("ssh-rsa", SECRET), undefined, "this runtime cannot use it"],
    ["a key decrypted to nonsense", key("ssh-rsa"), "wrong", "passphrase is wrong"],
    ["an unknown cipher", new Error("Unknown cipher: aes256-ctr"), "right", "this runtime cannot decrypt it"],
    ["no key", [], undefined, "is not a private key"],
  ];
  for (const [name, found, passphrase, words] of cases) {
    await t.step(name, async () => {
      const error = await assertRejects(
        // deno-lint-ignore require-await -- what is thrown rejects
        async () => parsePrivateKey(library(found), SECRET, "id_test", passphrase),
        TunnelKeyError,
      );
      assertStringIncludes(error.message, words);
      assert(!Deno.inspect(error).includes(SECRET));
    });
  }

  await t.step("a key that cannot sign returns the error, as ssh2 expects", async () => {
    const { generateKeyPairSync } = await import("node:crypto");
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const pem = privateKey.export({ type: "pkcs1", format: "pem" }).toString();
    const parsed = parsePrivateKey(library(key("ssh-rsa", pem)), pem, "id_test", undefined);
    assert(parsed.sign(Buffer.from("data"), "no-such-hash") instanceof Error);
    assert(parsed.sign(Buffer.from("data"), "sha512") instanceof Uint8Array);
  });
});
