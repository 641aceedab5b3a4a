/**
 * Splits a connection URL as libpq does (PostgreSQL, "Connection URIs"). The URL class of the platform differs: it drops
 * tabs, requires a host, and reads `+` in a parameter as a space.
 *
 * @module
 */

/** The parts of a connection URL, percent-decoded; `""` where a part is absent. */
export interface UrlParts {
  readonly user: string;
  readonly password: string;
  /** The host, without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: string;
  readonly database: string;
  /** The parameters, in order. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

/** The general rule, for a URL that cannot be split. */
const FORM = "must be a URL such as postgresql://user:password@host:5432/database of one host, with special " +
  "characters percent-encoded: # in a password is %23, / is %2F, ? is %3F";

/** The authority, the path, and the parameters. A fragment is mostly the rest of a password, and is rejected. */
const URL_FORM = /^postgres(?:ql)?:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i;

/** A host, an IPv6 address in brackets, and its port. Brackets elsewhere are those of a placeholder. */
const HOST_FORM = /^(?:\[([\da-f.]*:[\da-f:.]*(?:%[^\]]*)?)\]|([^:]*))(?::(\d*))?$/i;

const NOT_ENCODED = "has a part that is not percent-encoded: % itself is %25";

// deno-lint-ignore no-control-regex -- the characters that are searched for
const CONTROL = /[\0-\x1f\x7f]/;

/** Splits at the first occurrence of `separator`; the second part is `undefined` without one. */
function cut(text: string, separator: string): [before: string, after: string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

function split(raw: string): UrlParts | string {
  const [, authority, path = "", query = ""] = URL_FORM.exec(raw) ?? [];
  if (authority === undefined) return FORM;
  // A host contains no @: the last one ends the password.
  const at = authority.lastIndexOf("@");
  const [user, password = ""] = cut(authority.slice(0, Math.max(at, 0)), ":");
  const hosts = authority.slice(at + 1);
  if (hosts.includes(",")) return "has several hosts: only a URL of one host is supported, without a comma";
  const [match, address, name = "", port = ""] = HOST_FORM.exec(hosts) ?? [];
  if (match === undefined) return FORM;
  const parameters: (readonly [string, string])[] = [];
  for (const parameter of query.split("&")) {
    if (parameter === "") continue;
    const [key, value] = cut(parameter, "=");
    if (value === undefined) return "has a parameter without =";
    parameters.push([decodeURIComponent(key), decodeURIComponent(value)]);
  }
  return {
    user: decodeURIComponent(user),
    password: decodeURIComponent(password),
    host: address ?? decodeURIComponent(name),
    port,
    database: decodeURIComponent(path),
    parameters,
  };
}

/** Splits a URL into its parts, or returns what is wrong with it, without its content. */
export function splitUrl(raw: string): UrlParts | string {
  const trimmed = raw.replace(/^ +| +$/g, "");
  if (CONTROL.test(trimmed)) {
    return "has a control character, such as a tab or a line break: a tab in a password is %09";
  }
  try {
    return split(trimmed);
  } catch (error) {
    if (error instanceof URIError) return NOT_ENCODED;
    throw error;
  }
}
