/**
 * Parts of the tests of the tunnel.
 *
 * @module
 */
import { assertInstanceOf } from "@std/assert";
import net from "node:net";
import type { Duplex } from "node:stream";
import { SSHTunnel, type TunnelConfig } from "../../../shared/data/tunnel/mod.ts";

/** Runs work with the tunnel of this isolate, and ends it. */
export async function withTunnel<T>(config: TunnelConfig, work: (tunnel: SSHTunnel) => Promise<T>): Promise<T> {
  const tunnel = SSHTunnel.initializeInstance(config);
  try {
    return await work(tunnel);
  } finally {
    await tunnel.disconnect();
    SSHTunnel.resetInstance();
  }
}

/** A server that sends back what it gets. */
export class EchoServer implements AsyncDisposable {
  readonly sockets = new Set<net.Socket>();
  readonly #server: net.Server;

  private constructor() {
    this.#server = net.createServer((socket) => {
      this.sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.sockets.delete(socket));
      socket.pipe(socket);
    });
  }

  /** Starts a server on a free port of loopback. */
  static async start(): Promise<EchoServer> {
    const echo = new EchoServer();
    await new Promise<void>((resolve) => echo.#server.listen(0, "127.0.0.1", resolve));
    return echo;
  }

  /** The port that it listens on. */
  get port(): number {
    const address = this.#server.address();
    if (typeof address !== "object" || !address) throw new Error("it does not listen");
    return address.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The callback of close() itself is not called by Deno 2.1 once a peer has ended a connection.
    const closed = [...this.sockets].map((socket) => new Promise<void>((done) => socket.once("close", () => done())));
    this.#server.close();
    for (const socket of this.sockets) socket.destroy();
    await Promise.all(closed);
  }
}

/** Sends bytes, and waits for as many. */
export async function roundTrip(stream: Duplex, bytes: number): Promise<void> {
  let received = 0;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onData = (chunk: Uint8Array) => {
    received += chunk.length;
    if (received >= bytes) resolve();
  };
  stream.on("data", onData);
  stream.on("error", reject);
  stream.on("close", () => reject(new Error(`the stream closed after ${received} bytes`)));
  stream.write(new Uint8Array(bytes));
  await promise;
  stream.off("data", onData);
}

/** Returns the error that a promise rejects with, which must be of class `kind`. */
export async function rejection<E extends Error>(
  promise: Promise<unknown>,
  // deno-lint-ignore no-explicit-any -- any constructor will do
  kind: abstract new (...args: any[]) => E,
): Promise<E> {
  const outcome = await promise.then(() => undefined, (error) => ({ error }));
  if (!outcome) throw new Error(`it did not reject with a ${kind.name}`);
  assertInstanceOf(outcome.error, kind);
  return outcome.error;
}
