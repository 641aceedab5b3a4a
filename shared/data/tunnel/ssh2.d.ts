/**
 * The part of `ssh2` that is used here, typed. `@types/ssh2` would bring `@types/node`, whose globals stand against Deno's.
 */
import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

declare namespace ssh2 {
  /** A key that was parsed. */
  interface ParsedKey {
    readonly type: string;
    readonly comment: string;
    isPrivateKey(): boolean;
    getPrivatePEM(): string;
    getPublicSSH(): Buffer;
    sign(data: Uint8Array, algorithm?: string): Buffer | Error;
  }

  /** A failure of a {@linkcode Client}. */
  interface ClientError extends Error {
    readonly level?: string | undefined;
    readonly code?: string | number | undefined;
  }

  /** A failure to open a channel. */
  interface ChannelOpenError extends Error {
    readonly reason?: number | string | undefined;
  }

  /** A channel of a connection. Its `destroy` closes it and leaves `destroyed` false. */
  interface Channel extends Duplex {
    close(): void;
  }

  /** Options of {@linkcode Client.connect}. */
  interface ConnectConfig {
    readonly sock: Socket;
    readonly username: string;
    readonly readyTimeout: number;
    readonly authHandler: readonly {
      readonly type: "publickey";
      readonly username: string;
      readonly key: ParsedKey;
    }[];
    readonly hostVerifier: (key: Buffer) => boolean;
    readonly algorithms: { readonly serverHostKey: readonly string[] };
  }

  /** One connection to an SSH server. */
  class Client {
    connect(config: ConnectConfig): this;
    forwardOut(
      sourceHost: string,
      sourcePort: number,
      host: string,
      port: number,
      done: (error: ChannelOpenError | undefined, channel: Channel) => void,
    ): this;
    unforwardIn(host: string, port: number, done: (error: Error | undefined) => void): this;
    end(): this;
    on(event: "ready" | "end" | "close", listener: () => void): this;
    on(event: "error", listener: (error: ClientError) => void): this;
  }

  const utils: {
    parseKey(text: string, passphrase?: string): ParsedKey | ParsedKey[] | Error;
  };
}

export default ssh2;
