/**
 * Checks before a deployment. The CLI treats an unknown name as a function
 * without files and a missing module as a warning, and reports both as deployed.
 *
 * @module
 */
import { nearestName } from "../../shared/environment/mod.ts";
import { StackError } from "../stack_error.ts";
import { FUNCTION_NAME, type FunctionConfig, readFunctions } from "../functions/config.ts";
import type { Project } from "../project.ts";
import { type ModuleGraph, readModuleGraph } from "./module_graph.ts";

/** A function to deploy. */
export interface CheckedFunction {
  /** Its configuration. Its `importMap` is the one that is uploaded. */
  readonly config: FunctionConfig;
  /** The paths of its local modules and its import map, which are uploaded. Its static files are as well. */
  readonly files: readonly string[];
  /** The size of these files. */
  readonly bytes: number;
}

/** The result of the checks. */
export interface Findings {
  /** The functions to deploy. */
  readonly functions: readonly CheckedFunction[];
  /** Errors that prevent the deployment, one line each. */
  readonly errors: readonly string[];
  /** Warnings, one line each. */
  readonly warnings: readonly string[];
}

function unknownFunction(name: string, names: readonly string[], disabled: readonly string[]): StackError {
  if (disabled.includes(name)) {
    return new StackError("USAGE", `${name} is disabled in supabase/config.toml: remove enabled = false.`);
  }
  const nearest = nearestName(name, names, 3);
  const existing = `the project has ${names.join(", ") || "none"}`;
  const hint = nearest !== undefined
    ? `did you mean ${nearest}?`
    : /^[a-z]{20}$/.test(name)
    ? `to deploy to the project ${name}, pass --remote=${name}.`
    : FUNCTION_NAME.test(name)
    ? `${existing}; create supabase/functions/${name}/index.ts for a new one.`
    : `it must be a name, not a path; ${existing}.`;
  return new StackError("USAGE", `Function ${JSON.stringify(name)} not found: ${hint}`);
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}

/** Time to read the imports of a function, which may include remote modules, in ms. */
const READ_MS = 60_000;

/** Reads the imports of a function; `undefined` if that takes too long. */
async function readImports(
  project: Project,
  { entrypoint, importMap }: FunctionConfig,
  interruption: AbortSignal,
): Promise<ModuleGraph | undefined> {
  const late = AbortSignal.timeout(READ_MS);
  const signal = AbortSignal.any([interruption, late]);
  try {
    return await readModuleGraph({ entrypoint, importMap, root: project.root, signal });
  } catch (error) {
    if (late.aborted && !interruption.aborted) return undefined;
    throw error;
  }
}

/** The findings of one function. */
interface FunctionFindings extends Pick<Findings, "errors" | "warnings"> {
  readonly checked: CheckedFunction;
}

async function sizeOf(path: string): Promise<number> {
  return await Deno.stat(path).then(({ size }) => size, () => 0);
}

/** Checks one function. */
async function checkFunction(
  project: Project,
  found: FunctionConfig,
  interruption: AbortSignal,
): Promise<FunctionFindings> {
  const { name, entrypoint, importMapSource } = found;
  // The other sources are local: the CLI uploads neither.
  const isLocal = importMapSource === "workspace" || importMapSource === "package.json";
  const config = isLocal ? { ...found, importMap: undefined } : found;
  const { importMap } = config;
  const result = (errors: string[], warnings: string[] = [], files: string[] = [], bytes = 0) => ({
    errors,
    warnings,
    checked: { config, files, bytes },
  });
  for (const [key, path] of [["entrypoint", entrypoint], ["import_map", importMap]] as const) {
    if (path !== undefined && !await isFile(path)) return result([`File not found: ${path}, the ${key} of ${name}`]);
  }
  const graph = await readImports(project, config, interruption);
  const messages = (remote: boolean) =>
    graph?.errors.filter((error) => error.remote === remote).map(({ message }) => message) ?? [];
  const unread = `The imports of ${name} could not be read within ${READ_MS / 1000} s, because a host does not respond`;
  const unused =
    `${found.importMap?.slice(project.root.length + 1)} is not uploaded with ${name}: move its imports to ` +
    `supabase/functions/${name}/deno.json.`;
  const files = [...new Set([...graph?.files ?? [entrypoint], ...importMap ? [importMap] : []])];
  const sizes = await Promise.all(files.map(sizeOf));
  return result(
    messages(false),
    [...[...messages(true), ...graph ? [] : [unread]].map(fromHere), ...isLocal ? [unused] : []],
    files,
    sizes.reduce((sum, size) => sum + size, 0),
  );
}

const fromHere = (line: string) => `${line} (checked from this machine)`;

/** Number of functions that are checked at a time, each by a process. */
const CHECKED_AT_ONCE = Math.max(2, navigator.hardwareConcurrency);

/** Calls `work` with each item, some of them at a time, and returns the results in the order of the items. */
async function forEachOf<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const waiting = items.entries();
  const worker = async () => {
    for (const [at, item] of waiting) results[at] = await work(item);
  };
  await Promise.all(Array.from({ length: CHECKED_AT_ONCE }, worker));
  return results;
}

/** Functions share modules: each line is reported once. */
const unique = (lines: readonly string[]) => [...new Set(lines)];

/** Options for {@linkcode preflight}. */
export interface PreflightOptions {
  /** Names of functions; empty for all of them. */
  readonly requested: readonly string[];
  /** The import map of all functions. `undefined`: those that the CLI finds. */
  readonly importMap: string | undefined;
  /** Ends the checks. */
  readonly interruption: AbortSignal;
}

/**
 * Checks the names, files and imports of the functions to deploy.
 *
 * @throws {StackError} `USAGE` for an unknown name, `CONFIG_INVALID` if the config cannot be read.
 */
export async function preflight(project: Project, options: PreflightOptions): Promise<Findings> {
  const { requested, importMap, interruption } = options;
  const { functions, disabled, warnings } = await readFunctions(project);
  const chosen = requested.length === 0 ? functions.filter(isDeployed) : unique(requested).map((name) => {
    const config = functions.find((config) => config.name === name);
    if (!config) throw unknownFunction(name, functions.map(({ name }) => name), disabled);
    return config;
  });
  if (chosen.length === 0) {
    throw new StackError("CONFIG_INVALID", `${project.root} has no functions: nothing to deploy.`);
  }
  const findings = await forEachOf(
    chosen,
    (config) =>
      checkFunction(
        project,
        importMap === undefined ? config : { ...config, importMap, importMapSource: "config.toml" },
        interruption,
      ),
  );
  const unregistered = chosen.filter(({ registered }) => !registered).map(({ name }) => name);
  return {
    functions: findings.map(({ checked }) => checked),
    errors: unique(findings.flatMap(({ errors }) => errors)),
    warnings: unique([
      ...findings.flatMap(({ warnings }) => warnings),
      ...(requested.length === 0 ? warnings.map((line) => line.replace(" is served, but", " is not deployed:")) : []),
      ...(unregistered.length === 0 ? [] : [
        `supabase/config.toml has no table for ${unregistered.join(", ")}: deployed with the defaults of the CLI, ` +
        "which require a JWT (verify_jwt = true).",
      ]),
    ]),
  };
}

/** Returns whether the CLI deploys a function that it is not asked for by name. */
function isDeployed({ registered, entrypoint }: FunctionConfig): boolean {
  return registered || entrypoint.endsWith("/index.ts");
}
