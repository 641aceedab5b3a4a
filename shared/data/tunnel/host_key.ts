/**
 * Verifies the key of an SSH server: by known_hosts files (OpenSSH, sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"), or by keys
 * that are configured.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { readFile } from "node:fs/promises";
import { codeOf, messageOf } from "../../resilience/mod.ts";
import type { ResolvedTunnelConfig } from "./config.ts";
import { TunnelHostKeyChangedError, TunnelHostUnknownError, TunnelKnownHostsError } from "./errors.ts";
import { expandHome } from "./files.ts";
import { fingerprintOf, typeOf } from "./private_key.ts";
import { shownWords } from "./server_words.ts";

const DEFAULT_FILES = ["~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"];

/** The algorithms that a server may prove its key with, by the type of the key. SHA-1 is not among them. */
const ALGORITHMS: Readonly<Record<string, readonly string[]>> = {
  "ssh-ed25519": ["ssh-ed25519"],
  "ecdsa-sha2-nistp256": ["ecdsa-sha2-nistp256"],
  "ecdsa-sha2-nistp384": ["ecdsa-sha2-nistp384"],
  "ecdsa-sha2-nistp521": ["ecdsa-sha2-nistp521"],
  "ssh-rsa": ["rsa-sha2-512", "rsa-sha2-256"],
};

/** One key that a server may have. */
interface KnownKey {
  /** Its type; `undefined` for a fingerprint. */
  readonly type: string | undefined;
  /** The fingerprint of the key. */
  readonly fingerprint: string;
  readonly isRevoked: boolean;
  /** The source of the key: an option, or a file and its line. */
  readonly source: string;
}

/** Returns whether a pattern of OpenSSH, with `*` and `?`, matches a name. Takes time of the product of their lengths at most. */
function matchesPattern(pattern: string, name: string): boolean {
  const wanted = pattern.toLowerCase();
  let [at, star, from] = [0, -1, 0];
  for (let next = 0; next < name.length;) {
    if (wanted[at] === "*") {
      [star, from] = [at++, next];
    } else if (at < wanted.length && (wanted[at] === "?" || wanted[at] === name[next])) {
      at++;
      next++;
    } else if (star >= 0) {
      // The latest star matches one character more.
      [at, next] = [star + 1, ++from];
    } else return false;
  }
  while (wanted[at] === "*") at++;
  return at === wanted.length;
}

/** Returns whether the hosts of a line are those of one of `names`, of which each is in lower case. */
export function matchesHosts(hosts: string, names: readonly string[]): boolean {
  const [, salt, hash] = /^\|1\|([^|]+)\|([^|]+)$/.exec(hosts) ?? [];
  if (salt !== undefined && hash !== undefined) {
    const digest = (name: string) => createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest("base64");
    return names.some((name) => digest(name) === hash);
  }
  const patterns = hosts.split(",");
  return names.some((name) => {
    if (patterns.some((each) => each.startsWith("!") && matchesPattern(each.slice(1), name))) return false;
    return patterns.some((each) => !each.startsWith("!") && matchesPattern(each, name));
  });
}

/** Returns the names of a server in known_hosts: with its port, unless that is 22. */
function namesOf(host: string, port: number): string[] {
  const name = host.toLowerCase();
  return port === 22 ? [name] : [`[${name}]:${port}`];
}

/** Returns the keys of a server in the text of a known_hosts file. Lines of authorities are left out. */
export function parseKnownHosts(text: string, file: string, host: string, port: number): KnownKey[] {
  const names = namesOf(host, port);
  return text.split(/\r?\n/).flatMap((line, index) => {
    const fields = line.trim().split(/[ \t]+/);
    const marker = fields[0]?.startsWith("@") ? fields.shift() : undefined;
    const [hosts, type, key] = fields;
    if (hosts === undefined || type === undefined || key === undefined || hosts.startsWith("#")) return [];
    if (marker === "@cert-authority" || !matchesHosts(hosts, names)) return [];
    const fingerprint = fingerprintOf(Buffer.from(key, "base64"));
    return [{ type, fingerprint, isRevoked: marker === "@revoked", source: `${file}, line ${index + 1}` }];
  });
}

