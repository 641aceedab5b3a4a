/**
 * Checks before a deployment. The CLI treats an unknown name as a function
 * without files and a missing module as a warning, and reports both as deployed.
 *
 * @module
 */
import { nearestName } from "../../shared/environment/mod.ts";
import { StackError } from "../stack_error.ts";
import { type FunctionConfig, functionTables, readFunctions } from "../functions/config.ts";
import { unregisteredFunctions } from "../functions/unregistered_functions.ts";
import type { Project } from "../project.ts";
import { readModuleGraph } from "./module_graph.ts";

/** The result of the checks. */
export interface Findings {
  /** The functions to deploy. */
  readonly names: readonly string[];
  /** Errors that prevent the deployment, one line each. */
  readonly errors: readonly string[];
  /** Warnings, one line each. */
  readonly warnings: readonly string[];
}

function unknownFunction(name: string, tables: readonly string[]): StackError {
  if (tables.includes(name)) {
    return new StackError("USAGE", `${name} is disabled in supabase/config.toml: remove enabled = false.`);
  }
  const nearest = nearestName(name, tables, 3);
  const hint = nearest === undefined
    ? `supabase/config.toml has ${tables.join(", ") || "none"}; add a table [functions.${name}] for a new one.`
    : `did you mean ${nearest}?`;
  return new StackError("USAGE", `Function ${JSON.stringify(name)} not found: ${hint}`);
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}

/** Returns the import map that the CLI uses for a function whose table names none. */
async function defaultImportMap({ supabase }: Project, name: string): Promise<string | undefined> {
  for (const file of [`${name}/deno.json`, `${name}/deno.jsonc`, `${name}/import_map.json`, "import_map.json"]) {
    if (await isFile(`${supabase}/functions/${file}`)) return `${supabase}/functions/${file}`;
  }
  return undefined;
}

/** Checks one function. */
async function checkFunction(project: Project, { name, entrypoint, importMap }: FunctionConfig) {
  for (const [key, path] of [["entrypoint", entrypoint], ["import_map", importMap]] as const) {
    if (path !== undefined && !await isFile(path)) {
      return {
        errors: [`File not found: ${path}, the ${key} of ${name} in supabase/config.toml`],
        warnings: [],
      };
    }
  }
  const map = importMap ?? await defaultImportMap(project, name);
  const graph = await readModuleGraph({ entrypoint, importMap: map, root: project.root });
  const messages = (remote: boolean) =>
    graph.errors.filter((error) => error.remote === remote).map(({ message }) => message);
  return { errors: messages(false), warnings: messages(true) };
}

/** Functions share modules: each line is reported once. */
const unique = (lines: readonly string[]) => [...new Set(lines)];

/**
 * Checks the names, files and imports of the functions to deploy.
 *
 * @param requested Names of functions; empty for all of them.
 * @param importMap The import map of all functions. Default: those of `supabase/config.toml`.
 * @throws {StackError} `USAGE` for an unknown name, `CONFIG_INVALID` if the config cannot be read.
 */
export async function preflight(project: Project, requested: readonly string[], importMap?: string): Promise<Findings> {
  const configs = await readFunctions(project);
  const toml = await Deno.readTextFile(`${project.supabase}/config.toml`).catch(() => "");
  const tables = Object.keys(functionTables(toml, project.supabase));
  const chosen = requested.length === 0 ? configs : requested.map((name) => {
    const config = configs.find((config) => config.name === name);
    if (!config) throw unknownFunction(name, tables);
    return config;
  });
  if (chosen.length === 0) {
    throw new StackError("CONFIG_INVALID", `${project.supabase}/config.toml has no functions: nothing to deploy.`);
  }
  const findings = await Promise.all(
    chosen.map((config) => checkFunction(project, importMap === undefined ? config : { ...config, importMap })),
  );
  const unregistered = requested.length === 0 ? await unregisteredFunctions(project) : [];
  return {
    names: chosen.map(({ name }) => name),
    errors: unique(findings.flatMap(({ errors }) => errors)),
    warnings: unique([
      ...findings.flatMap(({ warnings }) => warnings.map((line) => `${line} (checked from this machine)`)),
      ...unregistered.map(({ folder, name }) =>
        `${folder} is not deployed, because it is not in supabase/config.toml: add [functions.${name}].`
      ),
    ]),
  };
}
