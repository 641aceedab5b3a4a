/**
 * Text of values: read from the bytes of a message, and checked before it is sent.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { ValueError } from "./value_error.ts";

/** Buffer's own methods, which also work on a plain Uint8Array. */
interface Slices {
  utf8Slice(this: Uint8Array, start: number, end: number): string;
  latin1Slice(this: Uint8Array, start: number, end: number): string;
}
const { utf8Slice, latin1Slice } = Buffer.prototype as unknown as Slices;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Up to this length a loop is faster than a call into the runtime, in bytes. */
const SHORT = 8;

/** Reads UTF-8. */
export function readText(bytes: Uint8Array, start: number, end: number): string {
  const first = bytes[start];
  if (first === undefined || start === end) return "";
  // Deno 2.1 drops a byte order mark.
  if (first === 0xef) return decoder.decode(bytes.subarray(start, end));
  if (end - start <= SHORT) {
    let text = "";
    for (let at = start; at < end; at++) {
      const byte = bytes[at] as number;
      if (byte > 127) return utf8Slice.call(bytes, start, end);
      text += String.fromCharCode(byte);
    }
    return text;
  }
  return utf8Slice.call(bytes, start, end);
}

/** Reads text that is known to be ASCII, such as a number's. */
export function readAscii(bytes: Uint8Array, start: number, end: number): string {
  return latin1Slice.call(bytes, start, end);
}

/**
 * Returns a string as it is sent.
 *
 * @throws {ValueError} if Postgres cannot store it: the runtime would replace a lone surrogate by U+FFFD.
 */
export function inputText(text: string): string {
  if (!text.isWellFormed()) {
    throw new ValueError("a string with a lone surrogate", "it is not Unicode text; toWellFormed() replaces them");
  }
  if (text.includes("\0")) {
    throw new ValueError("a string with U+0000", "Postgres cannot store this character; remove it");
  }
  return text;
}

/** Returns the text form of an encoded value, for use inside an array or composite. */
export function textOf(encoded: string | Uint8Array): string {
  return typeof encoded === "string" ? encoded : hexText(encoded);
}

/** Returns the hexadecimal text of bytes, as bytea has it. */
export function hexText(bytes: Uint8Array): string {
  return "\\x" + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
