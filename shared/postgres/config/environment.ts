/**
 * What the environment says about direct Postgres: `SUPABASE_DB_URL`, `DB_*`,
 * and `POSTGRES_*` as their aliases.
 *
 * @module
 */
import { ConfigError, type ConfigIssue } from "../../pool/mod.ts";
import { readUrl } from "./config_url.ts";
import {
  parsePostgresConfig,
  POSTGRES_PRESETS,
  type PostgresConfig,
  postgresConfigShape,
  type PostgresPresetName,
  type TlsOptions,
} from "./config.ts";

/** Environment variables by name. An empty value counts as not set. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** What sets the pool of one priority apart. */
export type PriorityOverrides = Readonly<Partial<PostgresConfig>>;

/** A checked environment. */
export interface PostgresEnvironment {
  /** The options that a preset, the URL or a variable sets; every other one keeps its default. */
  readonly config: Readonly<Partial<PostgresConfig>>;
  /** What differs by priority. */
  readonly highPriority: PriorityOverrides;
  readonly lowPriority: PriorityOverrides;
  readonly admin: PriorityOverrides;
}

type Option = keyof PostgresConfig;

/** The options that one variable sets, by the end of its name. */
const OPTIONS: Readonly<Record<string, Option>> = {
  HOST: "host",
  PORT: "port",
  NAME: "database",
  USER: "user",
  PASSWORD: "password",
  KEEP_ALIVE: "keepAlive",
  KEEP_ALIVE_DELAY: "keepAliveDelayMs",
  MAX_CONNECTIONS: "maxConnections",
  MIN_CONNECTIONS: "minConnections",
  IDLE_TIMEOUT: "idleTimeoutMs",
  CONNECTION_TIMEOUT: "connectionTimeoutMs",
  ACQUIRE_TIMEOUT: "acquireTimeoutMs",
  RETRY_ATTEMPTS: "maxRetries",
  RETRY_DELAY: "retryDelayMs",
  HEALTH_CHECK_INTERVAL: "healthCheckIntervalMs",
  QUERY_TIMEOUT: "queryTimeoutMs",
  POOL_MODE: "poolMode",
  TRUSTED_LOGIN: "trustedLogin",
};

/** Those of one priority, by what follows `DB_HIGH_PRIORITY_`, `DB_LOW_PRIORITY_` or `DB_ADMIN_`. */
const OF_PRIORITY = {
  MAX: "maxConnections",
  MIN: "minConnections",
  USER: "user",
  PASSWORD: "password",
  IDLE_TIMEOUT: "idleTimeoutMs",
  CONNECTION_TIMEOUT: "connectionTimeoutMs",
  ACQUIRE_TIMEOUT: "acquireTimeoutMs",
  QUERY_TIMEOUT: "queryTimeoutMs",
} as const satisfies Record<string, Option>;

function ofPriority(prefix: string): Readonly<Record<string, Option>> {
  return Object.fromEntries(Object.entries(OF_PRIORITY).map(([end, option]) => [`${prefix}_${end}`, option]));
}

/** What a preset says of the pools by priority: on the edge each of many isolates has all of them. */
const PRIORITIES_OF_PRESET: Readonly<Partial<Record<PostgresPresetName, readonly PriorityOverrides[]>>> = {
  edge: [
    { maxConnections: 4, minConnections: 0 },
    { maxConnections: 2, minConnections: 0 },
    { maxConnections: 1, minConnections: 0 },
  ],
};

const TLS_TEXTS = { SSL_CA: "ca", SSL_KEY: "key", SSL_CERT: "cert" } as const;

const SWITCH: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["on", true],
  ["1", true],
  ["false", false],
  ["off", false],
  ["0", false],
]);

const SECRET: ReadonlySet<Option> = new Set<Option>(["password"]);

/** What a variable held, for a message: cut short, and not at all where it is or looks like a secret. */
function shown(raw: string, option?: Option): string {
  if ((option && SECRET.has(option)) || raw.includes("://") || raw.includes("@")) return "is set";
  return raw.length > 40 ? `is a text of ${raw.length} characters` : `is ${JSON.stringify(raw)}`;
}

/** One reading of the environment. */
class EnvironmentReader {
  readonly issues: ConfigIssue[] = [];
  readonly #variables: Variables;
  readonly #readFile: (path: string) => string;

  constructor(variables: Variables, readFile: (path: string) => string) {
    this.#variables = variables;
    this.#readFile = readFile;
  }

  /** The variable that sets something, and its value: `DB_*` wins over `POSTGRES_*`. */
  find(end: string): { readonly name: string; readonly raw: string } | undefined {
    const names = [`DB_${end}`, `POSTGRES_${end}`];
    // The name that Postgres's own container image uses.
    if (end === "NAME") names.push("POSTGRES_DB");
    for (const name of names) {
      const raw = end.endsWith("PASSWORD") ? this.#variables[name] : this.#variables[name]?.trim();
      if (raw !== undefined && raw !== "") return { name, raw };
    }
    return undefined;
  }

  /** The value of the option that a variable sets, if it is set and may be so. */
  option(end: string, option: Option): unknown {
    const found = this.find(end);
    if (!found) return undefined;
    const { name, raw } = found;
    const result = postgresConfigShape[option]().safeParse(coerce(option, raw));
    if (result.success) return result.data;
    const allowed = result.error.issues[0]?.message ?? "not allowed";
    this.issues.push({ path: name, message: `${shown(raw, option)}, ${allowed}` });
    return undefined;
  }

