/**
 * The address of a Redis server.
 *
 * @module
 */
import { CacheConfigError } from "../errors.ts";

/** The address of a Redis server, and the login. */
export interface RedisAddress {
  /** The host: a name or an address. */
  readonly host: string;
  /** The port. */
  readonly port: number;
  /** The user of the ACL; `undefined` for the default one. */
  readonly username: string | undefined;
  /** The password; `undefined` for none. */
  readonly password: string | undefined;
  /** The number of the database. */
  readonly db: number;
  /** True for TLS. */
  readonly isTls: boolean;
}

const FIX = "set it to redis://host:6379 or, with TLS, rediss://user:password@host:6379/0";

function fail(reason: string): never {
  // The text of the URL is in no message: it may have a password.
  throw new CacheConfigError(`Cannot read the URL of Redis (REDIS_URL): ${reason}; ${FIX}`);
}

function decoded(part: string): string | undefined {
  try {
    return part === "" ? undefined : decodeURIComponent(part);
  } catch {
    return fail("it has a percent sign that begins no escape");
  }
}

/**
 * Reads a URL of Redis: `redis://` or, with TLS, `rediss://`, then `user:password@`, the host, the port (default: 6379)
 * and the number of the database (default: 0), as the IANA registration of the schemes has them.
 *
 * @throws {CacheConfigError} if it is not such a URL. The message has no part of it.
 */
export function parseRedisUrl(url: string): RedisAddress {
  const parsed = URL.parse(url.trim()) ?? fail("it is not a URL");
  const { protocol, hostname, port, username, password, pathname } = parsed;
  if (protocol !== "redis:" && protocol !== "rediss:") fail("it begins neither with redis:// nor with rediss://");
  if (hostname === "") fail("it has no host");
  const [, db = "0"] = /^\/(\d{1,5})$/.exec(pathname) ?? (pathname === "" || pathname === "/" ? [] : fail(
    "its path is not the number of a database",
  ));
  return {
    // The brackets of an IPv6 address belong to the URL.
    host: (decoded(hostname) ?? "").replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? 6_379 : Number(port),
    username: decoded(username),
    password: decoded(password),
    db: Number(db),
    isTls: protocol === "rediss:",
  };
}
