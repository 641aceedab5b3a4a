/**
 * Records messages of clients (PostgreSQL, "Message Formats") that matter to poolers.
 *
 * @module
 */
import type { ProxiedConnection, TcpProxy } from "../../support/tcp_proxy.ts";

/** Reads the messages of one connection. */
class Reader {
  #bytes = new Uint8Array();
  #started = false;

  /** The messages that are complete with these bytes: type and body. */
  *read(bytes: Uint8Array): Generator<readonly [type: string, body: Uint8Array]> {
    this.#bytes = Uint8Array.from([...this.#bytes, ...bytes]);
    for (;;) {
      // The first message has no type.
      const head = this.#started ? 1 : 0;
      if (this.#bytes.length < head + 4) return;
      const length = new DataView(this.#bytes.buffer, this.#bytes.byteOffset).getInt32(head);
      if (this.#bytes.length < head + length) return;
      const type = this.#started ? String.fromCharCode(this.#bytes[0] ?? 0) : "startup";
      const body = this.#bytes.slice(head + 4, head + length);
      this.#bytes = this.#bytes.slice(head + length);
      this.#started = true;
      yield [type, body];
    }
  }
}

function strings(body: Uint8Array): string[] {
  return new TextDecoder().decode(body).split("\0");
}

/** Watches what goes through a proxy. */
export class WireTap {
  /** The names under which statements were prepared, used or closed; the unnamed one left out. */
  readonly statementNames = new Set<string>();
  /** The texts that were sent, each once. */
  readonly texts = new Set<string>();

  /** Begins to watch. Only connections that are made from now on can be read. */
  constructor(proxy: TcpProxy) {
    const readers = new Map<ProxiedConnection, Reader>();
    proxy.tap = (from, bytes, connection) => {
      if (from === "server") return;
      const reader = readers.get(connection) ?? new Reader();
      readers.set(connection, reader);
      for (const [type, body] of reader.read(bytes)) this.#note(type, body);
    };
  }

  #note(type: string, body: Uint8Array): void {
    const [first = "", second = ""] = strings(body);
    if (type === "P") {
      this.#name(first);
      this.texts.add(second);
    } else if (type === "B") this.#name(second);
    else if ((type === "C" || type === "D") && first.startsWith("S")) this.#name(first.slice(1));
    else if (type === "Q") this.texts.add(first);
  }

  #name(name: string): void {
    if (name !== "") this.statementNames.add(name);
  }
}
