/**
 * Reloads functions when their sources change, and says so when a change is
 * one that only a new start takes up.
 *
 * @module
 */
import { messageOf } from "../fault.ts";
import type { Project } from "../project.ts";
import type { FunctionConfig } from "./config.ts";
import { unservedFolders } from "./unserved.ts";

const DEBOUNCE_MS = 150;
const SOURCE = /\.(?:[cm]?[jt]sx?|json|wasm|env)$|\/\.env$/;

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

/**
 * Which functions a change concerns: one whose own folder it is in, or all
 * when others may import it.
 *
 * @param supabase The project's Supabase folder: of what is in it, functions import only what is beside them.
 */
export function concerned(path: string, configs: readonly FunctionConfig[], supabase: string): string[] {
  if (!SOURCE.test(path)) return [];
  const own = configs.filter(({ entrypoint }) => path.startsWith(`${folderOf(entrypoint)}/`));
  if (own.length === 0 && path.startsWith(`${supabase}/`) && !path.startsWith(`${supabase}/functions/`)) return [];
  return (own.length > 0 ? own : configs).map(({ name }) => name);
}

/** The file at `path`, relative to the project, if it is read only when the stack starts. */
export function readAtStart(path: string, { root, supabase }: Pick<Project, "root" | "supabase">): string | undefined {
  const inside = path.startsWith(`${supabase}/`) ? path.slice(supabase.length + 1) : "";
  return /^(?:config\.toml|migrations\/\d+_[^/]*\.sql)$/.test(inside) ? path.slice(root.length + 1) : undefined;
}

/** What is watched: the functions' folders, what they share, and the Supabase folder. */
async function watchedPaths(project: Project, configs: readonly FunctionConfig[]): Promise<string[]> {
  const paths = new Set([`${project.root}/shared`, `${project.root}/functions`, project.supabase]);
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
 * @param reload Called with the names of the functions that a burst of changes concerns.
 * @param log Told of a change that only a new start takes up, and when watching is not possible.
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
    log(`changes of sources are not noticed (${messageOf(error)}): start again after a change`);
    return { [Symbol.dispose]: () => {} };
  }
  const pending = new Set<string>();
  const stale = new Set<string>();
  const unserved = new Set(await unservedFolders(project));
  const sayUnserved = async () => {
    // A file that is wrong at the moment is not about folders.
    for (const line of await unservedFolders(project).catch(() => [])) {
      if (!unserved.has(line)) log(line);
      unserved.add(line);
    }
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  (async () => {
    for await (const { kind, paths } of watcher) {
      if (kind === "access") continue;
      for (const path of paths) {
        for (const name of concerned(path, configs, project.supabase)) pending.add(name);
        const file = readAtStart(path, project);
        if (file !== undefined) stale.add(file);
      }
      if (pending.size + stale.size === 0) continue;
      clearTimeout(timer);
      timer = setTimeout(() => {
        const names = [...pending];
        pending.clear();
        for (const file of stale) log(`${file} changed: start again to use it`);
        stale.clear();
        sayUnserved();
        if (names.length > 0) reload(names);
      }, DEBOUNCE_MS);
    }
  })().catch((error) => log(`changes of sources are no longer noticed: ${messageOf(error)}`));
  return {
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      watcher.close();
    },
  };
}
