/**
 * Reloads functions when their sources change.
 *
 * @module
 */
import { messageOf } from "../fault.ts";
import type { Project } from "../project.ts";
import type { FunctionConfig } from "./config.ts";

const DEBOUNCE_MS = 150;
const SOURCE = /\.(?:[cm]?[jt]sx?|json|wasm|env)$|\/\.env$/;

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

/**
 * Which functions a change concerns: one whose own folder it is in, or all
 * when others may import it.
 */
export function concerned(path: string, configs: readonly FunctionConfig[]): string[] {
  if (!SOURCE.test(path)) return [];
  const own = configs.filter(({ entrypoint }) => path.startsWith(`${folderOf(entrypoint)}/`));
  return (own.length > 0 ? own : configs).map(({ name }) => name);
}

/** What is watched: the functions' folders and what they share. */
async function watchedPaths(project: Project, configs: readonly FunctionConfig[]): Promise<string[]> {
  const paths = new Set([`${project.root}/shared`, `${project.root}/functions`]);
  for (const { entrypoint, importMap } of configs) {
    const folder = folderOf(entrypoint);
    if (!folder.startsWith(`${project.root}/functions/`)) paths.add(folder);
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
 * @param log Told when watching is not possible.
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
  let timer: ReturnType<typeof setTimeout> | undefined;
  (async () => {
    for await (const { kind, paths } of watcher) {
      if (kind === "access") continue;
      for (const path of paths) for (const name of concerned(path, configs)) pending.add(name);
      if (pending.size === 0) continue;
      clearTimeout(timer);
      timer = setTimeout(() => {
        const names = [...pending];
        pending.clear();
        reload(names);
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
