/**
 * A channel of an SSH connection, as a stream that ends in every case.
 *
 * @module
 */
import { Duplex } from "node:stream";
// @ts-types="./ssh2.d.ts"
import type ssh2 from "ssh2";

/**
 * The bytes of a channel. A channel of `ssh2` is not destroyed when its connection ends, and drops what is then written
 * without a call back: this stream is destroyed by its session, with the reason.
 */
export class ChannelStream extends Duplex {
  readonly #channel: ssh2.Channel;
  readonly #onBytes: () => void;

  /** @param onBytes Called when bytes arrive. */
  constructor(channel: ssh2.Channel, onBytes: () => void) {
    super({ allowHalfOpen: false });
    this.#channel = channel;
    this.#onBytes = onBytes;
    channel.on("data", (bytes: Uint8Array) => this.#receive(bytes));
    channel.on("end", () => {
      if (!this.destroyed) this.push(null);
    });
    channel.on("error", (error: Error) => this.destroy(error));
    channel.on("close", () => this.destroy());
  }

  override _read(): void {
    this.#channel.resume();
  }

  override _write(bytes: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#channel.write(bytes, done);
  }

  override _final(done: () => void): void {
    this.#channel.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#channel.destroy();
    // A channel closes once what arrived is read.
    this.#channel.resume();
    done(error);
  }

  #receive(bytes: Uint8Array): void {
    this.#onBytes();
    if (!this.destroyed && !this.push(bytes)) this.#channel.pause();
  }
}
