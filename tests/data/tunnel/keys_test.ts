import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  type TunnelConfig,
  TunnelHostKeyChangedError,
  TunnelHostUnknownError,
  TunnelKeyError,
  TunnelKnownHostsError,
} from "../../../shared/data/tunnel/mod.ts";
import { component } from "../../support/components.ts";
import { SecretWatch } from "../../support/secret_watch.ts";
import { EchoServer, rejection, roundTrip, withTunnel } from "./rig.ts";
import { Sshd } from "./sshd.ts";

const sshd = component("sshd");
const PASSPHRASE = "correct horse battery staple";
/** The hosted runtime's version decrypts no key in the format of OpenSSH: `Unknown cipher aes-256-ctr`. */
const decrypts = !Deno.version.deno.startsWith("2.1.");

/** Everything that an error shows. */
function shownBy(error: Error): string {
  return `${Deno.inspect(error, { depth: 8 })} ${JSON.stringify(error)} ${error.message}`;
}

Deno.test({
  name: `SSHTunnel and private keys${sshd.note}`,
  ignore: sshd.ignore,
  async fn(t) {
    await using server = await Sshd.start();
    await using echo = await EchoServer.start();
    const connects = (options: Partial<TunnelConfig>) =>
      withTunnel(server.config(echo.port, options), async (tunnel) => {
        await tunnel.connect();
        await roundTrip(await tunnel.open(), 1_000);
      });
    const refused = (options: Partial<TunnelConfig>) =>
      withTunnel(server.config(echo.port, options), (tunnel) => rejection(tunnel.connect(), TunnelKeyError));

    // Of half of all keys of a curve, the private key begins with a byte of zero.
    for (const type of ["ed25519", "rsa", "ecdsa", "ecdsa", "ecdsa", "ecdsa", "ecdsa -b 384", "ecdsa -b 521"]) {
      await t.step({
        name: `connect() logs in with a key of type ${type}`,
        // The runtime before 2.2 has no P-521.
        ignore: !decrypts && type.endsWith("521"),
        async fn() {
          const [name = "", , bits] = type.split(" ");
          const path = await server.addKey(crypto.randomUUID(), { type: name, ...(bits ? { bits } : {}) });
          await connects({ sshKeyPath: path });
        },
      });
    }

    for (const [type, format] of [["ed25519"], ["rsa"], ["ecdsa"], ["rsa", "PEM"], ["ecdsa", "PEM"]] as const) {
      await t.step({
        name: `connect() logs in with an encrypted key of type ${type}${format ? " in PEM" : ""}`,
        ignore: !decrypts,
        async fn() {
          const options = { type, passphrase: PASSPHRASE, ...(format ? { format } : {}) };
          const path = await server.addKey(crypto.randomUUID(), options);
          await connects({ sshKeyPath: path, sshKeyPassphrase: PASSPHRASE });
          const watch = new SecretWatch();
          watch.know("the passphrase", PASSPHRASE);
          watch.know("a wrong passphrase", "a wrong passphrase");
          watch.know("the key", (await Deno.readTextFile(path)).split("\n").slice(2, 3).join(""));
          for (const sshKeyPassphrase of [undefined, "a wrong passphrase"]) {
            const error = await refused({ sshKeyPath: path, sshKeyPassphrase });
            assertEquals(error.code, "TUNNEL_KEY_PASSPHRASE");
            assertStringIncludes(error.message, sshKeyPassphrase ? "is wrong" : "set sshKeyPassphrase");
            watch.inspect("the error", shownBy(error));
          }
        },
      });
    }

    await t.step("connect() rejects a key file that is missing, open to others, or not a private key", async () => {
      const folder = `${server.folder}/client`;
      const missing = await refused({ sshKeyPath: `${folder}/missing` });
      assertEquals(missing.code, "TUNNEL_KEY_UNREADABLE");
      assertStringIncludes(missing.message, "the file does not exist");
      for (const path of [folder, `${server.keyPath}/key`]) {
        await Deno.chmod(folder, 0o700);
        assertEquals((await refused({ sshKeyPath: path })).code, "TUNNEL_KEY_UNREADABLE");
      }
      const open = await server.addKey("open");
      for (const mode of [0o644, 0o640, 0o604]) {
        await Deno.chmod(open, mode);
        const error = await refused({ sshKeyPath: open });
        assertEquals(error.code, "TUNNEL_KEY_UNPROTECTED");
        assertStringIncludes(error.message, "chmod 600");
      }
      await Deno.chmod(open, 0o600);
      await connects({ sshKeyPath: open });
      const publicKey = `${folder}/open.pub`;
      await Deno.chmod(publicKey, 0o600);
      assertStringIncludes((await refused({ sshKeyPath: publicKey })).message, "it is a public key");
      const text = await Deno.readTextFile(open);
      for (const [name, content] of Object.entries({ empty: "", cut: text.slice(0, 120), other: "hello\n" })) {
        await Deno.writeTextFile(`${folder}/${name}`, content, { mode: 0o600 });
        assertEquals((await refused({ sshKeyPath: `${folder}/${name}` })).code, "TUNNEL_KEY_INVALID");
      }
    });

    await t.step("connect() uses a key file that was replaced", async () => {
      await withTunnel(server.config(echo.port), async (tunnel) => {
        await tunnel.connect();
        await tunnel.disconnect();
        const path = await server.addKey("replacement");
        await Deno.copyFile(path, server.keyPath);
        await tunnel.connect();
      });
    });

    await t.step("the options and events of a tunnel show no secret", async () => {
      await withTunnel(server.config(echo.port, { sshKeyPassphrase: PASSPHRASE }), async (tunnel) => {
        await tunnel.connect();
        const watch = new SecretWatch();
        watch.know("the passphrase", PASSPHRASE);
        watch.know("the key", (await Deno.readTextFile(server.keyPath)).split("\n").slice(2, 3).join(""));
        watch.inspect("the tunnel", Deno.inspect(tunnel, { depth: 12 }));
        watch.inspect("its options", JSON.stringify(tunnel.config));
        assertEquals("sshKeyPassphrase" in tunnel.config, false);
      });
    });
  },
});

