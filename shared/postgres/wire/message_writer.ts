/**
 * Encodes messages to a server (PostgreSQL, "Message Formats").
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { StatementError } from "../errors/statement_error.ts";
import type { EncodedValue } from "../types/codec.ts";
import { ExpectedResponses } from "./expected_responses.ts";
import { Reply } from "./messages.ts";

/** The memory that a writer reserves at once, in bytes. */
const KEPT_BYTES = 16_384;

/** The rest of it that is too small for what is encoded next, in bytes. */
const SPENT_BYTES = 1_024;

/** The longest text that is written character by character, which for short ones is faster than a call of the runtime. */
const SHORT = 32;

/** The longest text for which three bytes are reserved per character: counting them would cost more. */
const UNCOUNTED = 4_096;

/** The longest message, in bytes: its length is an int32, and the server accepts 1 GiB. */
const MAX_MESSAGE_BYTES = 0x3fff_ffff;

/** A position in what a writer has encoded. */
export interface WriterMark {
  readonly bytes: number;
  readonly responses: number;
}

/** Encodes messages into one buffer, and notes the responses that they ask for. */
export class MessageWriter {
  /** The responses that the server has yet to send. */
  readonly expected: ExpectedResponses = new ExpectedResponses();
  #bytes: Buffer = Buffer.allocUnsafeSlow(KEPT_BYTES);
  /** The start of the bytes that wait to be sent: those before were taken, and are not written again. */
  #start = 0;
  #at = 0;

  /** True if nothing waits to be sent. */
  get isEmpty(): boolean {
    return this.#at === this.#start;
  }

  /** Returns the position, for {@linkcode rewind}. */
  mark(): WriterMark {
    return { bytes: this.#at, responses: this.expected.end };
  }

  /** Removes what was encoded since `mark`. */
  rewind(mark: WriterMark): void {
    this.#at = mark.bytes;
    this.expected.rewind(mark.responses);
  }

  /** Returns what was encoded, and begins again. */
  take(): Buffer {
    const taken = this.#bytes.subarray(this.#start, this.#at);
    this.#start = this.#at;
    if (this.#bytes.length > KEPT_BYTES || this.#at > KEPT_BYTES - SPENT_BYTES) {
      this.#bytes = Buffer.allocUnsafeSlow(KEPT_BYTES);
      this.#start = this.#at = 0;
    }
    return taken;
  }

  /**
   * Encodes Parse.
   *
   * @param name The name of the prepared statement; empty for none.
   * @param types The oids of the types of `$1`, `$2` and so on; 0 or none lets the server infer a type. Default: none.
   */
  parse(name: string, text: string, types: readonly number[] = []): void {
    const start = this.#begin(0x50);
    this.#cstring(name);
    this.#cstring(text);
    this.#reserve(2 + 4 * types.length);
    this.#int16(types.length);
    for (const oid of types) this.#int32(oid);
    this.#end(start);
    this.expected.expect(Reply.parseComplete);
  }

  /**
   * Encodes Bind, to the unnamed portal.
   *
   * @param statement The name of the prepared statement; empty for the unnamed one.
   * @param values The values; strings are sent as text, bytes as binary.
   * @param resultFormats The format code of each column; one code is for all. Default: text.
   */
  bind(statement: string, values: readonly EncodedValue[], resultFormats: readonly number[] = []): void {
    const start = this.#begin(0x42);
    this.#reserve(1);
    this.#bytes[this.#at++] = 0;
    this.#cstring(statement);
    const count = values.length;
    let binary = 0;
    for (const value of values) if (typeof value === "object" && value !== null) binary++;
    this.#reserve(4 + 6 * count);
    // No code at all means text for all.
    this.#int16(binary === 0 ? 0 : count);
    if (binary > 0) { for (const value of values) this.#int16(typeof value === "string" || value === null ? 0 : 1); }
    this.#int16(count);
    for (const value of values) this.#value(value);
    this.#reserve(2 + 2 * resultFormats.length);
    this.#int16(resultFormats.length);
    for (const format of resultFormats) this.#int16(format);
    this.#end(start);
    this.expected.expect(Reply.bindComplete);
  }

  /** Encodes Describe of the unnamed portal: its columns. */
  describePortal(): void {
    this.#named(0x44, 0x50, "");
    this.expected.expect(Reply.rowDescription);
  }

  /** Encodes Describe of a prepared statement: its parameters and columns. */
  describeStatement(name: string): void {
    this.#named(0x44, 0x53, name);
    this.expected.expect(Reply.parameterDescription);
    this.expected.expect(Reply.rowDescription);
  }

  /** Encodes Execute of the unnamed portal, to its end. */
  execute(): void {
    const start = this.#begin(0x45);
    this.#reserve(5);
    this.#bytes[this.#at++] = 0;
    this.#int32(0);
    this.#end(start);
    this.expected.expect(Reply.commandComplete);
  }

  /** Encodes Close of a prepared statement. */
  closeStatement(name: string): void {
    this.#named(0x43, 0x53, name);
    this.expected.expect(Reply.closeComplete);
  }

  /** Encodes Flush: the server sends what it has, without the end of a request. */
  flush(): void {
    this.#end(this.#begin(0x48));
  }

  /** Encodes Sync, which ends a request. */
  sync(): void {
    this.#end(this.#begin(0x53));
    this.expected.expect(Reply.readyForQuery);
  }

  /** Encodes a simple query, a request by itself. */
  query(text: string): void {
    const start = this.#begin(0x51);
    this.#cstring(text);
    this.#end(start);
    this.expected.expectSimpleQuery();
  }

  #named(type: number, kind: number, name: string): void {
    const start = this.#begin(type);
    this.#reserve(1);
    this.#bytes[this.#at++] = kind;
    this.#cstring(name);
    this.#end(start);
  }

  /** Begins a message and returns its start. */
  #begin(type: number): number {
    this.#reserve(5);
    const start = this.#at;
    this.#bytes[start] = type;
    this.#at = start + 5;
    return start;
  }

