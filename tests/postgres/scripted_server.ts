/**
 * A server that speaks as much of the protocol as a login and statements without rows need, and misbehaves on request.
 *
 * @module
 */

const encoder = new TextEncoder();

/** Encodes a message of the server. */
export function message(type: string, ...parts: readonly (string | number | Uint8Array)[]): Uint8Array {
  const bodies = parts.map((part) => {
    if (typeof part === "string") return encoder.encode(`${part}\0`);
    return typeof part === "number" ? new Uint8Array(new Uint32Array([part]).buffer).reverse() : part;
  });
  const length = bodies.reduce((sum, { length }) => sum + length, 4);
  const bytes = new Uint8Array(length + 1);
  bytes[0] = type.charCodeAt(0);
  new DataView(bytes.buffer).setUint32(1, length);
  let at = 5;
  for (const body of bodies) {
    bytes.set(body, at);
    at += body.length;
  }
  return bytes;
}

/** Encodes an ErrorResponse. */
export function errorResponse(code: string, text: string, routine?: string): Uint8Array {
  const fields = [`SFATAL`, `VFATAL`, `C${code}`, `M${text}`, ...(routine ? [`R${routine}`] : [])];
  return message("E", ...fields, new Uint8Array(1));
}

/** `AuthenticationCleartextPassword`. */
export const ASK_PASSWORD = message("R", 3);

/** The messages after a login: `AuthenticationOk`, settings, the key of the backend, and `ReadyForQuery`. */
export function welcome(): Uint8Array[] {
  return [
    message("R", 0),
    message("S", "server_version", "17.0"),
    message("S", "DateStyle", "ISO, MDY"),
    message("K", 7, 8),
    message("Z", encoder.encode("I")),
  ];
}

/** The steps of the protocol at which a client waits for the server. */
export type Step = "ssl" | "cancel" | "startup" | "password" | "sync";

/** One connection to the server. */
export interface ScriptedConnection {
  /** Sends bytes. Does nothing once the client has left. */
  send(...bytes: readonly Uint8Array[]): Promise<void>;
  /** Closes the connection. */
  close(): void;
}

/** Acts at a step in place of the server; returns `false` for the usual response. */
export type Script = (step: Step, connection: ScriptedConnection, texts: readonly string[]) => unknown;

let users = 0;

/** The server; see the module. */
export class ScriptedServer implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #serving: Promise<unknown>[] = [];
  readonly #connections = new Set<Deno.Conn>();
  readonly #script: Script;
  /** A user of its own: what is known of a login must not hold for a later server on the same port. */
  readonly user: string = `u${++users}`;
  /** The number of connections so far, cancel requests included. */
  accepted = 0;
  /** The number of startup messages so far. */
  logins = 0;

  constructor(script: Script = () => false) {
    this.#script = script;
    this.#serving.push(this.#accept());
  }

  /** Its port. */
  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  /** The number of connections that their clients have not closed. */
  get open(): number {
    return this.#connections.size;
  }

  async #accept(): Promise<void> {
    for await (const connection of this.#listener) {
      this.accepted++;
      this.#connections.add(connection);
      this.#serving.push(this.#serve(connection).catch(() => {}).finally(() => this.#connections.delete(connection)));
    }
  }

  async #serve(connection: Deno.Conn): Promise<void> {
    const side: ScriptedConnection = {
      send: async (...all) => {
        for (const bytes of all) for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
      },
      close: () => connection.close(),
    };
    const act = async (step: Step, texts: readonly string[], usual: readonly Uint8Array[]) => {
      const result = await this.#script(step, side, texts);
      if (result === false) await side.send(...usual);
    };
    let pending = new Uint8Array(0);
    let started = false;
    let status = "I";
    let texts: string[] = [];
    let replies: Uint8Array[] = [];
    const statements = new Map<string, string>();
    const strings = (body: Uint8Array) => new TextDecoder().decode(body).split("\0");
    const chunk = new Uint8Array(65_536);
    try {
      for (let n = await connection.read(chunk); n !== null; n = await connection.read(chunk)) {
        pending = new Uint8Array([...pending, ...chunk.subarray(0, n)]);
        for (;;) {
          const view = new DataView(pending.buffer, pending.byteOffset, pending.byteLength);
          const head = started ? 1 : 0;
          if (pending.length < head + 4) break;
          const length = view.getUint32(head) + head;
          if (pending.length < length) break;
          const type = started ? String.fromCharCode(pending[0] ?? 0) : "";
          const body = pending.subarray(head + 4, length);
          const code = started ? 0 : view.getUint32(4);
          pending = pending.slice(length);
          if (!started && code === 80877103) await act("ssl", [], [encoder.encode("N")]);
          else if (!started && code === 80877102) {
            await act("cancel", [], []);
            return connection.close();
          } else if (!started) {
            started = true;
            this.logins++;
            await act("startup", [], [ASK_PASSWORD]);
          } else if (type === "p") await act("password", [], welcome());
          else if (type === "P") {
            const [name = "", text = ""] = strings(body);
            statements.set(name, text);
            replies.push(message("1"));
          } else if (type === "B") {
            texts.push(statements.get(strings(body)[1] ?? "") ?? "");
            replies.push(message("2"));
          } else if (type === "D") {
            replies.push(...(body[0] === 83 ? [message("t", new Uint8Array(2))] : []), message("n"));
          } else if (type === "E") replies.push(message("C", texts.at(-1)?.split(" ")[0]?.toUpperCase() ?? ""));
          else if (type === "C") replies.push(message("3"));
          else if (type === "S" || type === "Q") {
            if (type === "Q") {
              texts.push(strings(body)[0] ?? "");
              replies.push(message("C", texts.at(-1)?.split(" ")[0]?.toUpperCase() ?? ""));
            }
            for (const text of texts) {
              if (/^begin/i.test(text)) status = "T";
              else if (/^(commit|rollback(?! to))/i.test(text)) status = "I";
            }
            const [asked, usual] = [texts, replies];
            [texts, replies] = [[], []];
            await act("sync", asked, [...usual, message("Z", encoder.encode(status))]);
          }
        }
      }
      connection.close();
    } catch {
      // The client has left, or the script has closed it.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) {
      try {
        connection.close();
      } catch {
        // It is closed.
      }
    }
    await Promise.all(this.#serving);
  }
}
