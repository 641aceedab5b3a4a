/**
 * A proxy between a client and a server, on loopback, that simulates network
 * faults: refusal, reset, silence, latency, and a break in the middle of data.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import net from "node:net";
import { until } from "./until.ts";

/** The sender of bytes. */
export type Side = "client" | "server";

/** A function that is called with bytes as they arrive, before any fault applies. */
export type Tap = (from: Side, bytes: Uint8Array, connection: ProxiedConnection) => void;

const LOOPBACK = "127.0.0.1";

/** The bytes in transit from one side to the other, in order. */
class Direction {
  readonly #from: net.Socket;
  readonly #to: net.Socket;
  readonly #connection: ProxiedConnection;
  readonly #queue: { readonly bytes: Buffer; readonly dueMs: number }[] = [];
  #ended = false;
  #pumping = false;

  constructor(from: net.Socket, to: net.Socket, side: Side, connection: ProxiedConnection, proxy: TcpProxy) {
    this.#from = from;
    this.#to = to;
    this.#connection = connection;
    from.on("data", (bytes: Buffer) => {
      proxy.tap?.(side, bytes, connection);
      this.#queue.push({ bytes, dueMs: performance.now() + proxy.latencyMs });
      void this.#pump(side);
    });
    from.on("end", () => {
      this.#ended = true;
      void this.#pump(side);
    });
  }

  async #pump(side: Side): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    for (let next = this.#queue[0]; next; next = this.#queue[0]) {
      const leftMs = next.dueMs - performance.now();
      if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs));
      await this.#connection.flowing;
      this.#queue.shift();
      const passed = side === "server" ? this.#connection.allow(next.bytes) : next.bytes;
      if (passed.length > 0 && !this.#to.destroyed && !this.#to.write(passed)) await this.#drained();
      if (passed.length < next.bytes.length) this.#connection.reset();
    }
    if (this.#ended) {
      await this.#connection.flowing;
      this.#to.end();
    }
    this.#pumping = false;
  }

  /** Pauses the sender until the receiver has drained. */
  async #drained(): Promise<void> {
    this.#from.pause();
    await new Promise<void>((resolve) => {
      this.#to.once("drain", resolve);
      this.#to.once("close", resolve);
    });
    this.#from.resume();
  }
}

/** A connection through a proxy. */
export class ProxiedConnection {
  /** Resolves when bytes may pass. */
  flowing: Promise<void> = Promise.resolve();

  readonly #client: net.Socket;
  readonly #server: net.Socket;
  #resume: (() => void) | undefined = undefined;
  #left = Infinity;

  /** Creates a connection, for {@linkcode TcpProxy}. */
  constructor(client: net.Socket, server: net.Socket) {
    this.#client = client;
    this.#server = server;
  }

  /** Resets it in both directions with RST: bytes in transit are lost. */
  reset(): void {
    for (const socket of [this.#client, this.#server]) {
      // A socket that is connecting cannot be reset, nor can any on Deno 2.1.
      if (socket.connecting || !("resetAndDestroy" in socket)) socket.destroy();
      else socket.resetAndDestroy();
    }
    this.resume();
  }

  /** Stalls it: no bytes and no ends pass, and neither side is notified. */
  stall(): void {
    if (this.#resume) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.flowing = promise;
    this.#resume = resolve;
  }

  /** Resumes after a stall. */
  resume(): void {
    this.#resume?.();
    this.#resume = undefined;
    this.flowing = Promise.resolve();
  }

  /** Resets the connection after that many more bytes of the server. */
  cutAfter(bytes: number): void {
    this.#left = bytes;
  }

  /** Returns the part of `bytes` of the server that may pass, for {@linkcode TcpProxy}. */
  allow(bytes: Buffer): Buffer {
    const passed = bytes.length <= this.#left ? bytes : bytes.subarray(0, this.#left);
    this.#left -= passed.length;
    return passed;
  }
}

/** A proxy to one server. */
export class TcpProxy implements AsyncDisposable {
  /** The latency in each direction, in ms. Default: 0. */
  latencyMs = 0;
  /** Called with all bytes. Default: none. */
  tap: Tap | undefined = undefined;
  /** The number of accepted connections. */
  accepted = 0;

  readonly #target: { readonly host: string; readonly port: number };
  readonly #connections = new Set<ProxiedConnection>();
  #server: net.Server;
  #port = 0;
  #stalled = false;

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target;
    this.#server = this.#create();
  }

  /** Starts a proxy on a free port. */
  static async start(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await proxy.#listen();
    return proxy;
  }

  /** The port that it listens on. */
  get port(): number {
    return this.#port;
  }

  /** The open connections, oldest first. */
  get connections(): readonly ProxiedConnection[] {
    return [...this.#connections];
  }

  /** Refuses new connections, as a port without a listener does. Open connections are kept. */
  async refuse(): Promise<void> {
    const server = this.#server;
    if (!server.listening) return;
    // Its callback runs after the last connection has closed; it stops listening at once.
    server.close();
    await until("the port is closed", () => !server.listening);
  }

  /** Accepts connections again, on the same port. */
  async accept(): Promise<void> {
    if (this.#server.listening) return;
    await until("the port is free: another process may have taken it for a while", async () => {
      this.#server = this.#create();
      return await this.#listen().then(() => true, (error) => {
        if (error.code === "EADDRINUSE") return false;
        throw error;
      });
    });
  }

  /** Resets every connection. */
  reset(): void {
    for (const connection of this.#connections) connection.reset();
  }

  /** Stalls all connections, including new ones. */
  stall(): void {
    this.#stalled = true;
    for (const connection of this.#connections) connection.stall();
  }

  /** Resumes after a stall. */
  resume(): void {
    this.#stalled = false;
    for (const connection of this.#connections) connection.resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.refuse();
    this.reset();
  }

  async #listen(): Promise<void> {
    const server = this.#server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port, LOOPBACK, resolve);
    });
    const address = server.address();
    if (typeof address === "object" && address) this.#port = address.port;
  }

  #create(): net.Server {
    return net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#connect(client));
  }

  #connect(client: net.Socket): void {
    this.accepted++;
    const server = net.connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    const connection = new ProxiedConnection(client, server);
    if (this.#stalled) connection.stall();
    this.#connections.add(connection);
    new Direction(client, server, "client", connection, this);
    new Direction(server, client, "server", connection, this);
    let open = 2;
    for (const [socket, other] of [[client, server], [server, client]] as const) {
      socket.on("error", () => {});
      socket.on("close", (failed: boolean) => {
        if (--open === 0) this.#connections.delete(connection);
        void connection.flowing.then(() => failed && !other.destroyed ? connection.reset() : other.end());
      });
    }
  }
}
