/**
 * Text of values, checked before it is sent.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { ValueError } from "./value_error.ts";

/**
 * Returns why a text cannot be sent as UTF-8 without changing it, or `undefined` if it can: U+0000 ends a string of the
 * protocol, and the runtime would replace a lone surrogate by U+FFFD.
 */
export function unsendable(text: string): ValueError | undefined {
  if (!text.isWellFormed()) {
    return new ValueError("a string with a lone surrogate", "it is not Unicode text; toWellFormed() replaces them");
  }
  if (text.includes("\0")) {
    return new ValueError("a string with U+0000", "Postgres cannot store this character; remove it");
  }
  return undefined;
}

/**
 * Returns a string as it is sent.
 *
 * @throws {ValueError} if it is {@linkcode unsendable}.
 */
export function inputText(text: string): string {
  const fault = unsendable(text);
  if (fault) throw fault;
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
