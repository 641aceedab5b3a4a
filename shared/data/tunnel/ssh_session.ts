/**
 * One connection to an SSH server.
 *
 * @module
 */
import net from "node:net";
import type { Duplex } from "node:stream";
import { type Clock, codeOf, messageOf } from "../../resilience/mod.ts";
import { ChannelStream } from "./channel_stream.ts";
import type { ResolvedTunnelConfig } from "./config.ts";
import {
  TunnelAuthError,
  TunnelChannelRefusedError,
  TunnelClosedError,
  TunnelConnectError,
  TunnelLostError,
} from "./errors.ts";
import { HostKeyVerifier } from "./host_key.ts";
import { fingerprintOf, type PrivateKeyFile } from "./private_key.ts";
import { shownWords } from "./server_words.ts";
// @ts-types="./ssh2.d.ts"
import type ssh2 from "ssh2";

/** The time that a server has to respond when it is asked for a sign of life, in ms. */
const PING_TIMEOUT_MS = 2_000;

/** The time after which a channel that does not open is a reason to ask for a sign of life, in ms. */
const SLOW_CHANNEL_MS = 1_000;

/** The time that a server has to end the connection after it was asked to, in ms. */
const END_TIMEOUT_MS = 1_000;

/** A channel that opens. */
export interface OpeningChannel {
  /**
   * Resolves when the channel is open. Rejects with a {@linkcode TunnelChannelRefusedError} when the server opens none, a
   * {@linkcode TunnelLostError} when the session ends, and the reason of a signal that aborts.
   */
  readonly stream: Promise<Duplex>;
  /** Resolves when the server has closed the channel or opened none, or the session has ended. */
  readonly closed: Promise<void>;
}

/** Options of an {@linkcode SshSession}. */
export interface SessionOptions {
  readonly config: ResolvedTunnelConfig;
  readonly key: PrivateKeyFile;
  readonly clock: Clock;
  /** Ends an attempt to connect. */
  readonly signal: AbortSignal;
  /** Called once, when a session that was established has ended: with the reason, unless `end` was called. */
  readonly onEnd: (reason: TunnelLostError | undefined) => void;
}

/** Returns the error of a failed handshake, in words of this library. */
function connectError(error: ssh2.ClientError, config: ResolvedTunnelConfig, key: string): Error {
  const address = `${config.sshHost}:${config.sshPort}`;
  switch (error.level) {
    case "client-authentication":
      return new TunnelAuthError(address, config.sshUsername, key);
    case "client-timeout":
      return new TunnelConnectError(
        "ETIMEDOUT",
        `SSH connection timed out: the server at ${address} did not complete the login within ${config.connectTimeout} ms ` +
          "(connectTimeout)",
      );
    case "client-socket": {
      const code = codeOf(error) ?? TunnelConnectError.code;
      return new TunnelConnectError(code, `Cannot reach the SSH server at ${address}: ${messageOf(error) || code}`);
    }
    default:
      return new TunnelConnectError(
        "TUNNEL_HANDSHAKE_FAILED",
        `The program at ${address} did not complete the SSH handshake (${
          shownWords(messageOf(error))
        }): check that it is an SSH ` +
          "server and accepts further connections",
      );
  }
}

/** An established connection: channels, a sign of life, and its end. */
export class SshSession {
  readonly #options: SessionOptions;
  readonly #socket: net.Socket;
  readonly #client: ssh2.Client;
  readonly #streams = new Set<Duplex>();
  /** Called when the session ends. No promise: it would keep what waits for it as long as the session lasts. */
  readonly #onEnd = new Set<() => void>();
  #reason: TunnelLostError | TunnelClosedError | undefined = undefined;
  /** The time at which the server last sent something, in ms of the clock. */
  #receivedAt = 0;
  #ping: Promise<void> | undefined = undefined;

  private constructor(options: SessionOptions, socket: net.Socket, client: ssh2.Client) {
    this.#options = options;
    this.#socket = socket;
    this.#client = client;
  }

