import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import net from "node:net";
import {
  SSHTunnel,
  TunnelAuthError,
  TunnelChannelLimitError,
  TunnelChannelRefusedError,
  TunnelClosedError,
  TunnelConnectError,
  TunnelLocalPortError,
  TunnelLostError,
} from "../../../shared/data/tunnel/mod.ts";
import { freePort } from "../../../local/ports.ts";
import { component } from "../../support/components.ts";
import { watchTimers } from "../../support/timers.ts";
import { until } from "../../support/until.ts";
import { EchoServer, rejection, roundTrip, withTunnel } from "./rig.ts";
import { generateKey, Sshd } from "./sshd.ts";

const sshd = component("sshd");

Deno.test({
  name: `SSHTunnel through a real sshd${sshd.note}`,
  ignore: sshd.ignore,
  async fn(t) {
    await using server = await Sshd.start({ lines: ["RekeyLimit 1M", "MaxSessions 1"] });
    await using echo = await EchoServer.start();

    await t.step(
      "connect(), open() and disconnect() carry bytes, across new session keys, and leave nothing",
      async () => {
        using timers = watchTimers();
        await withTunnel(server.config(echo.port, { healthCheckInterval: 60_000 }), async (tunnel) => {
          assertEquals(tunnel.isConnectedToTunnel(), false);
          assertEquals(SSHTunnel.getInstance(), tunnel);
          await Promise.all([tunnel.connect(), tunnel.connect()]);
          await tunnel.connect();
          assertEquals(tunnel.isConnectedToTunnel(), true);
          const stream = await tunnel.open();
          await roundTrip(stream, 5_000_000);
          stream.destroy();
          await until("the channel is closed", () => tunnel.getStats().channels === 0);
          assertEquals(tunnel.getStats(), { connected: true, channels: 0, waiting: 0, connects: 1, losses: 0 });
          const [open] = await Promise.all([tunnel.open(), tunnel.open()]);
          await tunnel.disconnect();
          await tunnel.disconnect();
          assertEquals([open.destroyed, tunnel.isConnectedToTunnel()], [true, false]);
        });
        assertEquals(timers.live, 0);
        await until("the server has no session", async () => (await server.sessions()).length === 0);
        await until("the database has no connection", () => echo.sockets.size === 0);
      },
    );

    await t.step(
      "open() needs no connect(), is rejected after disconnect(), and works again after connect()",
      async () => {
        await withTunnel(server.config(echo.port), async (tunnel) => {
          await roundTrip(await tunnel.open(), 10);
          const disconnecting = tunnel.disconnect();
          await rejection(tunnel.open(), TunnelClosedError);
          const connecting = tunnel.connect();
          await disconnecting;
          await connecting;
          await roundTrip(await tunnel.open(), 10);
          const reconnecting = tunnel.disconnect().then(() => tunnel.connect());
          await reconnecting;
          void tunnel.connect().catch(() => {});
          await tunnel.disconnect();
          assertEquals(tunnel.isConnectedToTunnel(), false);
        });
      },
    );

    await t.step("open() rejects with TUNNEL_CHANNEL_LIMIT at maxPoolSize, or waits in order", async () => {
      await withTunnel(server.config(echo.port, { maxPoolSize: 3 }), async (tunnel) => {
        // MaxSessions of the server counts shells, and not channels.
        const streams = await Promise.all([tunnel.open(), tunnel.open(), tunnel.open()]);
        const error = await rejection(tunnel.open(), TunnelChannelLimitError);
        assertEquals([error.code, error.retry], ["TUNNEL_CHANNEL_LIMIT", "transient"]);
        await rejection(tunnel.open({ waitMs: 20 }), TunnelChannelLimitError);
        await assertRejects(() => tunnel.open({ waitMs: 60_000, signal: AbortSignal.timeout(20) }), DOMException);
        const order: number[] = [];
        const waiting = [1, 2].map((n) => tunnel.open({ waitMs: 60_000 }).then((stream) => (order.push(n), stream)));
        assertEquals(tunnel.getStats().waiting, 2);
        streams[0]?.destroy();
        streams[1]?.end();
        const admitted = await Promise.all(waiting);
        assertEquals(order, [1, 2]);
        for (const stream of admitted) await roundTrip(stream, 100);
        const left = tunnel.open({ waitMs: 60_000 });
        const rejected = rejection(left, TunnelClosedError);
        await tunnel.disconnect();
        await rejected;
        assertEquals(tunnel.getStats().channels, 0);
      });
    });

    await t.step("localPort leads to the database on 127.0.0.1, and to nothing after disconnect()", async () => {
      await withTunnel(server.config(echo.port, { localPort: 0 }), async (tunnel) => {
        assertEquals(tunnel.localPort, undefined);
        await tunnel.connect();
        const port = tunnel.localPort ?? 0;
        const socket = net.connect(port, "127.0.0.1");
        await roundTrip(socket, 1_000_000);
        const listeners = await Deno.readTextFile("/proc/net/tcp");
        assertStringIncludes(
          listeners,
          ` 0100007F:${port.toString(16).toUpperCase().padStart(4, "0")} 00000000:0000 0A`,
        );
        const closed = new Promise((resolve) => socket.once("close", resolve));
        await tunnel.disconnect();
        await closed;
        assertEquals(tunnel.localPort, undefined);
        const refused = new Promise((_, reject) => net.connect(port, "127.0.0.1").once("error", reject));
        await assertRejects(() => refused, Error, "ECONNREFUSED");
      });
      await withTunnel(server.config(echo.port, { localPort: echo.port }), async (tunnel) => {
        assertStringIncludes((await rejection(tunnel.connect(), TunnelLocalPortError)).message, "EADDRINUSE");
      });
    });

    await t.step("connect() rejects with TUNNEL_AUTH_FAILED for a key or a user that the server refuses", async () => {
      const other = `${server.folder}/client/other`;
      await generateKey(other);
      for (const config of [{ sshKeyPath: other }, { sshUsername: "missing-user" }]) {
        await withTunnel(server.config(echo.port, config), async (tunnel) => {
          const started = performance.now();
          const error = await rejection(tunnel.connect(), TunnelAuthError);
          assert(performance.now() - started < 900, "a refusal is not retried");
          assertStringIncludes(error.message, "authorized_keys");
          // A connection that needs the tunnel gets the reason at once: servers ban who tries again and again.
          assertEquals(await rejection(tunnel.open(), TunnelAuthError), error);
        });
      }
    });

    await t.step("connect() rejects with ECONNREFUSED after its retries, and disconnect() ends them", async () => {
      const config = server.config(echo.port, { sshPort: freePort(), maxRetries: 2, retryDelay: 20 });
      await withTunnel(config, async (tunnel) => {
        const started = performance.now();
        const error = await rejection(tunnel.connect(), TunnelConnectError);
        assert(performance.now() - started >= 60, "it waits 20 ms, then 40 ms");
        assertEquals([error.code, error.retry], ["ECONNREFUSED", "transient"]);
      });
      await withTunnel({ ...config, retryDelay: 60_000 }, async (tunnel) => {
        const rejected = rejection(tunnel.connect(), TunnelClosedError);
        await until("the first attempt has failed", () => rejection(tunnel.open(), Error).then(() => true));
        await tunnel.disconnect();
        await rejected;
      });
    });

    await t.step(
      "connect() rejects with a reason when the program is not an SSH server, or does not respond",
      async () => {
        const notSsh = net.createServer((socket) => {
          socket.on("error", () => {});
          socket.on("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
        });
        const silent = net.createServer((socket) => void socket.on("error", () => {}));
        for (const each of [notSsh, silent]) {
          await new Promise<void>((resolve) => each.listen(0, "127.0.0.1", resolve));
          const { port } = each.address() as net.AddressInfo;
          const config = server.config(echo.port, { sshPort: port, maxRetries: 0, connectTimeout: 200 });
          await withTunnel(config, async (tunnel) => {
            const error = await rejection(tunnel.connect(), TunnelConnectError);
            assertEquals(error.code, each === silent ? "ETIMEDOUT" : "TUNNEL_HANDSHAKE_FAILED");
          });
          each.close();
        }
      },
    );

    await t.step("open() rejects with TUNNEL_CHANNEL_REFUSED when the server reaches no database", async () => {
      await withTunnel(server.config(freePort()), async (tunnel) => {
        const error = await rejection(tunnel.open(), TunnelChannelRefusedError);
        assertEquals(error.retry, "transient");
        assertStringIncludes(error.message, "Connection refused");
        assertEquals(tunnel.getStats().channels, 0);
      });
      await using strict = await Sshd.start({ lines: ["PermitOpen 127.0.0.1:1"] });
      await withTunnel(strict.config(echo.port), async (tunnel) => {
        const error = await rejection(tunnel.open(), TunnelChannelRefusedError);
        assertEquals(error.retry, "permanent");
        assertStringIncludes(error.message, "PermitOpen");
      });
    });
  },
});

Deno.test({
  name: `SSHTunnel and an sshd that fails${sshd.note}`,
  ignore: sshd.ignore,
  async fn(t) {
    await using server = await Sshd.start();
    await using echo = await EchoServer.start();
    const config = server.config(echo.port, { retryDelay: 20 });

    await t.step("emits error with ECONNRESET when the session is aborted, and opens again", async () => {
      await withTunnel(config, async (tunnel) => {
        const errors: Error[] = [];
        tunnel.on("error", (error) => void errors.push(error));
        const stream = await tunnel.open();
        const broken = new Promise<Error>((resolve) => stream.once("error", resolve));
        await server.signalSessions("SIGKILL");
        const error = await broken;
        assert(error instanceof TunnelLostError);
        assertEquals([error.code, errors, tunnel.isConnectedToTunnel()], ["ECONNRESET", [error], false]);
        assertStringIncludes(error.message, "SSH connection reset by peer");
        await roundTrip(await tunnel.open(), 1_000);
        assertEquals(tunnel.getStats().losses, 1);
      });
    });

    await t.step("a listener may reconnect, and what it throws becomes a tunnelError", async () => {
      await withTunnel({ ...config, maxRetries: 8 }, async (tunnel) => {
        const tunnelErrors: Error[] = [];
        tunnel.on("error", async (error) => {
          if (error.code === "ECONNRESET") await tunnel.connect();
        });
        tunnel.on("error", () => Promise.reject(new Error("a listener failed")));
        tunnel.on("tunnelError", (error) => void tunnelErrors.push(error));
        tunnel.on("tunnelError", () => {
          throw new Error("ignored");
        });
        await tunnel.connect();
        await server.kill();
        await until("it is lost", () => tunnel.getStats().losses === 1);
        await server.restart();
        await until("it is connected", () => tunnel.isConnectedToTunnel());
        assertEquals(tunnelErrors.map(({ message }) => message), ["a listener failed"]);
      });
    });

    await t.step("without listeners, nothing is thrown when the server ends", async () => {
      await withTunnel(config, async (tunnel) => {
        const stream = await tunnel.open();
        stream.on("error", () => {});
        await server.kill();
        await until("it is lost", () => tunnel.getStats().losses === 1);
        assertEquals((await rejection(tunnel.open(), TunnelConnectError)).code, "ECONNREFUSED");
        await server.restart();
        await until("it opens again", () => tunnel.open().then(() => true, () => false));
      });
    });

    await t.step("open() rejects with ETIMEDOUT while the server is silent, and works once it continues", async () => {
      await withTunnel(config, async (tunnel) => {
        const stream = await tunnel.open();
        const broken = new Promise<Error>((resolve) => stream.once("error", resolve));
        await server.stop();
        const started = performance.now();
        const error = await rejection(tunnel.open(), TunnelLostError);
        assertEquals([error.code, await broken], ["ETIMEDOUT", error]);
        assert(performance.now() - started < 6_000);
        await server.continue();
        await until("it opens again", () => tunnel.open().then(() => true, () => false));
      });
    });

    await t.step(
      "healthCheckInterval finds a silent server, connects again, and emits tunnelError until then",
      async () => {
        await withTunnel({ ...config, healthCheckInterval: 50, connectTimeout: 500 }, async (tunnel) => {
          const [errors, tunnelErrors]: [Error[], Error[]] = [[], []];
          tunnel.on("error", (error) => void errors.push(error));
          tunnel.on("tunnelError", (error) => void tunnelErrors.push(error));
          await tunnel.connect();
          await server.stop();
          await until("it is lost", () => tunnelErrors.length > 0);
          await server.continue();
          await until("it is connected", () => tunnel.isConnectedToTunnel());
          assertEquals(errors.map((error) => (error as TunnelLostError).code), ["ETIMEDOUT"]);
          assert(
            tunnelErrors.every((error) => (error as TunnelConnectError).code === "ETIMEDOUT"),
            String(tunnelErrors),
          );
        });
      },
    );

    await t.step("disconnect() ends a silent server's session in time", async () => {
      await withTunnel(config, async (tunnel) => {
        await tunnel.open();
        await server.stop();
        const started = performance.now();
        await tunnel.disconnect();
        assert(performance.now() - started < 2_500);
        await server.continue();
      });
    });
  },
});
