/**
 * Splits the bytes of a server into messages (PostgreSQL, "Messaging Overview").
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { ResultTooLargeError } from "../errors/statement_error.ts";
import { protocolError, Reply } from "./messages.ts";

/** The type and the length of a message, in bytes. */
const HEADER_BYTES = 5;

/** The first memory for a message that arrives in parts, in bytes. It grows with what has arrived, not as announced. */
const FIRST_BYTES = 8_192;

/** The longest message without values, in bytes. The description of a result of 1,664 columns has 140 kB. */
const MAX_CONTROL_BYTES = 1_048_576;

/** The longest message before the server is ready for statements, in bytes. */
const MAX_STARTUP_BYTES = 65_536;

const EMPTY = Buffer.alloc(0);

/**
 * Receives one message, whose body is `bytes` from `start` to `end`. They are valid until it returns: another message
 * may overwrite them.
 */
export type MessageHandler = (type: number, bytes: Buffer, start: number, end: number) => void;

/** Receives the type of a row or error that is too long, and is skipped. What it throws ends the reading. */
export type TooLongHandler = (type: number, error: ResultTooLargeError) => void;

function reject(_type: number, error: ResultTooLargeError): void {
  throw error;
}

/** Splits a stream of bytes into messages. Takes time linear in the bytes, however they are split. */
export class MessageReader {
  readonly #handle: MessageHandler;
  readonly #handleTooLong: TooLongHandler;
  /** The longest row or error, in bytes; 0 until {@linkcode allowValues}. */
  #maxValueBytes = 0;
  #maxControlBytes = MAX_STARTUP_BYTES;
  /** The beginning of a message whose end has not arrived. */
  #partial: Buffer = EMPTY;
  /** The bytes of it that have arrived, and the bytes that it needs: those of its header, until that is known. */
  #have = 0;
  #need = HEADER_BYTES;
  /** The bytes left of a message that is not read. */
  #skip = 0;
  /** True once the header of a row or error was read that is too long. */
  #isTooLong = false;
  #closed = false;

  /**
   * @param handle Called for each message. What it throws, {@linkcode push} throws.
   * @param handleTooLong Called instead for a row or error that is too long. Default: throws.
   */
  constructor(handle: MessageHandler, handleTooLong: TooLongHandler = reject) {
    this.#handle = handle;
    this.#handleTooLong = handleTooLong;
  }

  /** Accepts rows and errors of at most `maxValueBytes` from now on. Before that, every message is short. */
  allowValues(maxValueBytes: number): void {
    this.#maxValueBytes = maxValueBytes;
    this.#maxControlBytes = MAX_CONTROL_BYTES;
  }

  /** Ignores all further bytes, those of the chunk being read included. */
  close(): void {
    this.#closed = true;
    this.#partial = EMPTY;
  }

  /**
   * Reads the next bytes.
   *
   * @throws {ConnectionError} when they are not messages of the protocol. Then it is closed.
   * @throws what the handlers throw. Then it is closed.
   */
  push(chunk: Buffer): void {
    try {
      this.#read(chunk);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #read(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#closed) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - at);
        this.#skip -= skipped;
        at += skipped;
      } else if (this.#have > 0 || chunk.length - at < HEADER_BYTES) {
        at = this.#collect(chunk, at);
      } else {
        const end = at + this.#totalOf(chunk, at);
        if (this.#isTooLong) {
          this.#isTooLong = false;
          this.#skip = end - at;
        } else if (end <= chunk.length) {
          this.#handle(chunk[at] ?? 0, chunk, at + HEADER_BYTES, end);
          at = end;
        } else {
          if (isNotice(chunk[at])) this.#skip = end - at;
          else at = this.#collect(chunk, at);
        }
      }
    }
  }

  /** Copies what `chunk` has of a message in parts, and handles the message if it is complete. Returns where it ends. */
  #collect(chunk: Buffer, at: number): number {
    for (;;) {
      const count = Math.min(this.#need - this.#have, chunk.length - at);
      this.#reserve(this.#have + count);
      chunk.copy(this.#partial, this.#have, at, at + count);
      this.#have += count;
      at += count;
      if (this.#have < this.#need) return at;
      if (this.#need > HEADER_BYTES) break;
      this.#need = this.#totalOf(this.#partial, 0);
      if (this.#isTooLong || isNotice(this.#partial[0])) {
        this.#isTooLong = false;
        this.#skip = this.#need - HEADER_BYTES;
        this.#have = 0;
        this.#need = HEADER_BYTES;
        return at;
      }
      if (this.#need === HEADER_BYTES) break;
    }
    const message = this.#partial;
    const end = this.#need;
    this.#have = 0;
    this.#need = HEADER_BYTES;
    // A large message leaves no memory behind.
    if (message.length > FIRST_BYTES) this.#partial = EMPTY;
    this.#handle(message[0] ?? 0, message, HEADER_BYTES, end);
    return at;
  }

  /**
   * Makes room for `size` bytes. Memory doubles, and from an eighth of the message on it is all reserved: so each byte is
   * copied about twice, and a server that only announces a long message reserves nothing.
   */
  #reserve(size: number): void {
    if (this.#partial.length >= size) return;
    const doubled = Math.min(this.#need, 2 * this.#partial.length);
    const length = 8 * size >= this.#need ? this.#need : doubled;
    const larger = Buffer.allocUnsafeSlow(Math.max(size, length, FIRST_BYTES));
    this.#partial.copy(larger, 0, 0, this.#have);
    this.#partial = larger;
  }

  /** Reads a header and returns the length of the whole message, in bytes. */
  #totalOf(bytes: Buffer, at: number): number {
    const type = bytes[at] ?? 0;
    const length = bytes.readInt32BE(at + 1);
    if (!Reply.isKnown(type)) throw protocolError(`it sent ${Reply.describe(type)}`);
    if (length < HEADER_BYTES - 1) throw protocolError(`it sent ${Reply.describe(type)} of ${length} bytes`);
    if (this.#maxValueBytes > 0 && (type === Reply.dataRow || type === Reply.error)) {
      if (length > this.#maxValueBytes) {
        this.#isTooLong = true;
        this.#handleTooLong(type, new ResultTooLargeError(this.#maxValueBytes));
      }
    } else if (length > this.#maxControlBytes && !isNotice(type)) {
      throw protocolError(`it sent ${Reply.describe(type)} of ${length} bytes`);
    }
    return length + 1;
  }
}

/** Returns whether messages of a type are not read at all, so that they need no memory however long they are. */
function isNotice(type: number | undefined): boolean {
  return type === Reply.notice || type === Reply.notification;
}
