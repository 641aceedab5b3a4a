/**
 * The environment variables of a project's pools: its URL, its API keys and `POOL_*`.
 *
 * @module
 */
import { VariableReader, type Variables } from "../environment/mod.ts";
import { ConfigError, type PresetName, PRESETS } from "../pool/mod.ts";
import { parseSupabasePoolConfig, type SupabasePoolConfig, supabasePoolConfigShape } from "./config.ts";
import { kindOfKey, type PoolKind } from "./keys.ts";

/** A project and the options of its pools, as the environment has them, checked. */
export interface SupabaseEnvironment {
  /** The project's URL, from `SUPABASE_URL`, without a trailing slash. */
  readonly url: string;
  /** Publishable keys by name. */
  readonly publishableKeys: Readonly<Record<string, string>>;
  /** Secret keys by name. Default: none. */
  readonly secretKeys: Readonly<Record<string, string>>;
  /** The key of user pools: the publishable key named `default`, or the first one. */
  readonly publishableKey: string;
  /** The key of admin pools: the secret key named `default`, or the first one. Default: none. */
  readonly secretKey: string | undefined;
  /** The options of the pools that `POOL_PRESET` or a variable sets. Every other option keeps its default. */
  readonly pool: Readonly<Partial<SupabasePoolConfig>>;
}

/** The variables that may hold the keys of one kind. The first that holds one counts. */
interface KeyVariables {
  readonly kind: PoolKind;
  /** The kind's name in variables and keys. */
  readonly name: string;
  readonly plural: string;
  readonly singular: string;
  readonly legacy: string;
}

const PUBLISHABLE: KeyVariables = {
  kind: "user",
  name: "publishable",
  plural: "SUPABASE_PUBLISHABLE_KEYS",
  singular: "SUPABASE_PUBLISHABLE_KEY",
  legacy: "SUPABASE_ANON_KEY",
};

const SECRET: KeyVariables = {
  kind: "admin",
  name: "secret",
  plural: "SUPABASE_SECRET_KEYS",
  singular: "SUPABASE_SECRET_KEY",
  legacy: "SUPABASE_SERVICE_ROLE_KEY",
};

function parseKeyMap(raw: string): Record<string, string> | undefined {
  try {
    const parsed: unknown = JSON.parse(raw);
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return undefined;
    const entries = Object.entries(parsed);
    if (!entries.every(([name, key]) => name !== "" && typeof key === "string" && key !== "")) return undefined;
    return Object.fromEntries(entries);
  } catch {
    return undefined;
  }
}

function readKeys(reader: VariableReader, names: KeyVariables): Readonly<Record<string, string>> {
  const plural = reader.text(names.plural);
  let path = names.plural;
  let keys = plural === undefined ? {} : parseKeyMap(plural);
  if (keys === undefined) {
    const message = `must be a JSON object mapping names to keys, for example {"default":"sb_${names.name}_\u2026"}`;
    reader.issues.push({ path, message });
    return {};
  }
  if (Object.keys(keys).length === 0) {
    const single = reader.find([names.singular, names.legacy]);
    if (single) {
      path = single.name;
      keys = { default: single.raw };
    }
  }
  for (const [name, key] of Object.entries(keys)) {
    if (kindOfKey(key) === names.kind) continue;
    reader.issues.push({
      path,
      message: names.kind === "user"
        ? `(${name}) is a secret key: user requests would bypass row-level security`
        : `(${name}) is not a secret key: expected sb_secret_\u2026 or a legacy service_role key`,
    });
  }
  return Object.freeze(keys);
}

/** Returns the key named `default`, or the first one. */
function defaultKey(keys: Readonly<Record<string, string>>): string | undefined {
  return Object.hasOwn(keys, "default") ? keys["default"] : Object.values(keys)[0];
}

function readUrl(reader: VariableReader): string {
  const path = "SUPABASE_URL";
  const raw = reader.text(path);
  const url = raw === undefined ? null : URL.parse(raw);
  if (raw === undefined) {
    reader.issues.push({ path, message: "must be set to the project URL, for example https://<ref>.supabase.co" });
  } else if (url === null || !/^https?:$/.test(url.protocol)) {
    reader.issues.push({ path, message: "must be an http or https URL" });
  } else if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    reader.issues.push({ path, message: "must not contain a user, password, query or fragment" });
  }
  return url?.href.replace(/(?<!\/)\/+$/, "") ?? "";
}

type Option = keyof SupabasePoolConfig;

/** Options that no variable can hold: they are functions or records. */
const IN_CODE_ONLY: ReadonlySet<Option> = new Set<Option>(["headers", "healthQuery", "fetch"]);

/** The variables that configure handlers; `shared/http` reads them. */
const HANDLER_VARIABLES = [
  "POOL_HEADERS",
  "POOL_REMEMBER_TOKENS_MS",
  "POOL_DEADLINE_MS",
  "POOL_MEMORY_LIMIT_MB",
  "POOL_TRACING",
  "POOL_METRICS",
  "POOL_LOG_LEVEL",
  "POOL_LOG_SAMPLE",
  "POOL_FLEET",
  "POOL_FLEET_CAP",
  "POOL_ALERT_WEBHOOK_URL",
  "POOL_ALERT_WEBHOOK_SECRET",
];

