/**
 * Connection URLs (PostgreSQL, "Connection URIs").
 *
 * @module
 */
import { ConfigError, type ConfigIssue } from "../pool/mod.ts";
import type { PostgresConfig, TlsOptions } from "./config.ts";

/** What libpq's `sslmode` means here: whatever encrypts also verifies, unless verification is declined by name. */
const SSL_MODES: Readonly<Record<string, boolean | TlsOptions>> = {
  disable: false,
  require: true,
  "verify-ca": true,
  "verify-full": true,
  "no-verify": { rejectUnauthorized: false },
};

/** A URL in several ways at once, and its parameters by name. */
type Reader = (value: string, config: Partial<PostgresConfig>) => string | undefined;

const PARAMETERS: Readonly<Record<string, Reader>> = {
  sslmode: (value, config) => {
    const mode = Object.hasOwn(SSL_MODES, value) ? SSL_MODES[value] : undefined;
    if (mode === undefined) return `sslmode must be one of ${Object.keys(SSL_MODES).join(", ")}`;
    config.ssl = mode;
    return undefined;
  },
  application_name: (value, config) => {
    config.applicationName = value;
    return undefined;
  },
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

function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

/**
 * The options that a URL such as
 * `postgresql://user:password@host:5432/database?sslmode=require` stands for.
 * What is wrong with it is appended to `issues`, under `path`; nothing of it is shown.
 */
export function readUrl(raw: string, path: string, issues: ConfigIssue[]): Partial<PostgresConfig> {
  const config: Partial<PostgresConfig> = {};
  const url = URL.canParse(raw) ? new URL(raw) : undefined;
  if (!url || !/^postgres(ql)?:$/.test(url.protocol)) {
    issues.push({ path, message: "must be a URL such as postgresql://user:password@host:5432/database" });
    return config;
  }
  const parts = [url.hostname, url.username, url.password, url.pathname.slice(1)].map(decode);
  const [host, user, password, database] = parts;
  if (parts.includes(undefined)) issues.push({ path, message: "holds a part that is not percent-encoded" });
  // An IPv6 address stands in brackets in a URL only.
  if (host) config.host = host.replace(/^\[(.*)\]$/, "$1");
  if (url.port) config.port = Number(url.port);
  if (user) config.user = user;
  if (password) config.password = password;
  if (database) config.database = database;
  for (const [name, value] of url.searchParams) {
    const reader = Object.hasOwn(PARAMETERS, name) ? PARAMETERS[name] : undefined;
    const message = reader
      ? reader(value, config)
      : `holds the parameter ${JSON.stringify(name.slice(0, 40))}; those known are ${
        Object.keys(PARAMETERS).join(", ")
      }`;
    if (message) issues.push({ path, message });
  }
  return config;
}

/**
 * {@linkcode readUrl} of a URL that must be good.
 *
 * @throws {ConfigError} listing what is wrong with it.
 */
export function configOfUrl(url: string): Partial<PostgresConfig> {
  const issues: ConfigIssue[] = [];
  const config = readUrl(url, "url", issues);
  if (issues.length > 0) throw new ConfigError(issues, "Postgres URL");
  return config;
}
