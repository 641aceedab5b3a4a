/**
 * Connection URLs (PostgreSQL, "Connection URIs").
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { ConfigError, type ConfigIssue } from "../../pool/mod.ts";
import { TARGET_SESSION_ATTRIBUTES } from "../connection/session.ts";
import type { PostgresConfig, TlsOptions } from "./options.ts";
import { splitUrl, type UrlParts } from "./url_parts.ts";

/** The meaning of `sslmode`: every mode with encryption also verifies the server, except `no-verify`. */
const SSL_MODES: Readonly<Record<string, boolean | TlsOptions>> = {
  disable: false,
  require: true,
  "verify-ca": true,
  "verify-full": true,
  "no-verify": { rejectUnauthorized: false },
};

/** Reads a certificate or key that a URL names by path. */
type ReadFile = (path: string) => string;

/** Reads a file as text, on Deno and on Node. */
export function readTextFile(path: string): string {
  return readFileSync(path, "utf8");
}

/** Reads one parameter of a URL into `config`, or returns what is wrong with it, without its value. */
type Reader = (value: string, config: Partial<PostgresConfig>, readFile: ReadFile) => string | undefined;

/** Returns a reader of a parameter that is one option. */
function plain(option: "applicationName" | "options"): Reader {
  return (value, config) => {
    if (value !== "") config[option] = value;
    return undefined;
  };
}

/** Returns a reader of a parameter that names a PEM file. */
function pem(option: "ca" | "cert" | "key"): Reader {
  return (path, config, readFile) => {
    if (option === "ca" && path === "system") return undefined;
    // TLS is disabled by name, and stays disabled.
    if (config.ssl === false) return undefined;
    let content = "";
    try {
      content = readFile(path);
    } catch {
      // Treated as an empty file.
    }
    if (!content.includes("-----BEGIN ")) return "must be the path of a readable PEM file";
    config.ssl = { ...(typeof config.ssl === "object" ? config.ssl : {}), [option]: content };
    return undefined;
  };
}

/** Returns a reader of a parameter of which only some values have a meaning here: the one that changes nothing. */
function without(values: readonly string[], reason: string): Reader {
  return (value) => values.includes(value) ? undefined : reason;
}

const UNSUPPORTED = "is not supported";

/** Parameters that a URL may also have as a part of its own, with that part. */
const PARTS = { host: "host", port: "port", user: "user", password: "password", dbname: "database" } as const;

/** The other known parameters, in the order in which they are read. A message follows the parameter's name. */
const PARAMETERS: Readonly<Record<string, Reader>> = {
  sslmode: (value, config) => {
    const mode = Object.hasOwn(SSL_MODES, value) ? SSL_MODES[value] : undefined;
    if (mode === undefined) {
      return `must be one of ${Object.keys(SSL_MODES).join(", ")}: other modes may fall back to plaintext`;
    }
    config.ssl = mode;
    return undefined;
  },
  // As in libpq, which knows it from JDBC.
  ssl: (value, config) => {
    if (value !== "true" && value !== "false") return "must be true or false";
    config.ssl ??= value === "true";
    return undefined;
  },
  sslrootcert: pem("ca"),
  sslcert: pem("cert"),
  sslkey: pem("key"),
  options: plain("options"),
  fallback_application_name: plain("applicationName"),
  application_name: plain("applicationName"),
  connect_timeout: (value, config) => {
    if (!/^\d{1,6}$/.test(value) || Number(value) === 0) return "must be a number of seconds";
    config.connectionTimeoutMs = Number(value) * 1_000;
    return undefined;
  },
  keepalives: (value, config) => {
    if (value !== "0" && value !== "1") return "must be 0 or 1";
    config.keepAlive = value === "1";
    return undefined;
  },
  keepalives_idle: (value, config) => {
    if (!/^\d{1,6}$/.test(value)) return "must be a number of seconds";
    config.keepAliveDelayMs = Number(value) * 1_000;
    return undefined;
  },
  pgbouncer: (value, config) => {
    if (value !== "true" && value !== "false") return "must be true or false";
    if (value === "true") config.poolMode = "transaction";
    return undefined;
  },
  channel_binding: without(["prefer", "disable"], "must be prefer or disable: it cannot be required"),
  client_encoding: without(["UTF8", "utf8", "UTF-8", "utf-8", "auto"], "must be UTF8"),
  gssencmode: without(["prefer", "disable"], "must be prefer or disable: GSSAPI is not supported"),
  krbsrvname: () => undefined,
  load_balance_hosts: without(["disable"], "must be disable: only one host is supported"),
  replication: without(["false", "off", "no", "0"], "must be false: replication is not supported"),
  requirepeer: () => UNSUPPORTED,
  sslcompression: without(["0"], "must be 0"),
  sslnegotiation: without(["postgres"], "must be postgres"),
  sslsni: without(["1"], "must be 1"),
  ssl_min_protocol_version: without(["TLSv1", "TLSv1.1", "TLSv1.2"], "must be TLSv1.2"),
  target_session_attrs: (value, config) => {
    const attrs = TARGET_SESSION_ATTRIBUTES.find((one) => one === value);
    if (!attrs) return `must be one of ${TARGET_SESSION_ATTRIBUTES.join(", ")}: only one host is supported`;
    if (attrs !== "any") config.targetSessionAttrs = attrs;
    return undefined;
  },
  ...Object.fromEntries(
    [
      "hostaddr passfile service servicefile tcp_user_timeout keepalives_interval keepalives_count requiressl",
      "sslpassword sslcertmode sslcrl sslcrldir ssl_max_protocol_version require_auth gsslib gssdelegation",
      "min_protocol_version max_protocol_version scram_client_key scram_server_key sslkeylogfile",
    ].join(" ").split(" ").map((name) => [name, () => UNSUPPORTED]),
  ),
};