/** Returns the variable of an option, for example `POOL_MAX_CONNECTIONS` for `maxConnections`. */
function poolVariableOf(option: string): string {
  return `POOL_${option.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

let options: ReadonlyMap<string, Option> | undefined;

/** Returns the options by variable. Created on first use: most functions set none. */
function optionsByVariable(): ReadonlyMap<string, Option> {
  return options ??= new Map(
    (Object.keys(supabasePoolConfigShape) as Option[])
      .filter((option) => !IN_CODE_ONLY.has(option))
      .map((option) => [poolVariableOf(option), option]),
  );
}

/** Returns the name of every `POOL_*` variable. */
export function poolVariables(): readonly string[] {
  return [...optionsByVariable().keys(), "POOL_PRESET", ...HANDLER_VARIABLES];
}

const NO_OPTIONS: Readonly<Partial<SupabasePoolConfig>> = Object.freeze({});

/**
 * Reads the options of the pool. A variable for one option wins over `POOL_PRESET`. Issues go to `reader`, unknown
 * `POOL_*` names among them.
 */
function readPoolVariables(reader: VariableReader): Readonly<Partial<SupabasePoolConfig>> {
  if (reader.namesWith("POOL_").length === 0) return NO_OPTIONS;
  const issuesBefore = reader.issues.length;
  reader.rejectUnknown("POOL_", poolVariables());

  const pool: Record<string, unknown> = {};
  const preset = reader.choice("POOL_PRESET", Object.keys(PRESETS) as PresetName[]);
  if (preset) Object.assign(pool, PRESETS[preset]);
  for (const [name, option] of optionsByVariable()) {
    const value = reader.value<unknown>(name, supabasePoolConfigShape[option]);
    if (value !== undefined) pool[option] = value;
  }
  if (Object.keys(pool).length === 0) return NO_OPTIONS;
  if (reader.issues.length === issuesBefore) checkTogether(pool, reader);
  return Object.freeze(pool);
}

/** Checks the options together: values that are valid alone may contradict each other. */
function checkTogether(pool: Record<string, unknown>, reader: VariableReader): void {
  const { minConnections, maxConnections } = pool;
  const minIsPreset = reader.text(poolVariableOf("minConnections")) === undefined;
  // Lowering only the maximum of a preset lowers its minimum too.
  if (minIsPreset && typeof minConnections === "number" && typeof maxConnections === "number") {
    pool.minConnections = Math.min(minConnections, maxConnections);
  }
  try {
    parseSupabasePoolConfig(pool);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    reader.issues.push(...error.issues.map(({ path, message }) => ({ path: poolVariableOf(path), message })));
  }
}

/**
 * Reads the variables of {@linkcode readSupabaseEnvironment}. Issues go to `reader`; with issues, the result is not
 * complete.
 */
export function readProjectVariables(reader: VariableReader): SupabaseEnvironment {
  const url = readUrl(reader);
  const publishableKeys = readKeys(reader, PUBLISHABLE);
  const secretKeys = readKeys(reader, SECRET);
  const publishableKey = defaultKey(publishableKeys) ?? "";
  if (publishableKey === "" && !reader.issues.some(({ path }) => path === PUBLISHABLE.plural)) {
    const message = `Set this, ${PUBLISHABLE.singular} or ${PUBLISHABLE.legacy}: user requests need a publishable key`;
    reader.issues.push({ path: PUBLISHABLE.plural, message });
  }
  const pool = readPoolVariables(reader);
  return { url, publishableKeys, secretKeys, publishableKey, secretKey: defaultKey(secretKeys), pool };
}

/**
 * Reads and checks the variables of a project's pools:
 *
 * - `SUPABASE_URL`;
 * - the API keys: `SUPABASE_PUBLISHABLE_KEYS` and `SUPABASE_SECRET_KEYS` (JSON objects mapping names to keys), or
 *   `SUPABASE_PUBLISHABLE_KEY` and `SUPABASE_SECRET_KEY`, or the legacy `SUPABASE_ANON_KEY` and
 *   `SUPABASE_SERVICE_ROLE_KEY`, by the rules of `@supabase/server`;
 * - `POOL_PRESET`, and a `POOL_*` variable for each option of the pool, for example `POOL_MAX_CONNECTIONS`.
 *
 * @param variables Default: the variables of this process.
 * @throws {ConfigError} listing every bad variable. No message contains a key.
 */
export function readSupabaseEnvironment(variables?: Variables): SupabaseEnvironment {
  const reader = new VariableReader(variables);
  const environment = readProjectVariables(reader);
  if (reader.issues.length > 0) throw new ConfigError(reader.issues, "environment");
  return Object.freeze(environment);
}
