/**
 * Reads the configuration of direct Postgres from the environment: `SUPABASE_DB_URL`, `DB_*`, and `POSTGRES_*` as
 * aliases.
 *
 * @module
 */
import { type ValueSchema, VariableReader, type Variables } from "../../environment/mod.ts";
import { ConfigError, type ConfigIssue } from "../../pool/mod.ts";
import { readTextFile, readUrl } from "./config_url.ts";
import { parsePostgresConfig, postgresConfigShape } from "./config.ts";
import { POSTGRES_PRESETS, type PostgresConfig, type PostgresPresetName, type TlsOptions } from "./options.ts";

/** Options of the pool of one priority, which win over the common ones. */
export type PriorityOverrides = Readonly<Partial<PostgresConfig>>;

/** A checked environment. */
export interface PostgresEnvironment {
  /** The options that a preset, the URL or a variable sets. Every other option keeps its default. */
  readonly config: Readonly<Partial<PostgresConfig>>;
  /** The options of the pool of high priority, from `DB_HIGH_PRIORITY_*`. */
  readonly highPriority: PriorityOverrides;
  /** The options of the pool of low priority, from `DB_LOW_PRIORITY_*`. */
  readonly lowPriority: PriorityOverrides;
  /** The options of the admin pool, from `DB_ADMIN_*`. */
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
  CONNECT_RETRY: "connectRetryMs",
  ACQUIRE_TIMEOUT: "acquireTimeoutMs",
  RETRY_ATTEMPTS: "maxRetries",
  RETRY_DELAY: "retryDelayMs",
  HEALTH_CHECK_INTERVAL: "healthCheckIntervalMs",
  QUERY_TIMEOUT: "queryTimeoutMs",
  ADAPTIVE_LIMIT: "adaptiveLimit",
  POOL_MODE: "poolMode",
  TARGET_SESSION_ATTRS: "targetSessionAttrs",
  TRUSTED_LOGIN: "trustedLogin",
  POOL_ENABLED: "enabled",
  RETRIES: "retries",
  PRIORITIES: "priorities",
  HEALTH_CHECKS: "healthChecks",
  FAIR_SHARE: "fairShare",
};

/** The options that one variable switches on or off. */
const SWITCHES: Readonly<Record<string, Option>> = { CIRCUIT_BREAKER: "circuitBreaker", RETRY_BUDGET: "retryBudget" };

/** The options of one priority, by the part behind `DB_HIGH_PRIORITY_`, `DB_LOW_PRIORITY_` or `DB_ADMIN_`. */
const OF_PRIORITY = {
  MAX: "maxConnections",
  MIN: "minConnections",
  USER: "user",
  PASSWORD: "password",
  IDLE_TIMEOUT: "idleTimeoutMs",
  CONNECTION_TIMEOUT: "connectionTimeoutMs",
  CONNECT_RETRY: "connectRetryMs",
  ACQUIRE_TIMEOUT: "acquireTimeoutMs",
  QUERY_TIMEOUT: "queryTimeoutMs",
} as const satisfies Record<string, Option>;

function ofPriority(prefix: string): Readonly<Record<string, Option>> {
  return Object.fromEntries(Object.entries(OF_PRIORITY).map(([end, option]) => [`${prefix}_${end}`, option]));
}

/** The sizes by priority of the preset `edge`: each of many isolates may have all three pools. */
export const EDGE_PRIORITIES: Readonly<Record<"highPriority" | "lowPriority" | "admin", PriorityOverrides>> = Object
  .freeze({
    highPriority: Object.freeze({ maxConnections: 4, minConnections: 0 }),
    lowPriority: Object.freeze({ maxConnections: 2, minConnections: 0 }),
    admin: Object.freeze({ maxConnections: 1, minConnections: 0 }),
  });

const TLS_TEXTS = { SSL_CA: "ca", SSL_KEY: "key", SSL_CERT: "cert" } as const;

/** Returns the variables that set something: `DB_*` wins over `POSTGRES_*`. */
function namesOf(end: string): readonly string[] {
  const names = [`DB_${end}`, `POSTGRES_${end}`];
  // The name that the container image of Postgres uses.
  return end === "NAME" ? [...names, "POSTGRES_DB"] : names;
}

/** One reading of the environment. */
class EnvironmentReader {
  readonly #reader: VariableReader;
  readonly #readFile: (path: string) => string;

  constructor(variables: Variables | undefined, readFile: (path: string) => string) {
    this.#reader = new VariableReader(variables);
    this.#readFile = readFile;
  }

