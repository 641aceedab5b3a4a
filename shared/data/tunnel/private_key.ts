/**
 * Reads the private key of a tunnel.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash, createPrivateKey, type KeyObject, sign } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { codeOf, messageOf } from "../../resilience/mod.ts";
import { TunnelKeyError } from "./errors.ts";
import { expandHome } from "./files.ts";
// @ts-types="./ssh2.d.ts"
import type ssh2 from "ssh2";

/** The hash functions of ECDSA by the type of the key (RFC 5656, section 6.2.1), and the size of a private key in bytes. */
const CURVES: Readonly<Record<string, readonly [hash: string, size: number]>> = {
  "ecdsa-sha2-nistp256": ["sha256", 32],
  "ecdsa-sha2-nistp384": ["sha384", 48],
  "ecdsa-sha2-nistp521": ["sha512", 66],
};

/** Returns the type and fingerprint of a public key in the format of SSH, as `ssh-keygen -l` shows it. */
export function fingerprintOf(publicKey: Uint8Array): string {
  return `SHA256:${createHash("sha256").update(publicKey).digest("base64").slice(0, 43)}`;
}

/** Returns the type of a public key in the format of SSH. */
export function typeOf(publicKey: Buffer): string {
  const length = publicKey.length >= 4 ? publicKey.readUInt32BE(0) : 0;
  return publicKey.subarray(4, 4 + Math.min(length, 64)).toString("latin1");
}

/**
 * Returns the content of a key file.
 *
 * @throws {TunnelKeyError} when it cannot be read, or other users can.
 */
async function readKeyFile(path: string): Promise<string> {
  const file = expandHome(path);
  try {
    const { mode, uid } = await stat(file);
    const isOurs = typeof Deno !== "undefined" ? Deno.uid() === uid : true;
    // As OpenSSH does; what all users can read is rejected, also of another owner.
    const open = mode & (isOurs ? 0o077 : 0o007);
    if (open !== 0 && !isWindows()) {
      throw new TunnelKeyError(
        "TUNNEL_KEY_UNPROTECTED",
        `The private key ${path} can be read by other users (mode ${(mode & 0o777).toString(8)}): chmod 600 it`,
      );
    }
    return await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof TunnelKeyError) throw error;
    const reason = codeOf(error) === "ENOENT" ? "the file does not exist" : codeOf(error) ?? messageOf(error);
    throw new TunnelKeyError(
      "TUNNEL_KEY_UNREADABLE",
      `Cannot read the private key ${path}: ${reason}. Check sshKeyPath`,
    );
  }
}

function isWindows(): boolean {
  return typeof Deno !== "undefined" && Deno.build.os === "windows";
}

/** Reads the length of a value in DER at `at`: the position after it, and the length. */
function derLength(der: Buffer, at: number): readonly [start: number, length: number] {
  const first = der[at] ?? 0;
  if (first < 0x80) return [at + 1, first];
  const bytes = first & 0x7f;
  return [at + 1 + bytes, bytes === 0 || bytes > 4 ? 0 : der.readUIntBE(at + 1, bytes)];
}

function derValue(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head = length < 0x80
    ? [tag, length]
    : length < 0x100
    ? [tag, 0x81, length]
    : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}

/**
 * Returns a private key as strict readers of DER want it. What `ssh2` writes is read by OpenSSL, and not by Deno: the key of
 * a curve with a zero byte in front (`invalid SEC1 private key`), as half of all keys have, and a key that was encrypted
 * in PEM with its padding behind it (`DECODER routines::unsupported`).
 *
 * @param size The size of the private key of a curve, in bytes. Default: it is not one.
 */
function strictDer(der: Buffer, size: number | undefined): Buffer {
  const [start, length] = derLength(der, 1);
  const body = der.subarray(start, start + length);
  // SEC 1, C.4: version (02 01 01), then the private key as an octet string of the size of the curve.
  if (size === undefined || body[3] !== 0x04) return derValue(0x30, body);
  const [keyStart, keyLength] = derLength(body, 4);
  const given = body.subarray(keyStart, keyStart + keyLength);
  const key = Buffer.alloc(size);
  given.copy(key, Math.max(size - given.length, 0), Math.max(given.length - size, 0));
  return derValue(0x30, Buffer.concat([body.subarray(0, 3), derValue(0x04, key), body.subarray(keyStart + keyLength)]));
}

