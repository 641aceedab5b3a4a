/**
 * The `POOL_*` environment variables.
 *
 * @module
 */
import type { VariableReader } from "../environment/mod.ts";
import { ConfigError, type PresetName, PRESETS } from "../pool/mod.ts";
import { parseSupabasePoolConfig, type SupabasePoolConfig, supabasePoolConfigShape } from "./config.ts";

type Option = keyof SupabasePoolConfig;

/** Options that no variable can hold: they are functions or records. */
const IN_CODE_ONLY: ReadonlySet<Option> = new Set<Option>(["headers", "healthQuery", "fetch"]);

/** The variables that configure handlers; `shared/http` reads them. */
const HANDLER_VARIABLES = ["POOL_HEADERS", "POOL_REMEMBER_TOKENS_MS", "POOL_DEADLINE_MS"];

/** Returns the variable of an option, for example `POOL_MAX_CONNECTIONS` for `maxConnections`. */
export function poolVariableOf(option: string): string {
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
export function readPoolVariables(reader: VariableReader): Readonly<Partial<SupabasePoolConfig>> {
  if (reader.namesWith("POOL_").length === 0) return NO_OPTIONS;
  const issuesBefore = reader.issues.length;
  reader.rejectUnknown("POOL_", poolVariables());

  const pool: Record<string, unknown> = {};
  const preset = reader.choice("POOL_PRESET", Object.keys(PRESETS) as PresetName[]);
  if (preset) Object.assign(pool, PRESETS[preset]);
  for (const [name, option] of optionsByVariable()) {
    const value = reader.value<unknown>(name, supabasePoolConfigShape[option]());
    if (value !== undefined) pool[option] = value;
  }
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
