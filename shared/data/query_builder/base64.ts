/**
 * Text as base64url (RFC 4648, section 5), without padding.
 *
 * @module
 */

/** Encodes text. */
export function encodeBase64Url(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * Decodes text.
 *
 * @throws {Error} when it is not base64url, or not UTF-8.
 */
export function decodeBase64Url(encoded: string): string {
  if (!/^[\w-]*$/.test(encoded)) throw new TypeError("not base64url");
  const bytes = Uint8Array.from(atob(encoded.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}
