/**
 * A server on loopback that answers with bytes of the test's own, and the messages of a real one to build them from.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { PostgresConfig } from "../../../shared/postgres/mod.ts";

/** Encodes a message of a server from its type and the parts of its body. Strings get no terminator. */
export function message(type: string, ...parts: (string | Uint8Array)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => typeof part === "string" ? Buffer.from(part) : part));
  const header = Buffer.alloc(5);
  header.write(type, "latin1");
  header.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** Messages as a server sends them. */
export const reply = {
  parseComplete: message("1"),
  bindComplete: message("2"),
  closeComplete: message("3"),
  noData: message("n"),
  emptyQuery: message("I"),
  portalSuspended: message("s"),
  authentication: (code: number, ...rest: (string | Uint8Array)[]): Buffer => message("R", int32(code), ...rest),
  setting: (name: string, value: string): Buffer => message("S", `${name}\0${value}\0`),
  backendKey: message("K", int32(4242), int32(1717)),
  ready: (status = "I"): Buffer => message("Z", status),
  notice: (text: string): Buffer => message("N", `SNOTICE\0C00000\0M${text}\0\0`),
  notification: message("A", int32(1), "channel\0payload\0"),
  error: (code = "XX000", severity = "ERROR"): Buffer =>
    message("E", `S${severity}\0V${severity}\0C${code}\0Mit failed\0\0`),
  tag: (text: string): Buffer => message("C", `${text}\0`),
  columns: (...columns: (readonly [name: string, oid: number])[]): Buffer =>
    message(
      "T",
      int16(columns.length),
      ...columns.flatMap((
        [name, oid],
      ) => [`${name}\0`, int32(0), int16(0), int32(oid), int16(-1), int32(-1), int16(0)]),
    ),
  parameters: (...oids: number[]): Buffer => message("t", int16(oids.length), ...oids.map(int32)),
  row: (...texts: (string | null)[]): Buffer =>
    message(
      "D",
      int16(texts.length),
      ...texts.flatMap((text) => text === null ? [int32(-1)] : [int32(Buffer.byteLength(text)), text]),
    ),
};

/** A startup without a password. */
export const GREETING: Buffer = Buffer.concat([
  reply.authentication(0),
  reply.setting("server_version", "18.1"),
  reply.setting("client_encoding", "UTF8"),
  reply.setting("DateStyle", "ISO, MDY"),
  reply.backendKey,
  reply.ready(),
]);

/** The columns and one row of the statement that {@linkcode ONE_ROW} answers. */
export const COLUMNS: readonly (readonly [string, number])[] = [["id", 23], ["name", 25]];

/** The response to a statement that is described, with one row. */
export const ONE_ROW: Buffer = Buffer.concat([
  reply.parseComplete,
  reply.parameters(),
  reply.columns(...COLUMNS),
  reply.bindComplete,
  reply.row("7", "seven"),
  reply.tag("SELECT 1"),
  reply.ready(),
]);

/** The server's side of a connection. */
export interface Peer {
  /** Sends bytes. Those that the client does not take any more are dropped. */
  send(...bytes: Uint8Array[]): Promise<void>;
  /** Closes the connection. */
  close(): void;
  /** Aborts when the client has closed it. */
  readonly closed: AbortSignal;
}

/** The behavior of a server. Each part is optional: by default it accepts everything and answers {@linkcode ONE_ROW}. */
export interface Behavior {
  /** Sent for the request for TLS. Default: `N`. */
  readonly onTlsRequest?: (peer: Peer) => Promise<void>;
  /** Called for a startup. Default: sends {@linkcode GREETING}. */
  readonly onStartup?: (peer: Peer) => Promise<void>;
  /** Called for a password, or a SASL response. */
  readonly onPassword?: (peer: Peer, body: Buffer) => Promise<void>;
  /**
   * Called for each request.
   *
   * @param types The types of its messages: `PDBES` for a statement that is parsed and described, `Q` for a simple query.
   */
  readonly onRequest?: (peer: Peer, types: string, index: number) => Promise<void>;
  /** Called for a cancel request. Default: closes the connection. */
  readonly onCancel?: (peer: Peer, bytes: Buffer) => Promise<void>;
}

/** A server of a test's own. */
export interface FakeServer extends AsyncDisposable {
  /** Options to connect to it without TLS. */
  readonly options: Partial<PostgresConfig> & { readonly host: string; readonly port: number };
  /** The number of connections that clients hold open. */
  readonly open: number;
}

const TLS_REQUEST = 80_877_103;
const CANCEL_REQUEST = 80_877_102;

let users = 0;

/** Starts a server, with a user of its own: what is known of a login must not hold for a later server on the same port. */
export function startFakeServer(behavior: Behavior = {}): FakeServer {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const sockets = new Map<Deno.Conn, Promise<void>>();
  const accepting = (async () => {
    for await (const socket of listener) {
      const served = serve(socket, behavior).catch(() => {}).finally(() => {
        sockets.delete(socket);
        try {
          socket.close();
        } catch {
          // The peer was closed by its behavior.
        }
      });
      sockets.set(socket, served);
    }
  })();
  return {
    options: {
      host: "127.0.0.1",
      port: listener.addr.port,
      ssl: false,
      user: `test_${++users}`,
      password: "secret",
      database: "x",
    },
    get open() {
      return sockets.size;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      const served = [...sockets.values()];
      for (const socket of sockets.keys()) {
        try {
          socket.close();
        } catch {
          // It has closed meanwhile.
        }
      }
      await Promise.all([accepting, ...served]);
    },
  };
}

async function serve(socket: Deno.Conn, behavior: Behavior): Promise<void> {
  const closed = new AbortController();
  const peer: Peer = {
    closed: closed.signal,
    async send(...bytes) {
      let rest: Uint8Array = Buffer.concat(bytes);
      while (rest.length > 0) rest = rest.subarray(await socket.write(rest));
    },
    close: () => socket.close(),
  };
  let types = "";
  let requests = 0;
  let started = false;
  let pending: Buffer = Buffer.alloc(0);
  const chunk = new Uint8Array(65_536);
  try {
    for (;;) {
      const count = await socket.read(chunk);
      if (count === null) return;
      pending = Buffer.concat([pending, chunk.subarray(0, count)]);
      for (;;) {
        const header = started ? 5 : 4;
        if (pending.length < header) break;
        const total = pending.readInt32BE(header - 4) + header - 4;
        if (pending.length < total) break;
        const type = started ? String.fromCharCode(pending[0] ?? 0) : "";
        const body = Buffer.from(pending.subarray(header, total));
        pending = pending.subarray(total);
        if (!started) {
          const code = body.readInt32BE(0);
          if (code === TLS_REQUEST) await (behavior.onTlsRequest ?? ((peer) => peer.send(Buffer.from("N"))))(peer);
          else if (code === CANCEL_REQUEST) {
            await behavior.onCancel?.(peer, body);
            return;
          } else {
            started = true;
            await (behavior.onStartup ?? ((peer) => peer.send(GREETING)))(peer);
          }
        } else if (type === "p") await behavior.onPassword?.(peer, body);
        else if (type === "X") return;
        else {
          types += type;
          if (type !== "S" && type !== "Q" && type !== "H") continue;
          const request = types;
          types = "";
          await (behavior.onRequest ?? ((peer) => peer.send(ONE_ROW)))(peer, request, requests++);
        }
      }
    }
  } finally {
    closed.abort();
  }
}
