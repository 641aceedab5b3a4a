/**
 * Follows the sources of functions while the stack runs, and logs changes that
 * need a restart.
 *
 * @module
 */
import { messageOf } from "../../shared/resilience/mod.ts";
import type { Project } from "../project.ts";
import type { FunctionConfig, ProjectFunctions } from "./config.ts";
import type { Functions } from "./mod.ts";

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

/** Options for {@linkcode watchSources}. */
export interface WatchOptions {
  /** The project. */
  readonly project: Project;
  /** The functions that are served. */
  readonly functions: Functions;
  /** A file with secrets of every function, beside those of the project. Default: none. */
  readonly envFile?: string | undefined;
  /** Returns the functions of the project as its files are now. */
  readonly read: () => Promise<ProjectFunctions>;
  /** Called with the name of a function, or `watch`, and a line. */
  readonly log: (source: string, line: string) => void;
}

/** Follows the files of a project: serves new functions, stops removed ones, and reloads the others as they change. */
export async function watchSources(options: WatchOptions): Promise<Disposable> {
  const { project, functions, envFile, read, log } = options;
  const paths = await watchedPaths(project, functions.configs);
  const watchers: Deno.FsWatcher[] = [];
  try {
    watchers.push(Deno.watchFs(paths));
    // Its folder: an editor may replace the file.
    if (envFile !== undefined) watchers.push(Deno.watchFs(folderOf(envFile), { recursive: false }));
  } catch (error) {
    for (const watcher of watchers) watcher.close();
    log("watch", `cannot watch the sources (${messageOf(error)}): restart after a change`);
    return { [Symbol.dispose]: () => {} };
  }
  const affectedBy = (path: string, configs: readonly FunctionConfig[]) =>
    path === envFile ? configs.map(({ name }) => name) : affectedFunctions(path, configs, project.supabase);
  const reported = new Set((await read()).warnings);
  const pending = new Set<string>();

  async function apply(): Promise<void> {
    const paths = [...pending];
    pending.clear();
    const before = functions.configs;
    for (const file of new Set(paths.map((path) => readAtStart(path, project)))) {
      if (file !== undefined) log("watch", `${file} changed: restart to use it`);
    }
    let found: ProjectFunctions | undefined;
    try {
      found = await read();
    } catch (error) {
      // An invalid config file leaves the functions as they are.
      log("watch", messageOf(error));
    }
    for (const line of found?.warnings ?? []) if (!reported.has(line)) log("watch", line);
    for (const line of found?.warnings ?? []) reported.add(line);
    const { added, changed, removed } = found
      ? functions.update(found.functions)
      : { added: [], changed: [], removed: [] };
    for (const name of removed) log(name, "removed: it is no longer served");
    // A file of a function that was removed or added affects no other.
    const known = [...functions.configs, ...before];
    const affected = paths.flatMap((path) => affectedBy(path, known));
    for (const name of new Set([...added, ...changed, ...affected])) {
      if (!functions.get(name)) continue;
      // The output of the function says why it failed.
      functions.reload(name).then(
        () => log(name, added.includes(name) ? "new: it is served" : "reloaded"),
        () => log(name, "could not be loaded: it responds 503"),
      );
    }
  }

  let timer: ReturnType<typeof setTimeout> | undefined;
  let applying = Promise.resolve();
  const follow = async (watcher: Deno.FsWatcher) => {
    for await (const { kind, paths } of watcher) {
      if (kind === "access") continue;
      for (const path of paths) {
        const isFolder = kind !== "modify" && path.startsWith(`${project.supabase}/functions/`);
        if (
          isFolder || readAtStart(path, project) !== undefined ||
          affectedBy(path, functions.configs).length > 0
        ) pending.add(path);
      }
      if (pending.size === 0) continue;
      clearTimeout(timer);
      timer = setTimeout(() => applying = applying.then(apply), DEBOUNCE_MS);
    }
  };
  for (const watcher of watchers) {
    follow(watcher).catch((error) => log("watch", `stopped watching the sources: ${messageOf(error)}`));
  }
  return {
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      for (const watcher of watchers) watcher.close();
    },
  };
}
