/**
 * The stream to a server that a `connect` function opens, in the form in which `pg` expects a socket.
 *
 * @module
 */
import { Duplex } from "node:stream";

/** The server that a {@linkcode ConnectFunction} opens a stream to. */
export interface ConnectTarget {
  /** The option `host` of the manager. */
  readonly host: string;
  /** The option `port` of the manager. */
  readonly port: number;
  /** The use of the stream: `statements`, or `cancel` for one request to cancel a statement, which takes a moment. */
  readonly purpose: "statements" | "cancel";
  /** Aborts when the stream is no longer needed. */
  readonly signal: AbortSignal;
}

/**
 * Opens a stream to a server, in place of a socket to `host` and `port`: through an SSH tunnel, or a proxy.
 *
 * It throws a {@linkcode ConnectLimitError} where no further stream may be open now.
 *
 * @example A proxy on this machine
 * ```ts
 * const net = await import("node:net");
 * const connect: ConnectFunction = () =>
 *   new Promise((resolve, reject) => {
 *     const socket = net.connect(6432, "127.0.0.1", () => resolve(socket));
 *     socket.once("error", reject);
 *   });
 * const manager = new PostgresConnectionManager({ connect });
 * ```
 */
export interface ConnectFunction {
  (target: ConnectTarget): Promise<Duplex>;
  /** Verifies that the way to the server is open: the first step of a health check. Default: nothing is verified. */
  readonly check?: ((signal: AbortSignal) => Promise<void>) | undefined;
}

const ids = new WeakMap<ConnectFunction, number>();
let latestId = 0;

/** Returns a number that stands for a `connect` function; 0 for none. Servers are distinguished by it, too. */
export function connectId(connect: ConnectFunction | undefined): number {
  if (!connect) return 0;
  let id = ids.get(connect);
  if (id === undefined) ids.set(connect, id = ++latestId);
  return id;
}

/** A stream that opens when `connect` is called, as a socket does. */
export class ServerStream extends Duplex {
  readonly #open: (signal: AbortSignal) => Promise<Duplex>;
  readonly #controller = new AbortController();
  #inner: Duplex | undefined = undefined;

  /** @param open Opens the stream that carries the bytes. */
  constructor(open: (signal: AbortSignal) => Promise<Duplex>) {
    // As a socket: the end of the server's side ends ours.
    super({ allowHalfOpen: false });
    this.#open = open;
  }

  /** Opens the stream. Emits `connect`, or `error` with what the function threw. */
  connect(): this {
    void this.#start();
    return this;
  }

  /** Does nothing: that is up to the stream that carries the bytes. */
  setNoDelay(): this {
    return this;
  }

  /** Does nothing: that is up to the stream that carries the bytes. */
  setKeepAlive(): this {
    return this;
  }

  override _read(): void {
    this.#inner?.resume();
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    if (this.#inner) this.#inner.write(chunk, done);
    else done(new Error("Cannot write before the stream is open"));
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#inner) this.#inner.end(() => done());
    else done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#controller.abort(error ?? undefined);
    this.#inner?.destroy();
    done(error);
  }

  async #start(): Promise<void> {
    try {
      const inner = await this.#open(this.#controller.signal);
      if (!this.destroyed) return this.#attach(inner);
      inner.on("error", () => {});
      inner.destroy();
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #attach(inner: Duplex): void {
    this.#inner = inner;
    inner.on("data", (chunk: Uint8Array) => {
      if (!this.push(chunk)) inner.pause();
    });
    inner.on("end", () => this.push(null));
    inner.on("error", (error: Error) => this.destroy(error));
    inner.on("close", () => {
      if (!inner.readableEnded) this.destroy();
    });
    this.emit("connect");
  }
}
