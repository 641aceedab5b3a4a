/**
 * Checks before a deployment. The CLI treats an unknown name as a function
 * without files and a missing module as a warning, and reports both as deployed.
 *
 * @module
 */
import { nearestName } from "../../shared/environment/mod.ts";
import { StackError } from "../stack_error.ts";
import { type FunctionConfig, readFunctions } from "../functions/config.ts";
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

function unknownFunction(name: string, names: readonly string[], disabled: readonly string[]): StackError {
  if (disabled.includes(name)) {
    return new StackError("USAGE", `${name} is disabled in supabase/config.toml: remove enabled = false.`);
  }
  const nearest = nearestName(name, names, 3);
  const hint = nearest === undefined
    ? `the project has ${names.join(", ") || "none"}; create supabase/functions/${name}/index.ts for a new one.`
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

/** Checks one function. */
async function checkFunction(project: Project, { name, entrypoint, importMap, importMapSource }: FunctionConfig) {
  // The other sources are local: the CLI uploads neither.
  const map = importMapSource === "workspace" || importMapSource === "package.json" ? undefined : importMap;
  for (const [key, path] of [["entrypoint", entrypoint], ["import_map", map]] as const) {
    if (path !== undefined && !await isFile(path)) {
      return {
        errors: [`File not found: ${path}, the ${key} of ${name}`],
        warnings: [],
      };
    }
  }
  const graph = await readModuleGraph({ entrypoint, importMap: map, root: project.root });
  const messages = (remote: boolean) =>
    graph.errors.filter((error) => error.remote === remote).map(({ message }) => message);
  const unused = map === importMap ? [] : [
    `${importMap?.slice(project.root.length + 1)} is not uploaded with ${name}: move its imports to ` +
    `supabase/functions/${name}/deno.json.`,
  ];
  return { errors: messages(false), warnings: [...messages(true).map(fromHere), ...unused] };
}

const fromHere = (line: string) => `${line} (checked from this machine)`;

/** Functions share modules: each line is reported once. */
const unique = (lines: readonly string[]) => [...new Set(lines)];

/**
 * Checks the names, files and imports of the functions to deploy.
 *
 * @param requested Names of functions; empty for all of them.
 * @param importMap The import map of all functions. Default: those that the CLI finds.
 * @throws {StackError} `USAGE` for an unknown name, `CONFIG_INVALID` if the config cannot be read.
 */
export async function preflight(project: Project, requested: readonly string[], importMap?: string): Promise<Findings> {
  const { functions, disabled, warnings } = await readFunctions(project);
  const chosen = requested.length === 0 ? functions.filter(isDeployed) : requested.map((name) => {
    const config = functions.find((config) => config.name === name);
    if (!config) throw unknownFunction(name, functions.map(({ name }) => name), disabled);
    return config;
  });
  if (chosen.length === 0) {
    throw new StackError("CONFIG_INVALID", `${project.root} has no functions: nothing to deploy.`);
  }
  const findings = await Promise.all(
    chosen.map((config) =>
      checkFunction(
        project,
        importMap === undefined ? config : { ...config, importMap, importMapSource: "config.toml" },
      )
    ),
  );
  const unregistered = chosen.filter(({ registered }) => !registered).map(({ name }) => name);
  return {
    names: chosen.map(({ name }) => name),
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
