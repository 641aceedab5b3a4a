/**
 * A TCP proxy that adds latency.
 *
 * @module
 */

/** Forwards connections. Each chunk arrives `delayMs` after it was sent, in both directions. */
export class LatencyProxy implements AsyncDisposable {
  readonly #listener: Deno.TcpListener;
  readonly #far: { readonly hostname: string; readonly port: number };
  readonly #delayMs: number;
  readonly #connections = new Set<Deno.Conn>();
  readonly #done: Promise<void>;

  /**
   * Listens on a free loopback port.
   *
   * @param delayMs The delay in each direction: half of the added round-trip time.
   */
  constructor(hostname: string, port: number, delayMs: number) {
    this.#far = { hostname, port };
    this.#delayMs = delayMs;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#done = this.#accept();
  }

  /** The port it listens on. */
  get port(): number {
    return this.#listener.addr.port;
  }

  async #accept(): Promise<void> {
    const relays: Promise<unknown>[] = [];
    for await (const near of this.#listener) {
      const far = await Deno.connect(this.#far);
      near.setNoDelay(true);
      far.setNoDelay(true);
      for (const connection of [near, far]) this.#connections.add(connection);
      relays.push(this.#relay(near, far), this.#relay(far, near));
    }
    await Promise.allSettled(relays);
  }

  /** Reads at once and writes later, in order: it adds latency and does not limit throughput. */
  async #relay(from: Deno.Conn, to: Deno.Conn): Promise<void> {
    let written = Promise.resolve();
    try {
      for (;;) {
        const buffer = new Uint8Array(65_536);
        const length = await from.read(buffer);
        if (length === null) break;
        const due = new Promise<void>((resolve) => setTimeout(resolve, this.#delayMs));
        written = written.then(() => due).then(() => writeAll(to, buffer.subarray(0, length)));
        written.catch(() => {});
      }
      await written;
    } catch {
      // One side closed; the other is closed below.
    }
    for (const connection of [from, to]) this.#close(connection);
  }

  #close(connection: Deno.Conn): void {
    if (this.#connections.delete(connection)) connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of [...this.#connections]) this.#close(connection);
    await this.#done;
  }
}

async function writeAll(to: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}
