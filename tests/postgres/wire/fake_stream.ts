/**
 * A socket without a network, whose server is the test: bytes arrive when the test sends them.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";

/** The socket of a client, as `pg` uses it. */
export class FakeStream extends EventEmitter {
  writable = true;
  destroyed = false;
  /** The bytes that the client has written. */
  written = 0;
  /** Called with what the client writes. */
  onWrite: ((bytes: Uint8Array) => void) | undefined = undefined;

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  connect(): this {
    queueMicrotask(() => this.emit("connect"));
    return this;
  }

  write(bytes: Uint8Array, done?: () => void): boolean {
    this.written += bytes.length;
    if (!this.destroyed) this.onWrite?.(bytes);
    if (done) queueMicrotask(done);
    return true;
  }

  end(): this {
    return this.destroy();
  }

  destroy(): this {
    if (this.destroyed) return this;
    this.destroyed = true;
    this.writable = false;
    queueMicrotask(() => this.emit("close"));
    return this;
  }

  /** Sends bytes to the client. As a socket does, it delivers nothing once it is destroyed. */
  deliver(bytes: Uint8Array): void {
    if (!this.destroyed && bytes.length > 0) this.emit("data", Buffer.from(bytes));
  }
}
