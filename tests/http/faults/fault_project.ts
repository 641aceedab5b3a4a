/**
 * A project that fails in every way that a project, its gateway or the network can.
 *
 * @module
 */

/** A response, byte for byte, and what becomes of the connection. */
export interface Fault {
  /** The bytes of the response. Default: none. */
  readonly bytes?: string | Uint8Array<ArrayBuffer>;
  /** True if the connection stays open behind them. Default: false. */
  readonly hangs?: boolean;
  /** The time before the first byte, in ms. Default: none. */
  readonly delayMs?: number;
}

/** A request that arrived. */
export interface Arrived {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
}

/** A project that responds as `respond` says. Disposal ends its connections. */
export interface FaultProject extends AsyncDisposable {
  readonly url: string;
  readonly requests: Arrived[];
  respond: (request: Arrived, nth: number) => Fault;
}

/** Returns a complete response. */
export function response(status: number, body: string | Uint8Array, headers: Record<string, string> = {}): Fault {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const lines = [
    `HTTP/1.1 ${status} ${status === 200 ? "OK" : "Failed"}`,
    ...Object.entries({ "content-length": String(bytes.byteLength), "connection": "close", ...headers })
      .map(([name, value]) => `${name}: ${value}`),
  ];
  const head = new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`);
  const all = new Uint8Array(head.byteLength + bytes.byteLength);
  all.set(head);
  all.set(bytes, head.byteLength);
  return { bytes: all };
}

/** Starts a project on a free loopback port. */
export function startFaultProject(): FaultProject {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.TcpConn>();
  const paused: (() => void)[] = [];
  const serving: Promise<void>[] = [];
  const project: FaultProject = {
    url: `http://127.0.0.1:${listener.addr.port}`,
    requests: [],
    respond: () => response(200, "[]"),
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const resume of paused) resume();
      for (const connection of open) close(connection);
      await Promise.all(serving);
    },
  };

  function close(connection: Deno.TcpConn): void {
    if (!open.delete(connection)) return;
    try {
      connection.close();
    } catch {
      // closed by the other side
    }
  }

  function pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    paused.push(() => {
      clearTimeout(timer);
      resolve();
    });
    return promise;
  }

  async function serve(connection: Deno.TcpConn): Promise<void> {
    try {
      const request = await readRequest(connection);
      if (request === undefined) return;
      const { bytes, hangs = false, delayMs } = project.respond(request, project.requests.push(request));
      if (delayMs !== undefined) await pause(delayMs);
      const rest = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
      for (let at = 0; rest && at < rest.byteLength;) at += await connection.write(rest.subarray(at));
      if (hangs) await pause(60_000);
    } catch {
      // the other side has left
    } finally {
      close(connection);
    }
  }

  const accepting = (async () => {
    try {
      for await (const connection of listener) {
        open.add(connection);
        serving.push(serve(connection));
      }
    } catch {
      // closed
    }
  })();
  serving.push(accepting);
  return project;
}

/** Reads a request with its body; `undefined` if the connection ends first. */
async function readRequest(connection: Deno.TcpConn): Promise<Arrived | undefined> {
  let text = "";
  const buffer = new Uint8Array(65_536);
  const decoder = new TextDecoder();
  let head = -1;
  while (head < 0) {
    const read = await connection.read(buffer);
    if (read === null) return undefined;
    text += decoder.decode(buffer.subarray(0, read), { stream: true });
    head = text.indexOf("\r\n\r\n");
  }
  const [line = "", ...rest] = text.slice(0, head).split("\r\n");
  const [method = "", path = ""] = line.split(" ");
  const headers = new Headers(rest.map((each): [string, string] => {
    const colon = each.indexOf(":");
    return [each.slice(0, colon), each.slice(colon + 1).trim()];
  }));
  const length = Number(headers.get("content-length") ?? 0);
  let body = text.length - head - 4;
  while (body < length) {
    const read = await connection.read(buffer);
    if (read === null) break;
    body += read;
  }
  return { method, path, headers };
}