  /** What a table of variables sets. */
  options(table: Readonly<Record<string, Option>>): Record<string, unknown> {
    const entries = Object.entries(table).map(([end, option]) => [option, this.option(end, option)] as const);
    return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
  }

  /** A switch, if it is set. */
  flag(end: string): boolean | undefined {
    const found = this.find(end);
    if (!found) return undefined;
    const value = SWITCH.get(found.raw.toLowerCase());
    if (value === undefined) {
      this.issues.push({ path: found.name, message: `${shown(found.raw)}, must be true or false` });
    }
    return value;
  }

  /** `DB_SSL` and what begins with it; `undefined` where none is set. A certificate alone means that TLS is wanted. */
  tls(): boolean | TlsOptions | undefined {
    const wanted = this.flag("SSL");
    const rejectUnauthorized = this.flag("SSL_REJECT_UNAUTHORIZED");
    const texts = Object.entries(TLS_TEXTS).flatMap(([end, option]) => {
      const pem = this.#pem(end);
      return pem === undefined ? [] : [[option, pem] as const];
    });
    if (wanted === false || (wanted === undefined && texts.length === 0 && rejectUnauthorized === undefined)) {
      return wanted;
    }
    if (texts.length === 0 && rejectUnauthorized === undefined) return true;
    return { ...Object.fromEntries(texts), ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }) };
  }

  /** The PEM that a variable holds, or that the file it names holds. */
  #pem(end: string): string | undefined {
    const found = this.find(end);
    if (!found) return undefined;
    const { name, raw } = found;
    try {
      const pem = raw.startsWith("-----BEGIN ") ? raw.replaceAll("\\n", "\n") : this.#readFile(raw);
      if (pem.includes("-----BEGIN ")) return pem;
      this.issues.push({ path: name, message: "names a file that holds no PEM" });
    } catch {
      this.issues.push({ path: name, message: "must be PEM, or the path of a file that holds it and can be read" });
    }
    return undefined;
  }

  /** The URL, if there is one. */
  url(): Partial<PostgresConfig> {
    const name = "SUPABASE_DB_URL";
    const raw = this.#variables[name]?.trim();
    return raw ? readUrl(raw, name, this.issues, this.#readFile) : {};
  }

  /** The preset, if one is named. */
  preset(): PostgresPresetName | undefined {
    const found = this.find("PRESET");
    if (!found) return undefined;
    const names = Object.keys(POSTGRES_PRESETS) as PostgresPresetName[];
    const preset = names.find((name) => name === found.raw.toLowerCase());
    if (!preset) {
      this.issues.push({ path: found.name, message: `${shown(found.raw)}, must be one of ${names.join(", ")}` });
    }
    return preset;
  }

  /** Options that are fine alone may not go together. */
  checkTogether(config: Partial<PostgresConfig>): void {
    if (this.issues.length > 0) return;
    try {
      parsePostgresConfig(config);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const nameOf = (path: string) => Object.entries(OPTIONS).find(([, option]) => option === path)?.[0];
      for (const { path, message } of error.issues) {
        const end = nameOf(path);
        this.issues.push({ path: end ? this.find(end)?.name ?? `DB_${end}` : path, message });
      }
    }
  }
}

/** The text as the type the option has; left as it is where it does not read as one. */
function coerce(option: Option, raw: string): unknown {
  if (option === "keepAlive") return SWITCH.get(raw.toLowerCase()) ?? raw;
  if (option === "poolMode") return raw.toLowerCase();
  const numeric = postgresConfigShape[option]().safeParse(1).success;
  return numeric && /^(-?\d+(\.\d+)?|Infinity)$/.test(raw) ? Number(raw) : raw;
}

/**
 * Reads and checks `SUPABASE_DB_URL`, `DB_PRESET` and every `DB_*` variable
 * (`POSTGRES_*` where the twin is not set). A single variable wins over the
 * URL, the URL over the preset. Certificates and keys may be PEM or paths.
 *
 * @param variables Default: the variables of this process.
 * @throws {ConfigError} listing every bad variable, what it held (of a secret nothing) and what it may hold.
 */
export function readPostgresEnvironment(
  variables: Variables = Deno.env.toObject(),
  readFile: (path: string) => string = Deno.readTextFileSync,
): PostgresEnvironment {
  const reader = new EnvironmentReader(variables, readFile);
  const ssl = reader.tls();
  const preset = reader.preset();
  const config: Partial<PostgresConfig> = {
    ...(preset && POSTGRES_PRESETS[preset]),
    ...reader.url(),
    ...reader.options(OPTIONS),
    ...(ssl === undefined ? {} : { ssl }),
  };
  const [high, low, own] = preset ? PRIORITIES_OF_PRESET[preset] ?? [] : [];
  const highPriority = { ...high, ...reader.options(ofPriority("HIGH_PRIORITY")) };
  const lowPriority = { ...low, ...reader.options(ofPriority("LOW_PRIORITY")) };
  const admin = { ...own, ...reader.options(ofPriority("ADMIN")) };
  reader.checkTogether(config);
  if (reader.issues.length > 0) throw new ConfigError(reader.issues, "environment");
  return Object.freeze({ config: Object.freeze(config), highPriority, lowPriority, admin });
}