/** Returns the keys that the option `sshHostKey` names. */
function configuredKeys(keys: string | readonly string[]): KnownKey[] {
  const source = "sshHostKey (SSH_HOST_KEY)";
  return [keys].flat().map((key) => {
    if (key.startsWith("SHA256:")) {
      // Without the padding of base64, as ssh-keygen shows it.
      return { type: undefined, fingerprint: key.slice(0, "SHA256:".length + 43), isRevoked: false, source };
    }
    const [type, base64 = ""] = key.split(" ");
    return { type, fingerprint: fingerprintOf(Buffer.from(base64, "base64")), isRevoked: false, source };
  });
}

/**
 * Reads the keys that the server of a tunnel may have.
 *
 * @throws {TunnelKnownHostsError} when a known_hosts file that the options name cannot be read.
 */
async function readKnownKeys(config: ResolvedTunnelConfig): Promise<KnownKey[]> {
  const { sshHost, sshPort, sshHostKey, sshKnownHostsPath } = config;
  if (sshHostKey !== undefined) return configuredKeys(sshHostKey);
  const keys: KnownKey[] = [];
  for (const file of sshKnownHostsPath === undefined ? DEFAULT_FILES : [sshKnownHostsPath].flat()) {
    try {
      keys.push(...parseKnownHosts(await readFile(expandHome(file), "utf8"), file, sshHost, sshPort));
    } catch (error) {
      if (sshKnownHostsPath === undefined) continue;
      throw new TunnelKnownHostsError(file, codeOf(error) ?? messageOf(error));
    }
  }
  return keys;
}

/** Verifies the key of a server during one handshake. */
export class HostKeyVerifier {
  /** The algorithms to offer: those of known keys come first, so that a server presents one of these. */
  readonly algorithms: readonly string[];
  /** The reason why the key was rejected, once it was. */
  rejection: TunnelHostUnknownError | TunnelHostKeyChangedError | undefined = undefined;

  readonly #address: string;
  readonly #keys: readonly KnownKey[] | undefined;

  /** @param keys The keys that the server may have. Default: any. */
  private constructor(address: string, keys: readonly KnownKey[] | undefined) {
    this.#address = address;
    this.#keys = keys;
    const known = new Set(keys?.flatMap(({ type, isRevoked }) => isRevoked || !type ? [] : ALGORITHMS[type] ?? []));
    this.algorithms = [...new Set([...known, ...Object.values(ALGORITHMS).flat()])];
  }

  /**
   * Creates the verifier of a handshake.
   *
   * @throws {TunnelKnownHostsError} when a known_hosts file that the options name cannot be read.
   */
  static async create(config: ResolvedTunnelConfig): Promise<HostKeyVerifier> {
    const { sshHost, sshPort, verifyHostKey } = config;
    return new HostKeyVerifier(`${sshHost}:${sshPort}`, verifyHostKey ? await readKnownKeys(config) : undefined);
  }

  /** Returns whether the server may have this key. Keeps the reason if not. */
  verify(publicKey: Buffer): boolean {
    if (!this.#keys) return true;
    const fingerprint = fingerprintOf(publicKey);
    const shown = `${shownWords(typeOf(publicKey))} ${fingerprint}`;
    const same = this.#keys.filter((key) => key.fingerprint === fingerprint);
    const wrong = same.find(({ isRevoked }) => isRevoked) ?? this.#keys.find(({ isRevoked }) => !isRevoked);
    if (same.length > 0 && same.every(({ isRevoked }) => !isRevoked)) return true;
    this.rejection = wrong
      ? new TunnelHostKeyChangedError(this.#address, shown, wrong.source)
      : new TunnelHostUnknownError(this.#address, shown);
    return false;
  }
}
