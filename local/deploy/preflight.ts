/**
 * What would go wrong with a deployment and can be told before it. The CLI
 * takes a name that it does not know for a function without files, and a
 * module that is not there for a warning, and calls both deployed.
 *
 * @module
 */
import { nearestName } from "../../shared/environment/mod.ts";
import { StackFault } from "../fault.ts";
import { type FunctionConfig, functionTables, readFunctions } from "../functions/config.ts";
import { unlistedFolders } from "../functions/unserved.ts";
import type { Project } from "../project.ts";
import { readModuleGraph } from "./module_graph.ts";

/** What was found. */
export interface Findings {
  /** The functions that are to be deployed. */
  readonly names: readonly string[];
  /** What keeps them from being deployed, one line each. */
  readonly faults: readonly string[];
  /** What may not be meant, one line each. */
  readonly warnings: readonly string[];
}

function unknownFunction(name: string, tables: readonly string[]): StackFault {
  if (tables.includes(name)) {
    return new StackFault("USAGE", `supabase/config.toml switches ${name} off: take enabled = false out of it there.`);
  }
  const nearest = nearestName(name, tables, 3);
  const hint = nearest === undefined
    ? `supabase/config.toml names ${tables.join(", ") || "none"}; a new one needs a table [functions.${name}] there.`
    : `did you mean ${nearest}?`;
  return new StackFault("USAGE", `There is no function ${JSON.stringify(name)}: ${hint}`);
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}

/** The import map that the CLI takes for a function whose table names none. */
async function usualImportMap({ supabase }: Project, name: string): Promise<string | undefined> {
  for (const file of [`${name}/deno.json`, `${name}/deno.jsonc`, `${name}/import_map.json`, "import_map.json"]) {
    if (await isFile(`${supabase}/functions/${file}`)) return `${supabase}/functions/${file}`;
  }
  return undefined;
}

/** What is wrong with one function, and what could not be looked at. */
async function look(project: Project, { name, entrypoint, importMap }: FunctionConfig) {
  for (const [key, path] of [["entrypoint", entrypoint], ["import_map", importMap]] as const) {
    if (path !== undefined && !await isFile(path)) {
      return {
        faults: [`The ${key} of ${name}, as supabase/config.toml has it: there is no file ${path}`],
        warnings: [],
      };
    }
  }
  const map = importMap ?? await usualImportMap(project, name);
  const graph = await readModuleGraph({ entrypoint, importMap: map, root: project.root });
  const messages = (remote: boolean) =>
    graph.faults.filter((fault) => fault.remote === remote).map(({ message }) => message);
  return { faults: messages(false), warnings: messages(true) };
}

/** What two functions share is said once. */
const unique = (lines: readonly string[]) => [...new Set(lines)];

/**
 * Looks at what is to be deployed: its names, files and imports.
 *
 * @param asked Names of functions; none: all of them.
 * @param importMap Stands in for the import map of each. Default: what `supabase/config.toml` says.
 * @throws {StackFault} `USAGE` for a name that is none, `CONFIG_INVALID` if the config cannot be read.
 */
export async function preflight(project: Project, asked: readonly string[], importMap?: string): Promise<Findings> {
  const configs = await readFunctions(project);
  const toml = await Deno.readTextFile(`${project.supabase}/config.toml`).catch(() => "");
  const tables = Object.keys(functionTables(toml, project.supabase));
  const chosen = asked.length === 0 ? configs : asked.map((name) => {
    const config = configs.find((config) => config.name === name);
    if (!config) throw unknownFunction(name, tables);
    return config;
  });
  if (chosen.length === 0) {
    throw new StackFault("CONFIG_INVALID", `${project.supabase}/config.toml names no function: nothing to deploy.`);
  }
  const findings = await Promise.all(
    chosen.map((config) => look(project, importMap === undefined ? config : { ...config, importMap })),
  );
  const forgotten = asked.length === 0 ? await unlistedFolders(project) : [];
  return {
    names: chosen.map(({ name }) => name),
    faults: unique(findings.flatMap(({ faults }) => faults)),
    warnings: unique([
      ...findings.flatMap(({ warnings }) => warnings.map((line) => `${line} (looked at from this machine)`)),
      ...forgotten.map(({ folder, name }) =>
        `${folder} is not in supabase/config.toml and is not deployed: add [functions.${name}] there.`
      ),
    ]),
  };
}
