/**
 * Whether a host can be on this machine or its own network only.
 *
 * @module
 */

/** Names that lead nowhere on the internet: RFC 6761 (localhost, test), RFC 6762 (local), ICANN's for private use (internal). */
const PRIVATE_DOMAINS = /\.(localhost|local|internal|test)$/;

/** Addresses that are not routed: RFC 1122 (127/8), RFC 1918, RFC 3927 (169.254/16). */
const PRIVATE_IPV4 = /^(127|10|192\.168|172\.(1[6-9]|2\d|3[01])|169\.254)(\.\d{1,3}){1,3}$/;

/** RFC 4291 (::1, fe80::/10), RFC 4193 (fc00::/7). */
const PRIVATE_IPV6 = /^(::1|fe[89ab][0-9a-f]:.*|f[cd][0-9a-f]{2}:.*)$/;

/**
 * Whether `host` is the folder of a Unix socket, or a name or address that
 * means nothing on the internet: `localhost`, a container's `db`,
 * `postgres.default.svc.cluster.local`, `10.0.0.7`.
 */
export function isLocalHost(host: string): boolean {
  if (host.startsWith("/")) return true;
  const name = host.toLowerCase().replace(/\.$/, "");
  if (name.includes(":")) return PRIVATE_IPV6.test(name);
  return !name.includes(".") || PRIVATE_DOMAINS.test(name) || PRIVATE_IPV4.test(name);
}
