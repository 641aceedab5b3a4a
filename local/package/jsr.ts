/**
 * The package for JSR, as a folder: the sources of the library and a `deno.json` of their own.
 *
 * @module
 */
import { copyDocuments } from "./documents.ts";
import { ENTRY_POINTS, PACKAGE_NAME, PACKAGE_VERSION } from "./identity.ts";
import { parseNpm, readImports } from "./import_map.ts";
import { fromFileUrl } from "../paths.ts";

const SOURCES = "shared/";

/** A target of the import map, with a range in place of the version of an npm package. */
function withRange(target: string): string {
  const found = parseNpm(target);
  return found ? `npm:${found.name}@^${found.version}${found.subpath}` : target;
}

/**
 * Replaces the specifiers of packages by what `imports` maps them to. `deno publish` would do so as well; what is
 * tested is then what is published.
 */
function resolveImports(source: string, imports: Readonly<Record<string, string>>): string {
  return source.replaceAll(/\b(from |import |import\()"([^."][^"]*)"/g, (text, before, specifier) => {
    const target = imports[specifier];
    return target === undefined ? text : `${before}"${withRange(target)}"`;
  });
}

async function copySources(from: string, to: string, imports: Readonly<Record<string, string>>): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copySources(`${from}/${name}`, `${to}/${name}`, imports);
    else await Deno.writeTextFile(`${to}/${name}`, resolveImports(await Deno.readTextFile(`${from}/${name}`), imports));
  }
}

/** Writes the package of the checkout at `root` into `folder`, which is empty or does not exist. */
export async function writeJsrPackage(root: URL, folder: string): Promise<void> {
  await copySources(fromFileUrl(new URL(SOURCES, root)), folder, await readImports(root));
  const { compilerOptions } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  const config = {
    name: PACKAGE_NAME,
    version: PACKAGE_VERSION,
    license: "MIT",
    exports: Object.fromEntries(
      Object.entries(ENTRY_POINTS).map(([subpath, path]) => [subpath, `./${path.slice(SOURCES.length)}`]),
    ),
    compilerOptions,
    // The folder is in the state of the project, which git ignores.
    publish: { exclude: ["!**"] },
  };
  await Deno.writeTextFile(`${folder}/deno.json`, `${JSON.stringify(config, undefined, 2)}\n`);
  await copyDocuments(root, folder);
}