  /**
   * Connects and logs in.
   *
   * @throws {TunnelConnectError} when the server is not reached, or is not an SSH server.
   * @throws {TunnelKeyError} when the private key cannot be used.
   * @throws {TunnelAuthError} when the server refuses the user or the key.
   * @throws {TunnelHostUnknownError} when the server is not known.
   * @throws {TunnelHostKeyChangedError} when the server has another key than the known one.
   * @throws {TunnelKnownHostsError} when a known_hosts file that the options name cannot be read.
   */
  static async connect(options: SessionOptions): Promise<SshSession> {
    const { config, signal } = options;
    // Loaded here: a program that opens no tunnel does not load it.
    // @ts-types="./ssh2.d.ts"
    const { default: library } = await import("ssh2");
    const [key, verifier] = await Promise.all([options.key.read(library), HostKeyVerifier.create(config)]);
    signal.throwIfAborted();
    const socket = net.connect({ host: config.sshHost, port: config.sshPort, noDelay: true, keepAlive: true });
    const client = new library.Client();
    const session = new SshSession(options, socket, client);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    let failure: ssh2.ClientError | undefined;
    promise.catch(() => {});
    client.on("ready", resolve);
    // The first failure is the cause of those that follow.
    client.on("error", (error) => reject(failure ??= error));
    client.on("close", () => reject(failure ?? new Error("it closed the connection")));
    try {
      client.connect({
        sock: socket,
        username: config.sshUsername,
        readyTimeout: config.connectTimeout,
        authHandler: [{ type: "publickey", username: config.sshUsername, key }],
        hostVerifier: (hostKey) => verifier.verify(hostKey),
        algorithms: { serverHostKey: verifier.algorithms },
      });
      await promise;
    } catch (error) {
      socket.destroy();
      if (signal.aborted) throw signal.reason;
      const shown = `${key.type} ${fingerprintOf(key.getPublicSSH())}`;
      throw verifier.rejection ?? connectError(error as ssh2.ClientError, config, shown);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
    session.#established();
    return session;
  }

  /** Opens a channel to the database; see {@linkcode OpeningChannel}. */
  open(signal: AbortSignal | undefined): OpeningChannel {
    const { config: { remoteHost, remotePort }, clock } = this.#options;
    const stream = Promise.withResolvers<Duplex>();
    const closed = Promise.withResolvers<void>();
    // A server that does not respond to this may be away: then the session ends, and this is rejected.
    const slow = clock.setTimer(() => void this.ping().catch(() => {}), SLOW_CHANNEL_MS);
    const onAbort = () => stream.reject(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    const end = () => {
      stream.reject(this.#reason);
      closed.resolve();
    };
    this.#onEnd.add(end);
    void closed.promise.then(() => this.#onEnd.delete(end));
    if (this.#reason) end();
    stream.promise.catch(() => {}).finally(() => {
      slow.cancel();
      signal?.removeEventListener("abort", onAbort);
    });
    const done = (error: ssh2.ChannelOpenError | undefined, channel: ssh2.Channel) => {
      if (error) {
        closed.resolve();
        const reason = typeof error.reason === "number" ? error.reason : 0;
        const words = shownWords(messageOf(error).replace(/^\(SSH\) Channel open failure: /, ""));
        stream.reject(this.#reason ?? new TunnelChannelRefusedError(`${remoteHost}:${remotePort}`, reason, words));
        return;
      }
      this.#noteSign();
      channel.on("close", () => closed.resolve());
      const opened = this.#track(channel);
      // The server opened it too late.
      if (signal?.aborted) opened.destroy();
      else stream.resolve(opened);
    };
    try {
      this.#client.forwardOut("127.0.0.1", 0, remoteHost, remotePort, done);
    } catch {
      // The socket has ended, and the session ends in a moment.
      if (!this.#reason) this.#lost("closed the connection");
    }
    return { stream: stream.promise, closed: closed.promise };
  }

  /**
   * Asks the server for a sign of life; the session ends when there is none.
   *
   * @throws {TunnelLostError} when the session has ended.
   */
  ping(): Promise<void> {
    return this.#ping ??= this.#askForSign().finally(() => this.#ping = undefined);
  }

  /** Ends the session: channels first, and at once what does not end in time. */
  async end(): Promise<void> {
    if (!this.#reason) {
      this.#finish(new TunnelClosedError());
      this.#client.end();
    }
    if (this.#socket.closed || this.#socket.destroyed) return;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = this.#options.clock.setTimer(resolve, END_TIMEOUT_MS, { keepAlive: true });
    const closed = new Promise<void>((done) => this.#socket.once("close", () => done()));
    await Promise.race([closed, late]);
    timer.cancel();
    this.#socket.destroy();
  }

  #established(): void {
    this.#noteSign();
    this.#client.on("error", (error) => {
      // What the server says when it ends the session is of use.
      this.#lost(
        error.level === "client-socket"
          ? `(${codeOf(error) ?? messageOf(error)})`
          : `said ${shownWords(messageOf(error))}`,
      );
      this.#socket.destroy();
    });
    this.#client.on("end", () => this.#lost("ended the connection"));
    this.#client.on("close", () => this.#lost("closed the connection"));
  }

  #lost(words: string): void {
    const { sshHost, sshPort } = this.#options.config;
    this.#finish(new TunnelLostError("ECONNRESET", `SSH connection reset by peer: ${sshHost}:${sshPort} ${words}`));
  }

  #noteSign(): void {
    this.#receivedAt = this.#options.clock.now();
  }

  #track(channel: ssh2.Channel): Duplex {
    const stream = new ChannelStream(channel, () => this.#noteSign());
    this.#streams.add(stream);
    stream.on("close", () => this.#streams.delete(stream));
    return stream;
  }

  async #askForSign(): Promise<void> {
    if (this.#reason) throw this.#reason;
    const { clock, config: { sshHost, sshPort } } = this.#options;
    const askedAt = clock.now();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    // A server that sends much responds late: what it sends is a sign of life, too.
    const timer = clock.setTimer(() => resolve(this.#receivedAt > askedAt), PING_TIMEOUT_MS);
    const end = () => resolve(true);
    this.#onEnd.add(end);
    try {
      // Every server responds to a request that it does not support (RFC 4254, section 4).
      this.#client.unforwardIn("127.0.0.1", 0, () => resolve(true));
    } catch {
      this.#lost("closed the connection");
    }
    const isAlive = await promise;
    this.#onEnd.delete(end);
    timer.cancel();
    if (!isAlive) {
      const words = `${sshHost}:${sshPort} gave no sign of life within ${PING_TIMEOUT_MS} ms`;
      this.#finish(new TunnelLostError("ETIMEDOUT", `SSH connection timed out: ${words}`));
      this.#socket.destroy();
    }
    if (this.#reason) throw this.#reason;
    this.#noteSign();
  }

  /** Ends what uses the session, for the first reason that there is. */
  #finish(reason: TunnelLostError | TunnelClosedError): void {
    if (this.#reason) return;
    this.#reason = reason;
    for (const stream of [...this.#streams]) stream.destroy(reason instanceof TunnelLostError ? reason : undefined);
    for (const end of [...this.#onEnd]) end();
    this.#onEnd.clear();
    this.#options.onEnd(reason instanceof TunnelLostError ? reason : undefined);
  }
}