/** The parameters that change something, for a message. */
const USEFUL = "host, port, user, password, dbname, options, application_name, connect_timeout, keepalives, " +
  "keepalives_idle, sslmode, sslrootcert, sslcert, sslkey, pgbouncer, target_session_attrs";

/** Names an unknown parameter. What is not a plain word may be a part of a password. */
function shownName(name: string): string {
  return /^[a-z]+([_A-Z][a-z]+)*$/.test(name) && name.length <= 40 ? JSON.stringify(name) : "with another name";
}

/** Reads the parameters that are not parts of the URL, and returns what is wrong with them. */
function readParameters(given: UrlParts["parameters"], config: Partial<PostgresConfig>, readFile: ReadFile): string[] {
  const messages: string[] = [];
  const values = new Map<string, string>();
  for (const [name, value] of given) {
    if (!Object.hasOwn(PARAMETERS, name) && !Object.hasOwn(PARTS, name)) {
      messages.push(`has the unknown parameter ${shownName(name)}: the parameters are ${USEFUL}`);
    } else if (values.has(name)) messages.push(`has the parameter ${name} more than once`);
    else values.set(name, value);
  }
  for (const [name, reader] of Object.entries(PARAMETERS)) {
    const value = values.get(name);
    const message = value === undefined ? undefined : reader(value, config, readFile);
    if (message) messages.push(`has the parameter ${name}, which ${message}`);
  }
  return messages;
}

/** Reads the parts that may also be parameters, and returns what is wrong with them: two that differ are one too many. */
function readParts(parts: UrlParts, config: Partial<PostgresConfig>): string[] {
  const messages: string[] = [];
  const values: Record<string, string> = {};
  for (const [name, part] of Object.entries(PARTS)) {
    const parameter = parts.parameters.find(([key, value]) => key === name && value !== "")?.[1];
    if (parameter !== undefined && parts[part] !== "" && parameter !== parts[part]) {
      messages.push(`has two values of ${name}, one of them as a parameter: give one`);
    }
    const value = parameter ?? parts[part];
    if (value !== "") values[part] = value;
  }
  const { host, port, user, password, database } = values;
  if (port !== undefined && !/^\d{1,9}$/.test(port)) messages.push("has the parameter port, which must be a number");
  else if (port !== undefined) config.port = Number(port);
  Object.assign(config, host && { host }, user && { user }, password && { password }, database && { database });
  return messages;
}

/**
 * Reads a URL such as `postgresql://user:password@host:5432/database?sslmode=require` as options. Appends what is wrong
 * with it to `issues`, under `path` and without its content.
 */
export function readUrl(
  raw: string,
  path: string,
  issues: ConfigIssue[],
  readFile: ReadFile = readTextFile,
): Partial<PostgresConfig> {
  const config: Partial<PostgresConfig> = {};
  const parts = splitUrl(raw);
  if (typeof parts === "string") {
    issues.push({ path, message: parts });
    return config;
  }
  const messages = [...readParts(parts, config), ...readParameters(parts.parameters, config, readFile)];
  issues.push(...messages.map((message) => ({ path, message })));
  return config;
}

/**
 * Reads a URL as options; see {@linkcode readUrl}.
 *
 * @throws {ConfigError} listing what is wrong with it.
 */
export function configOfUrl(url: string): Partial<PostgresConfig> {
  const issues: ConfigIssue[] = [];
  const config = readUrl(url, "url", issues);
  if (issues.length > 0) throw new ConfigError(issues, "Postgres URL");
  return config;
}
