/**
 * `bytea`.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { ValueFormat } from "./codec.ts";
import { inputText } from "./text.ts";
import { DecodeError, valueError } from "./value_error.ts";

const { slice: copy } = Uint8Array.prototype;

const BACKSLASH = 92;
const LOWER_X = 120;

/** Reads the format `escape` of `bytea_output`: `\\` is a backslash, `\ooo` a byte in octal. */
function decodeEscaped(text: string): Buffer {
  const bytes = Buffer.alloc(text.length);
  let length = 0;
  for (let at = 0; at < text.length; length++) {
    const code = text.charCodeAt(at);
    if (code !== BACKSLASH) {
      bytes[length] = code;
      at++;
    } else if (text.charCodeAt(at + 1) === BACKSLASH) {
      bytes[length] = BACKSLASH;
      at += 2;
    } else {
      const octal = text.slice(at + 1, at + 4);
      if (!/^[0-3][0-7]{2}$/.test(octal)) throw new DecodeError("Cannot read bytea: its text is malformed");
      bytes[length] = parseInt(octal, 8);
      at += 4;
    }
  }
  return bytes.subarray(0, length);
}

/** `bytea`, read as a `Buffer`. */
export const bytea: ValueFormat = {
  decodeText: (text) =>
    text.charCodeAt(0) === BACKSLASH && text.charCodeAt(1) === LOWER_X
      ? Buffer.from(text.slice(2), "hex")
      : decodeEscaped(text),
  // A copy, with a buffer of its own: the bytes of the message are used again, and a pool's hold other values.
  decodeBinary: (bytes, start, end) => copy.call(bytes, start, end),
  encode(value) {
    if (value instanceof Uint8Array) return value.buffer instanceof ArrayBuffer ? value : value.slice();
    if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice();
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    // What is shared is copied, so that what was checked is what is sent.
    if (value instanceof SharedArrayBuffer) return new Uint8Array(value).slice();
    if (typeof value === "string") return inputText(value);
    if (value instanceof Blob) throw valueError(value, "reading it takes time; pass await blob.bytes()");
    if (Array.isArray(value)) throw valueError(value, "pass Uint8Array.from(bytes)");
    throw valueError(value, "expected bytes: an ArrayBuffer, a typed array, a DataView or a Buffer");
  },
  // A cast to text has the server's form, and casts to integers read the bytes: neither is what a string's own text is.
  survivesRetyping: (value) => typeof value !== "string",
  isBytes: true,
};
