/**
 * Connection URLs (PostgreSQL, "Connection URIs").
 *
 * @module
 */
import { ConfigError, type ConfigIssue } from "../../pool/mod.ts";
import type { PostgresConfig, TlsOptions } from "./config.ts";

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

/** Reads one parameter of a URL into `config`, or returns what is wrong with it. */
type Reader = (value: string, config: Partial<PostgresConfig>, readFile: ReadFile) => string | undefined;

/** Returns a reader of a parameter that is one option. */
function plain(option: "host" | "user" | "password" | "database" | "applicationName" | "options"): Reader {
  return (value, config) => {
    if (value !== "") config[option] = value;
    return undefined;
  };
}

/** Returns a reader of a parameter that names a PEM file. */
function pem(name: string, option: "ca" | "cert" | "key"): Reader {
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
    if (!content.includes("-----BEGIN ")) return `${name} must be the path of a readable PEM file`;
    config.ssl = { ...(typeof config.ssl === "object" ? config.ssl : {}), [option]: content };
    return undefined;
  };
}

/** The known parameters, in the order in which they are read. */
const PARAMETERS: Readonly<Record<string, Reader>> = {
  sslmode: (value, config) => {
    const mode = Object.hasOwn(SSL_MODES, value) ? SSL_MODES[value] : undefined;
    if (mode === undefined) {
      return `sslmode must be one of ${Object.keys(SSL_MODES).join(", ")}: ` +
        "other modes may fall back to plaintext";
    }
    config.ssl = mode;
    return undefined;
  },
  sslrootcert: pem("sslrootcert", "ca"),
  sslcert: pem("sslcert", "cert"),
  sslkey: pem("sslkey", "key"),
  host: plain("host"),
  port: (value, config) => {
    if (!/^\d{1,5}$/.test(value)) return "port must be a number";
    config.port = Number(value);
    return undefined;
  },
  user: plain("user"),
  password: plain("password"),
  dbname: plain("database"),
  options: plain("options"),
  application_name: plain("applicationName"),
  connect_timeout: (value, config) => {
    if (!/^\d{1,6}$/.test(value) || Number(value) === 0) return "connect_timeout must be a number of seconds";
    config.connectionTimeoutMs = Number(value) * 1_000;
    return undefined;
  },
  pgbouncer: (value, config) => {
    if (value !== "true" && value !== "false") return "pgbouncer must be true or false";
    if (value === "true") config.poolMode = "transaction";
    return undefined;
  },
};

const FORM = "must be a URL such as postgresql://user:password@host:5432/database of one host, with special " +
  "characters percent-encoded: # in a password is %23, / is %2F";

function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

/** Reads the parameters of a URL into `config`, and returns what is wrong with them. */
function readParameters(given: URLSearchParams, config: Partial<PostgresConfig>, readFile: ReadFile): string[] {
  const known = Object.keys(PARAMETERS);
  const wrong = new Set(given.keys()).difference(new Set(known));
  const messages = [...wrong].map((name) =>
    `has the unknown parameter ${JSON.stringify(name.slice(0, 40))}: the parameters are ${known.join(", ")}`
  );
  for (const [name, reader] of Object.entries(PARAMETERS)) {
    const [value, ...more] = given.getAll(name);
    if (value === undefined) continue;
    const message = more.length > 0 ? `has the parameter ${name} more than once` : reader(value, config, readFile);
    if (message) messages.push(message);
  }
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
  readFile: ReadFile = Deno.readTextFileSync,
): Partial<PostgresConfig> {
  const config: Partial<PostgresConfig> = {};
  const url = URL.canParse(raw) ? new URL(raw) : undefined;
  // The part behind a # is mostly the rest of a password, which would be ignored silently.
  if (!url || !/^postgres(ql)?:$/.test(url.protocol) || url.hash !== "" || url.hostname.includes(",")) {
    issues.push({ path, message: FORM });
    return config;
  }
  const parts = [url.hostname, url.username, url.password, url.pathname.slice(1)].map(decode);
  const [host, user, password, database] = parts;
  if (parts.includes(undefined)) issues.push({ path, message: "has a part that is not percent-encoded" });
  // Only a URL has an IPv6 address in brackets.
  if (host) config.host = host.replace(/^\[(.*)\]$/, "$1");
  if (url.port) config.port = Number(url.port);
  if (user) config.user = user;
  if (password) config.password = password;
  if (database) config.database = database;
  for (const message of readParameters(url.searchParams, config, readFile)) issues.push({ path, message });
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