  #end(start: number): void {
    const length = this.#at - start - 1;
    if (length > MAX_MESSAGE_BYTES) {
      throw new StatementError("The statement and its values are larger than 1 GiB: send them in parts");
    }
    this.#bytes.writeInt32BE(length, start + 1);
  }

  #value(value: EncodedValue): void {
    this.#reserve(4);
    if (value === null) return this.#int32(-1);
    const start = this.#at;
    this.#at = start + 4;
    if (typeof value === "string") this.#utf8(value);
    else {
      this.#reserve(value.byteLength);
      this.#bytes.set(value, this.#at);
      this.#at += value.byteLength;
    }
    this.#bytes.writeInt32BE(this.#at - start - 4, start);
  }

  #cstring(text: string): void {
    if (text.includes("\0")) throw new StatementError("A statement cannot contain U+0000: it would end there");
    this.#utf8(text);
    this.#reserve(1);
    this.#bytes[this.#at++] = 0;
  }

  #utf8(text: string): void {
    const { length } = text;
    this.#reserve(length <= UNCOUNTED ? 3 * length : Buffer.byteLength(text));
    const bytes = this.#bytes;
    const start = this.#at;
    if (length <= SHORT) {
      let index = 0;
      for (; index < length; index++) {
        const code = text.charCodeAt(index);
        if (code >= 0x80) break;
        bytes[start + index] = code;
      }
      if (index === length) {
        this.#at = start + length;
        return;
      }
    }
    this.#at = start + bytes.write(text, start, "utf8");
  }

  #int16(value: number): void {
    this.#bytes[this.#at++] = value >> 8;
    this.#bytes[this.#at++] = value;
  }

  #int32(value: number): void {
    this.#bytes[this.#at++] = value >> 24;
    this.#bytes[this.#at++] = value >> 16;
    this.#bytes[this.#at++] = value >> 8;
    this.#bytes[this.#at++] = value;
  }

  #reserve(count: number): void {
    const needed = this.#at + count;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(larger, this.#start, this.#start, this.#at);
    this.#bytes = larger;
  }
}
