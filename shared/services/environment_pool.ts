/**
 * The `POOL_*` environment variables.
 *
 * @module
 */
import { ConfigError, type ConfigIssue, PRESETS } from "../pool/mod.ts";
import {
  DEFAULT_SUPABASE_POOL_CONFIG,
  parseSupabasePoolConfig,
  type SupabasePoolConfig,
  supabasePoolConfigShape,
} from "../supabase/mod.ts";
import { valueOf, type Variables } from "./environment_keys.ts";
import {
  DEFAULT_HANDLER_SETTINGS,
  HANDLER_SETTINGS,
  type HandlerSettings,
  handlerSettingsShape,
} from "./handler_settings.ts";
import { nearestName } from "../environment/nearest_name.ts";

type Option = keyof SupabasePoolConfig;

/** Options that no variable can hold: they are functions or records. */
const IN_CODE_ONLY: ReadonlySet<Option> = new Set<Option>(["headers", "healthQuery", "fetch"]);

/** `maxConnections` → `POOL_MAX_CONNECTIONS`. */
function variableOf(option: string): string {
  return `POOL_${option.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

let options: ReadonlyMap<string, Option> | undefined;

/** The options by their variables, made when they are first asked for: most functions set none. */
function optionsByVariable(): ReadonlyMap<string, Option> {
  return options ??= new Map(
    (Object.keys(supabasePoolConfigShape) as Option[])
      .filter((option) => !IN_CODE_ONLY.has(option))
      .map((option) => [variableOf(option), option]),
  );
}

/** Every variable of the pool: one to each option and setting that fits in one, `POOL_PRESET` and `POOL_HEADERS`. */
export function poolVariables(): readonly string[] {
  return [...optionsByVariable().keys(), ...HANDLER_SETTINGS.map(variableOf), "POOL_PRESET", "POOL_HEADERS"];
}

const SWITCH: ReadonlyMap<string, boolean> = new Map([
  ["on", true],
  ["true", true],
  ["1", true],
  ["off", false],
  ["false", false],
  ["0", false],
]);

/** What a variable held, for a message: cut short, and not at all where it looks like a key. */
function shown(raw: string): string {
  if (/^(eyJ|sb_)|:\/\//.test(raw)) return "is set to something like a key or URL";
  return raw.length > 40 ? `is a text of ${raw.length} characters` : `is ${JSON.stringify(raw)}`;
}

/** The text as a number; left as it is where it does not read as one. */
function toNumber(raw: string): unknown {
  return /^([+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|Infinity)$/i.test(raw) ? Number(raw) : raw;
}

/** The text as the type the option has; left as it is where it does not read as one. */
function coerce(option: Option, raw: string): unknown {
  switch (typeof DEFAULT_SUPABASE_POOL_CONFIG[option]) {
    case "boolean":
      return SWITCH.get(raw.toLowerCase()) ?? raw;
    case "number":
      return toNumber(raw);
    // The options that are lists.
    case "object":
      return raw.split(",").map((item) => item.trim());
    default:
      return raw;
  }
}

/** What the `POOL_*` variables say. */
export interface PoolVariables {
  /** The options that a preset or a variable sets; every other one keeps its default. */
  readonly pool: Readonly<Partial<SupabasePoolConfig>>;
  /** Whether answers carry the `X-Pool-*` headers. Default: true. */
  readonly poolHeaders: boolean;
  /** How handlers treat their requests; what no variable sets has its default. */
  readonly handler: Readonly<HandlerSettings>;
}

const NONE_SET: PoolVariables = Object.freeze({
  pool: Object.freeze({}),
  poolHeaders: true,
  handler: DEFAULT_HANDLER_SETTINGS,
});

function readHandlerSettings(variables: Variables, issues: ConfigIssue[]): Readonly<HandlerSettings> {
  const settings: Record<keyof HandlerSettings, number> = { ...DEFAULT_HANDLER_SETTINGS };
  for (const setting of HANDLER_SETTINGS) {
    const path = variableOf(setting);
    const raw = valueOf(variables, path);
    if (raw === undefined) continue;
    const result = handlerSettingsShape[setting]().safeParse(toNumber(raw));
    if (result.success) settings[setting] = result.data;
    else issues.push({ path, message: `${shown(raw)}, ${result.error.issues[0]?.message ?? "is not allowed"}` });
  }
  return Object.freeze(settings);
}

/**
 * Reads the `POOL_*` variables. `POOL_PRESET` sets several options at once; a
 * variable for one option wins over it. Whatever is wrong, a `POOL_*` name that
 * means nothing included, is appended to `issues`.
 */
export function readPoolVariables(variables: Variables, issues: ConfigIssue[]): PoolVariables {
  const names = Object.keys(variables).filter((name) => name.startsWith("POOL_"));
  if (names.length === 0) return NONE_SET;

  const found = issues.length;
  const known = poolVariables();
  for (const name of names) {
    if (known.includes(name)) continue;
    issues.push({
      path: name,
      message: `is no variable of the pool; did you mean ${nearestName(name.toUpperCase(), known)}?`,
    });
  }

  const pool: Record<string, unknown> = {};
  const preset = valueOf(variables, "POOL_PRESET");
  if (preset !== undefined) {
    const entry = Object.entries(PRESETS).find(([name]) => name === preset.toLowerCase());
    if (entry) Object.assign(pool, entry[1]);
    else {
      issues.push({ path: "POOL_PRESET", message: `${shown(preset)}, must be ${Object.keys(PRESETS).join(", ")}` });
    }
  }

  for (const [name, option] of optionsByVariable()) {
    const raw = valueOf(variables, name);
    if (raw === undefined) continue;
    const result = supabasePoolConfigShape[option]().safeParse(coerce(option, raw));
    if (result.success) pool[option] = result.data;
    else issues.push({ path: name, message: `${shown(raw)}, ${result.error.issues[0]?.message ?? "is not allowed"}` });
  }

  const headers = valueOf(variables, "POOL_HEADERS");
  const poolHeaders = headers === undefined ? true : SWITCH.get(headers.toLowerCase());
  if (headers !== undefined && poolHeaders === undefined) {
    issues.push({ path: "POOL_HEADERS", message: `${shown(headers)}, must be on or off` });
  }

  const handler = readHandlerSettings(variables, issues);
  if (issues.length === found) checkTogether(pool, variables, issues);
  return {
    pool: Object.freeze(pool) as Readonly<Partial<SupabasePoolConfig>>,
    poolHeaders: poolHeaders ?? true,
    handler,
  };
}

/** Options that are fine alone may not go together. */
function checkTogether(pool: Record<string, unknown>, variables: Variables, issues: ConfigIssue[]): void {
  const { minConnections, maxConnections } = pool;
  const minIsPreset = valueOf(variables, variableOf("minConnections")) === undefined;
  // Someone who lowers only the maximum of a preset means the minimum to follow.
  if (minIsPreset && typeof minConnections === "number" && typeof maxConnections === "number") {
    pool.minConnections = Math.min(minConnections, maxConnections);
  }
  try {
    parseSupabasePoolConfig(pool as Partial<SupabasePoolConfig>);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    issues.push(...error.issues.map(({ path, message }) => ({ path: variableOf(path), message })));
  }
}