/** Returns the key object of a key that `ssh2` has parsed. */
function keyObjectOf({ type, getPrivatePEM }: ssh2.ParsedKey, parsed: ssh2.ParsedKey): KeyObject {
  const pem = getPrivatePEM.call(parsed);
  const [, label, base64] = /-----BEGIN ([A-Z ]+)-----([^-]+)-----END/.exec(pem) ?? [];
  if (label === undefined || base64 === undefined) return createPrivateKey(pem);
  const der = strictDer(Buffer.from(base64, "base64"), CURVES[type]?.[1]);
  const lines = der.toString("base64").replace(/.{64}/g, "$&\n").trimEnd();
  return createPrivateKey(`-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`);
}

/** Returns a function that signs as SSH requires, with the key of a parsed key. */
function signerOf(type: string, key: KeyObject): ssh2.ParsedKey["sign"] {
  const ownHash = type === "ssh-ed25519" ? undefined : CURVES[type]?.[0];
  return (data, algorithm) => {
    try {
      return sign(type === "ssh-ed25519" ? undefined : algorithm ?? ownHash, data, key);
    } catch (error) {
      return new Error(messageOf(error));
    }
  };
}

/**
 * Returns the private key in a text.
 *
 * @param name Its name in errors.
 * @param passphrase Default: none.
 * @throws {TunnelKeyError} when it is not a private key, or the passphrase is missing or wrong. It shows neither.
 */
export function parsePrivateKey(
  { utils }: typeof ssh2,
  text: string,
  name: string,
  passphrase: string | undefined,
): ssh2.ParsedKey {
  const found = utils.parseKey(text, passphrase);
  const key = Array.isArray(found) ? found[0] : found;
  if (key === undefined || key instanceof Error) throw keyError(key?.message ?? "it holds no key", name, passphrase);
  if (!key.isPrivateKey()) throw invalid(name, "it is a public key: name the file without .pub");
  if (key.type === "ssh-dss") throw invalid(name, "DSA is no longer accepted by SSH servers: use Ed25519");
  try {
    return Object.assign(key, { sign: signerOf(key.type, keyObjectOf(key, key)) });
  } catch {
    throw passphrase === undefined
      ? invalid(name, `this runtime cannot use it (${key.type}): use an Ed25519 key`)
      : keyError("passphrase", name, passphrase);
  }
}

function invalid(name: string, reason: string): TunnelKeyError {
  return new TunnelKeyError("TUNNEL_KEY_INVALID", `Cannot use the private key ${name}: ${reason}`);
}

/** Returns the error of a key that `ssh2` could not parse; its words are matched, and not shown. */
function keyError(reason: string, name: string, passphrase: string | undefined): TunnelKeyError {
  if (/unknown cipher|not supported|unsupported cipher/i.test(reason)) {
    const fix = "use Deno 2.9 or later, or a key without a passphrase in a protected file";
    return invalid(name, `this runtime cannot decrypt it: ${fix}`);
  }
  if (/passphrase/i.test(reason)) {
    return new TunnelKeyError(
      "TUNNEL_KEY_PASSPHRASE",
      passphrase === undefined
        ? `The private key ${name} is encrypted: set sshKeyPassphrase (SSH_KEY_PASSPHRASE)`
        : `Cannot decrypt the private key ${name}: the passphrase is wrong (sshKeyPassphrase, SSH_KEY_PASSPHRASE)`,
    );
  }
  return invalid(name, "it is not a private key in the format of OpenSSH or PEM, or it is damaged");
}

/**
 * Reads the private key of a tunnel. A key that has not changed is decrypted once: that takes half a second.
 */
export class PrivateKeyFile {
  readonly #path: string;
  readonly #passphrase: string | undefined;
  #known: { readonly text: string; readonly key: ssh2.ParsedKey } | undefined = undefined;

  /**
   * Creates the reader.
   *
   * @param path `~` is the home folder.
   * @param passphrase Default: none.
   */
  constructor(path: string, passphrase: string | undefined) {
    this.#path = path;
    this.#passphrase = passphrase;
  }

  /**
   * Reads the key.
   *
   * @throws {TunnelKeyError} when it cannot be used.
   */
  async read(library: typeof ssh2): Promise<ssh2.ParsedKey> {
    const text = await readKeyFile(this.#path);
    if (this.#known?.text !== text) {
      this.#known = { text, key: parsePrivateKey(library, text, this.#path, this.#passphrase) };
    }
    return this.#known.key;
  }

  /** Forgets the key. */
  forget(): void {
    this.#known = undefined;
  }
}
