/**
 * The local port of a tunnel.
 *
 * @module
 */
import net from "node:net";
import { pipeline } from "node:stream";
import type { Duplex } from "node:stream";
import { codeOf, messageOf } from "../../resilience/mod.ts";
import { TunnelLocalPortError } from "./errors.ts";

/** The only address that a tunnel listens on: what it leads to is for this machine alone. */
const LOOPBACK = "127.0.0.1";

/** Listens on a port of 127.0.0.1, and joins each connection with a channel. */
export class LocalServer {
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  /** Called with an error of the server itself. An error without a listener would end the program. */
  #onError: (error: unknown) => void;

  /**
   * Creates the server.
   *
   * @param open Opens a channel.
   * @param onFailure Called with the error of a channel that was not opened, or of a connection that was not accepted.
   */
  constructor(open: (signal: AbortSignal) => Promise<Duplex>, onFailure: (error: unknown) => void) {
    this.#onError = onFailure;
    this.#server = net.createServer({ noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      const controller = new AbortController();
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        controller.abort(new Error("The local connection was closed"));
      });
      open(controller.signal).then((stream) => {
        // Either side may break; then the other ends, too.
        pipeline(socket, stream, socket, () => {
          stream.destroy();
          socket.destroy();
        });
      }, (error) => {
        if (!controller.signal.aborted) onFailure(error);
        socket.destroy();
      });
    });
    this.#server.on("error", (error) => this.#onError(error));
  }

  /** The port; `undefined` while it does not listen. */
  get port(): number | undefined {
    const address = this.#server.address();
    return typeof address === "object" ? address?.port : undefined;
  }

  /**
   * Begins to listen.
   *
   * @param port 0 for any that is free.
   * @throws {TunnelLocalPortError} when it cannot.
   */
  async listen(port: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onFailure = this.#onError;
    this.#onError = reject;
    this.#server.listen(port, LOOPBACK, resolve);
    try {
      await promise;
    } catch (error) {
      throw new TunnelLocalPortError(port, codeOf(error) ?? messageOf(error));
    } finally {
      this.#onError = onFailure;
    }
  }

  /** Stops to listen, and closes every connection. */
  async close(): Promise<void> {
    // The callback of close() itself is not called by Deno 2.1 once a peer has ended a connection.
    const closed = [...this.#sockets].map((socket) => new Promise<void>((done) => socket.once("close", () => done())));
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
  }
}
