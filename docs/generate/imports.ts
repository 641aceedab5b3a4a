/**
 * Reads which folder imports which.
 *
 * @module
 */

const ROOT = new URL("../../", import.meta.url);

/** An import from one folder to another. */
export interface FolderImport {
  readonly from: string;
  readonly to: string;
  /** True if every such import is a dynamic one. */
  readonly onDemand: boolean;
}

/** A folder of modules and the folders in it. */
export interface Folder {
  readonly name: string;
  readonly subfolders: readonly string[];
}

async function foldersIn(url: URL): Promise<string[]> {
  const names: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(url)) if (isDirectory) names.push(name);
  return names.sort();
}

/** Returns the folders of `shared/`, and `functions/`. */
export async function readFolders(): Promise<Folder[]> {
  const folders: Folder[] = [{ name: "functions", subfolders: await foldersIn(new URL("functions/", ROOT)) }];
  for (const name of await foldersIn(new URL("shared/", ROOT))) {
    folders.push({ name, subfolders: await foldersIn(new URL(`shared/${name}/`, ROOT)) });
  }
  return folders;
}

/** Yields the modules below a folder. */
export async function* modulesIn(url: URL): AsyncGenerator<URL> {
  for await (const { name, isDirectory } of Deno.readDir(url)) {
    if (isDirectory) yield* modulesIn(new URL(`${name}/`, url));
    else if (name.endsWith(".ts")) yield new URL(name, url);
  }
}

/** Returns the folder of a module: `functions`, or the folder below `shared/`; undefined for an entry point such as `shared/mod.ts`. */
function folderOf(module: URL): string | undefined {
  const [top, folder, ...rest] = module.href.slice(ROOT.href.length).split("/");
  if (top === "functions") return top;
  return top === "shared" && rest.length > 0 ? folder : undefined;
}

const SPECIFIER = /\b(from|import)\s*(\(?)\s*"(\.[^"]+)"/g;

/** Returns the relative specifiers of a module, comments left out. */
function specifiersOf(text: string): { specifier: string; dynamic: boolean }[] {
  const code = text.replaceAll(/\/\*[^]*?\*\//g, "").replaceAll(/^\s*\/\/.*$/gm, "");
  return Array.from(code.matchAll(SPECIFIER), ([, , parenthesis, specifier = ""]) => ({
    specifier,
    dynamic: parenthesis === "(",
  }));
}

/** Reads the imports between the folders. An import of `shared/mod.ts` counts as one of `http`, the highest folder it exports from. */
export async function readImports(): Promise<FolderImport[]> {
  const found = new Map<string, FolderImport>();
  for (const top of ["functions/", "shared/"]) {
    for await (const module of modulesIn(new URL(top, ROOT))) {
      const from = folderOf(module);
      if (from === undefined) continue;
      for (const { specifier, dynamic } of specifiersOf(await Deno.readTextFile(module))) {
        const target = new URL(specifier, module);
        const to = target.pathname.endsWith("/shared/mod.ts") ? "http" : folderOf(target);
        if (to === undefined || to === from) continue;
        const onDemand = dynamic && (found.get(`${from} ${to}`)?.onDemand ?? true);
        found.set(`${from} ${to}`, { from, to, onDemand });
      }
    }
  }
  return [...found.values()].sort((a, b) => `${a.from} ${a.to}` < `${b.from} ${b.to}` ? -1 : 1);
}