Deno.test({
  name: `SSHTunnel and the keys of servers${sshd.note}`,
  ignore: sshd.ignore,
  async fn(t) {
    await using server = await Sshd.start({ hostKeys: ["ed25519", "rsa", "ecdsa"] });
    await using echo = await EchoServer.start();
    const keys = await server.hostKeys();
    const name = `[127.0.0.1]:${server.port}`;
    const folder = `${server.folder}/client`;
    const known = async (text: string) => {
      const path = `${folder}/${crypto.randomUUID()}`;
      await Deno.writeTextFile(path, text);
      return path;
    };
    const connects = (options: Partial<TunnelConfig>) =>
      withTunnel(server.config(echo.port, options), (tunnel) => tunnel.connect());
    const unknown = (options: Partial<TunnelConfig>) =>
      withTunnel(server.config(echo.port, options), (tunnel) => rejection(tunnel.connect(), TunnelHostUnknownError));
    const changed = (options: Partial<TunnelConfig>) =>
      withTunnel(server.config(echo.port, options), (tunnel) => rejection(tunnel.connect(), TunnelHostKeyChangedError));

    await t.step("connect() accepts each key of known_hosts, whatever the server prefers", async () => {
      await connects({});
      for (const key of keys) await connects({ sshKnownHostsPath: await known(`# a comment\n\n${name} ${key}\n`) });
    });

    await t.step("connect() reads patterns, lists of hosts, several files, and names that are hashed", async () => {
      const [key = ""] = keys;
      await connects({ sshKnownHostsPath: await known(`db.example,[127.*.?]:${server.port} ${key}`) });
      await connects({ sshKnownHostsPath: [await known(""), await known(`${name} ${key}`)] });
      const hashed = await known(`${name} ${key}\n`);
      await new Deno.Command("ssh-keygen", { args: ["-q", "-H", "-f", hashed], stdout: "null", stderr: "null" })
        .output();
      assertStringIncludes(await Deno.readTextFile(hashed), "|1|");
      await connects({ sshKnownHostsPath: hashed });
    });

    await t.step("connect() rejects with TUNNEL_HOST_UNKNOWN, and shows the fingerprint to set", async () => {
      const [key = ""] = keys;
      const texts = [
        "",
        `127.0.0.1 ${key}`,
        `[127.0.0.1]:1 ${key}`,
        `[127.0.0.*]:${server.port},!${name} ${key}`,
        `@cert-authority ${name} ${key}`,
        `|1|AAAA|BBBB ${key}`,
        "|1| x",
        `${name}`,
      ];
      for (const text of texts) {
        const error = await unknown({ sshKnownHostsPath: await known(text) });
        assertEquals(error.code, "TUNNEL_HOST_UNKNOWN");
        const [fingerprint = ""] = /SHA256:\S{43}/.exec(error.message) ?? [];
        await connects({ sshHostKey: fingerprint });
      }
    });

    await t.step("connect() rejects with TUNNEL_HOST_KEY_CHANGED for another key than the known one", async () => {
      const other = await Sshd.start();
      const [otherKey = ""] = await other.hostKeys();
      await other[Symbol.asyncDispose]();
      const path = await known(`\n${name} ${otherKey}\n`);
      const error = await changed({ sshKnownHostsPath: path });
      assertEquals([error.code, error.retry], ["TUNNEL_HOST_KEY_CHANGED", "permanent"]);
      assertStringIncludes(error.message, `${path}, line 2`);
      assertStringIncludes(error.message, "Verify the new fingerprint");
      const [key = ""] = keys;
      const revoked = await known(`${name} ${key}\n@revoked ${name} ${key}\n`);
      await changed({ sshKnownHostsPath: revoked });
      await changed({ sshHostKey: `SHA256:${"A".repeat(43)}` });
      await changed({ sshHostKey: otherKey });
      await connects({ sshHostKey: [otherKey, ...keys] });
      for (const each of keys) await connects({ sshHostKey: each });
      await connects({ sshKnownHostsPath: path, verifyHostKey: false });
    });

    await t.step("connect() rejects with TUNNEL_KNOWN_HOSTS when a file that is named cannot be read", async () => {
      await withTunnel(server.config(echo.port, { sshKnownHostsPath: `${folder}/missing` }), async (tunnel) => {
        const error = await rejection(tunnel.connect(), TunnelKnownHostsError);
        assertStringIncludes(error.message, "ENOENT");
      });
    });

    await t.step("a server whose key changes while the tunnel is in use gets no login", async () => {
      await withTunnel(server.config(echo.port, { retryDelay: 20 }), async (tunnel) => {
        await tunnel.connect();
        await server.kill();
        await server.replaceHostKeys();
        await server.restart();
        const from = server.log.length;
        const error = await rejection(tunnel.open().then(() => tunnel.open()), TunnelHostKeyChangedError);
        assertEquals(error.code, "TUNNEL_HOST_KEY_CHANGED");
        assert(server.log.slice(from).every((line) => !line.includes("Accepted")), server.log.slice(from).join("\n"));
      });
    });
  },
});
