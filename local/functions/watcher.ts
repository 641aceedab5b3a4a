/**
 * Reloads functions when their sources change, and logs changes that need a
 * restart of the stack.
 *
 * @module
 */
import { messageOf } from "../../shared/resilience/mod.ts";
import type { Project } from "../project.ts";
import { type FunctionConfig, readFunctions } from "./config.ts";

const DEBOUNCE_MS = 150;
const SOURCE = /\.(?:[cm]?[jt]sx?|jsonc?|wasm|env)$|\/\.env(?:\.local)?$/;

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

/**
 * Returns the functions that a change affects: the function whose folder it is in,
 * or all of them if they may import it.
 *
 * @param supabase The Supabase folder of the project; functions import nothing from it except their own files.
 */
export function affectedFunctions(path: string, configs: readonly FunctionConfig[], supabase: string): string[] {
  const isStatic = configs.filter(({ staticFiles }) => staticFiles.includes(path)).map(({ name }) => name);
  if (isStatic.length > 0) return isStatic;
  if (!SOURCE.test(path)) return [];
  const own = configs.filter(({ entrypoint }) => path.startsWith(`${folderOf(entrypoint)}/`));
  const isEnvFile = path === `${supabase}/.env.local`;
  if (own.length === 0 && path.startsWith(`${supabase}/`) && !path.startsWith(`${supabase}/functions/`) && !isEnvFile) {
    return [];
  }
  return (own.length > 0 ? own : configs).map(({ name }) => name);
}

/** Returns the path relative to the project of a file that is read only when the stack starts, or `undefined`. */
export function readAtStart(path: string, { root, supabase }: Pick<Project, "root" | "supabase">): string | undefined {
  const inside = path.startsWith(`${supabase}/`) ? path.slice(supabase.length + 1) : "";
  return /^(?:config\.toml|migrations\/\d+_[^/]*\.sql)$/.test(inside) ? path.slice(root.length + 1) : undefined;
}

/** Returns the paths to watch: the folders of the functions, shared code and the Supabase folder. */
async function watchedPaths(project: Project, configs: readonly FunctionConfig[]): Promise<string[]> {
  const paths = new Set([
    ...["shared", "functions", ".env.local"].map((name) => `${project.root}/${name}`),
    project.supabase,
  ]);
  for (const { entrypoint, importMap } of configs) {
    const folder = folderOf(entrypoint);
    const inside = [`${project.root}/functions/`, `${project.supabase}/`].some((parent) => folder.startsWith(parent));
    if (!inside) paths.add(folder);
    if (importMap) paths.add(importMap);
  }
  const present = await Promise.all(
    [...paths].map((path) => Deno.stat(path).then(() => [path], () => [])),
  );
  return present.flat();
}

/**
 * Watches the sources of `configs`.
 *
 * @param reload Called with the names of the functions that a burst of changes affects.
 * @param log Called for a change that needs a restart of the stack, and if files cannot be watched.
 */
export async function watchSources(
  project: Project,
  configs: readonly FunctionConfig[],
  reload: (names: string[]) => void,
  log: (line: string) => void,
): Promise<Disposable> {
  const paths = await watchedPaths(project, configs);
  let watcher: Deno.FsWatcher;
  try {
    watcher = Deno.watchFs(paths);
  } catch (error) {
    log(`cannot watch the sources (${messageOf(error)}): restart after a change`);
    return { [Symbol.dispose]: () => {} };
  }
  const pending = new Set<string>();
  const stale = new Set<string>();
  const before = await readFunctions(project);
  const reported = new Set(before.warnings);
  const known = new Set(before.functions.map(({ name }) => name));
  const reportNew = async () => {
    // An invalid config file is reported elsewhere.
    const { functions, warnings } = await readFunctions(project).catch(() => before);
    for (const line of warnings) if (!reported.has(line)) log(line);
    for (const line of warnings) reported.add(line);
    for (const { name } of functions) if (!known.has(name)) log(`${name} is a new function: restart to serve it`);
    for (const { name } of functions) known.add(name);
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  (async () => {
    for await (const { kind, paths } of watcher) {
      if (kind === "access") continue;
      for (const path of paths) {
        for (const name of affectedFunctions(path, configs, project.supabase)) pending.add(name);
        const file = readAtStart(path, project);
        if (file !== undefined) stale.add(file);
      }
      if (pending.size + stale.size === 0) continue;
      clearTimeout(timer);
      timer = setTimeout(() => {
        const names = [...pending];
        pending.clear();
        for (const file of stale) log(`${file} changed: restart to use it`);
        stale.clear();
        reportNew();
        if (names.length > 0) reload(names);
      }, DEBOUNCE_MS);
    }
  })().catch((error) => log(`stopped watching the sources: ${messageOf(error)}`));
  return {
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      watcher.close();
    },
  };
}