  /** The issues so far. */
  get issues(): ConfigIssue[] {
    return this.#reader.issues;
  }

  /** Returns the options that a table of variables sets. */
  options(table: Readonly<Record<string, Option>>): Record<string, unknown> {
    const entries = Object.entries(table).map(([end, option]) => {
      const schemaOf: () => ValueSchema<unknown> = postgresConfigShape[option];
      return [option, this.#reader.value(namesOf(end), schemaOf, { secret: option === "password" })] as const;
    });
    return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
  }

  /** Reads `DB_SSL` and `DB_SSL_*`. A certificate alone turns TLS on. */
  tls(): boolean | TlsOptions | undefined {
    const wanted = this.#reader.switch(namesOf("SSL"));
    const rejectUnauthorized = this.#reader.switch(namesOf("SSL_REJECT_UNAUTHORIZED"));
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

  /** Returns the PEM that a variable contains, or that is in the file it names. */
  #pem(end: string): string | undefined {
    const found = this.#reader.find(namesOf(end));
    if (!found) return undefined;
    const { name, raw } = found;
    try {
      const pem = raw.startsWith("-----BEGIN ") ? raw.replaceAll("\\n", "\n") : this.#readFile(raw);
      if (pem.includes("-----BEGIN ")) return pem;
      this.issues.push({ path: name, message: "must name a file that contains PEM" });
    } catch {
      this.issues.push({ path: name, message: "must be PEM, or the path of a readable file that contains PEM" });
    }
    return undefined;
  }

  /** Reads `SUPABASE_DB_URL`. */
  url(): Partial<PostgresConfig> {
    const name = "SUPABASE_DB_URL";
    const raw = this.#reader.text(name);
    return raw === undefined ? {} : readUrl(raw, name, this.issues, this.#readFile);
  }

  /** Returns the options of a table that are only switched on or off. */
  switches(table: Readonly<Record<string, Option>>): Record<string, unknown> {
    const entries = Object.entries(table).map(([end, option]) => [option, this.#reader.switch(namesOf(end))] as const);
    return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
  }

  /** Returns the preset that `DB_PRESET` names. */
  preset(): PostgresPresetName | undefined {
    return this.#reader.choice(namesOf("PRESET"), Object.keys(POSTGRES_PRESETS) as PostgresPresetName[]);
  }

  /** Checks the options together: values that are valid alone may contradict each other. */
  checkTogether(config: Partial<PostgresConfig>): void {
    if (this.issues.length > 0) return;
    try {
      parsePostgresConfig(config);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const nameOf = (path: string) => Object.entries(OPTIONS).find(([, option]) => option === path)?.[0];
      for (const { path, message } of error.issues) {
        const end = nameOf(path);
        this.issues.push({ path: end ? this.#reader.find(namesOf(end))?.name ?? `DB_${end}` : path, message });
      }
    }
  }
}

/**
 * Reads and checks `SUPABASE_DB_URL`, `DB_PRESET` and every `DB_*` variable
 * (`POSTGRES_*` where the twin is not set). A single variable wins over the
 * URL, the URL over the preset. Certificates and keys may be PEM or paths.
 *
 * @param variables Environment variables by name. Default: those of this process.
 * @param readFile Reads a certificate or key. Default: from the file system.
 * @throws {ConfigError} listing every bad variable, its value (hidden where it may be secret) and the valid values.
 */
export function readPostgresEnvironment(
  variables?: Variables,
  readFile: (path: string) => string = readTextFile,
): PostgresEnvironment {
  const reader = new EnvironmentReader(variables, readFile);
  const ssl = reader.tls();
  const preset = reader.preset();
  const config: Partial<PostgresConfig> = {
    ...(preset && POSTGRES_PRESETS[preset]),
    ...reader.url(),
    ...reader.options(OPTIONS),
    ...(ssl === undefined ? {} : { ssl }),
    ...reader.switches(SWITCHES),
  };
  const sizes = preset === "edge" ? EDGE_PRIORITIES : undefined;
  const highPriority = { ...sizes?.highPriority, ...reader.options(ofPriority("HIGH_PRIORITY")) };
  const lowPriority = { ...sizes?.lowPriority, ...reader.options(ofPriority("LOW_PRIORITY")) };
  const admin = { ...sizes?.admin, ...reader.options(ofPriority("ADMIN")) };
  reader.checkTogether(config);
  if (reader.issues.length > 0) throw new ConfigError(reader.issues, "environment");
  return Object.freeze({ config: Object.freeze(config), highPriority, lowPriority, admin });
}
