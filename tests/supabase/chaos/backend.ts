/**
 * A Data API that fails in every way, and records what reaches it.
 *
 * @module
 */
import { delay } from "@std/async";

/**
 * The behavior of the backend. `up` responds after `latencyMs`, `unavailable` responds 503 at once, `silent` accepts
 * requests and never responds.
 */
export type BackendMode = "up" | "unavailable" | "silent";

/** A request that the backend received. */
export interface SeenRequest {
  /** The instant at which it arrived, as `performance.now()` gives it. */
  readonly at: number;
  readonly method: string;
  /** The number of requests under way when it arrived, itself included. */
  readonly underWay: number;
}

/** The end of the head of a request. */
const END_OF_HEAD = "\r\n\r\n";

/** A server on one port, which can be killed and started again there. */
export class Backend implements AsyncDisposable {
  mode: BackendMode = "up";
  latencyMs = 0;
  readonly seen: SeenRequest[] = [];
  readonly #connections = new Set<Deno.Conn>();
  readonly #port: number;
  #listener: Deno.Listener | undefined;
  #underWay = 0;
  /** The timers of responses that are due. */
  readonly #due = new Set<ReturnType<typeof setTimeout>>();

  constructor() {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#port = (this.#listener.addr as Deno.NetAddr).port;
    this.#accept(this.#listener);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Returns the number of requests that arrived from `start` to `end`, as `performance.now()` gives them. */
  countBetween(start: number, end: number): number {
    return this.seen.filter(({ at }) => at >= start && at < end).length;
  }

  /** Closes the port and breaks every connection, as a process that is killed. */
  kill(): void {
    this.#listener?.close();
    this.#listener = undefined;
    for (const connection of this.#connections) close(connection);
    this.#connections.clear();
    this.#underWay = 0;
    for (const timer of this.#due) clearTimeout(timer);
    this.#due.clear();
  }

  /** Listens on the port again. */
  start(): void {
    this.#listener ??= Deno.listen({ hostname: "127.0.0.1", port: this.#port });
    this.#accept(this.#listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await delay(0);
  }

  async #accept(listener: Deno.Listener): Promise<void> {
    try {
      for await (const connection of listener) {
        this.#connections.add(connection);
        this.#serve(connection).catch(() => {}).finally(() => {
          this.#connections.delete(connection);
          close(connection);
        });
      }
    } catch {
      // The listener was closed while a client connected.
    }
  }

  async #serve(connection: Deno.Conn): Promise<void> {
    const decoder = new TextDecoder();
    let text = "";
    const buffer = new Uint8Array(65_536);
    for (let read = await connection.read(buffer); read !== null; read = await connection.read(buffer)) {
      text += decoder.decode(buffer.subarray(0, read), { stream: true });
      for (let end = endOf(text); end > 0; end = endOf(text)) {
        const method = text.slice(0, text.indexOf(" "));
        text = text.slice(end);
        await this.#respond(connection, method);
      }
    }
  }

  /** Waits. It does not end if the backend is killed meanwhile. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#due.delete(timer);
        resolve();
      }, ms);
      this.#due.add(timer);
    });
  }

  async #respond(connection: Deno.Conn, method: string): Promise<void> {
    this.seen.push({ at: performance.now(), method, underWay: ++this.#underWay });
    const { mode, latencyMs } = this;
    if (mode === "silent") return;
    if (mode === "up" && latencyMs > 0) await this.#pause(latencyMs);
    this.#underWay--;
    const body = mode === "up" ? "[]" : "{}";
    const status = mode === "up" ? "200 OK" : "503 Service Unavailable";
    const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
    await connection.write(new TextEncoder().encode(head + body));
  }
}

/** Returns the end of the first whole request of `text`, or 0. Bodies are short, and ASCII. */
function endOf(text: string): number {
  const head = text.indexOf(END_OF_HEAD);
  if (head < 0) return 0;
  const length = Number(/content-length: (\d+)/i.exec(text.slice(0, head))?.[1] ?? 0);
  const end = head + END_OF_HEAD.length + length;
  return text.length >= end ? end : 0;
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}
