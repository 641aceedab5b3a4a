/**
 * An SSH server whose responses a test decides, on loopback: what no real server does on demand.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { generateKeyPairSync } from "node:crypto";
import type { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import type { TunnelConfig } from "../../../shared/data/tunnel/mod.ts";
// @ts-types="../../../shared/data/tunnel/ssh2.d.ts"
import ssh2 from "ssh2";

/** A connection of a client, as the server sees it. */
export interface ScriptConnection extends EventEmitter {
  /** Ends it. */
  end(): void;
  /** The protocol of `ssh2`. */
  readonly _protocol: {
    disconnect(reason: number): void;
    channelOpenFail(channel: number, reason: number, words: string): void;
  };
  /** The socket of `ssh2`. */
  readonly _sock: Duplex;
}

interface Server extends EventEmitter {
  listen(port: number, host: string, done: () => void): void;
  address(): { readonly port: number };
  close(): void;
}

const { Server: SshServer } = ssh2 as unknown as {
  Server: new (
    options: { readonly hostKeys: readonly string[] },
    onConnection: (connection: ScriptConnection) => void,
  ) => Server;
};

/** A request to open a channel. */
export interface ChannelRequest {
  accept(): Duplex;
  reject(): void;
}

function privateKey(): string {
  return generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs1", format: "pem" })
    .toString();
}

/** A file with a private key. */
export interface KeyFile extends AsyncDisposable {
  readonly path: string;
}

/** Creates a file with a private key. */
export async function generateKeyFile(): Promise<KeyFile> {
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, privateKey(), { mode: 0o600 });
  await Deno.chmod(path, 0o600);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path) };
}

/** A server that accepts every login, and calls a function for each channel. */
export class ScriptServer implements AsyncDisposable {
  /** The connections so far. */
  readonly connections: ScriptConnection[] = [];
  /** Called for each channel that a client opens. Default: accepts it, and sends back what it gets. */
  onChannel: (request: ChannelRequest) => void = ({ accept }) => {
    const channel = accept();
    channel.pipe(channel);
  };
  /** Called for each request that concerns the whole connection. Default: it is rejected, as by every server. */
  onRequest: (reject: () => void) => void = (reject) => reject();

  readonly #server: Server;
  readonly #key: KeyFile;

  private constructor(key: KeyFile) {
    this.#key = key;
    this.#server = new SshServer({ hostKeys: [privateKey()] }, (connection) => {
      this.connections.push(connection);
      connection.on("error", () => {});
      connection.on("authentication", (context: { accept(): void }) => context.accept());
      connection.on(
        "tcpip",
        (accept: () => Duplex, reject: ChannelRequest["reject"]) => this.onChannel({ accept, reject }),
      );
      connection.on("request", (_accept: unknown, reject: (() => void) | undefined) => {
        if (reject) this.onRequest(reject);
      });
    });
  }

  /** Starts a server on a free port of loopback. */
  static async start(): Promise<ScriptServer> {
    const server = new ScriptServer(await generateKeyFile());
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  /** Returns the options of a tunnel through it. */
  config(options: Partial<TunnelConfig> = {}): TunnelConfig {
    return {
      ...{
        sshHost: "127.0.0.1",
        sshPort: this.#server.address().port,
        sshUsername: "tunnel",
        sshKeyPath: this.#key.path,
      },
      ...{ verifyHostKey: false, maxRetries: 0, healthCheckInterval: 0, ...options },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.connections) connection.end();
    this.#server.close();
    await this.#key[Symbol.asyncDispose]();
  }
}

/** Returns a packet of a public key of a type, for what only reads its beginning. */
export function publicKeyOf(type: string): Buffer {
  const bytes = Buffer.from(type);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
