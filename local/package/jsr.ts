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

/** Copies the sources and returns their texts, joined. */
async function copySources(from: string, to: string): Promise<string> {
  await Deno.mkdir(to, { recursive: true });
  let texts = "";
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) texts += await copySources(`${from}/${name}`, `${to}/${name}`);
    else {
      const text = await Deno.readTextFile(`${from}/${name}`);
      await Deno.writeTextFile(`${to}/${name}`, text);
      texts += text;
    }
  }
  return texts;
}

/** A target of the import map, with a range in place of the version of an npm package. */
function withRange(target: string): string {
  const found = parseNpm(target);
  return found ? `npm:${found.name}@^${found.version}${found.subpath}` : target;
}

/** Writes the package of the checkout at `root` into `folder`, which is empty or does not exist. */
export async function writeJsrPackage(root: URL, folder: string): Promise<void> {
  const sources = await copySources(fromFileUrl(new URL(SOURCES, root)), folder);
  const imports = Object.entries(await readImports(root)).filter(([specifier]) => sources.includes(`"${specifier}"`));
  const { compilerOptions } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  const config = {
    name: PACKAGE_NAME,
    version: PACKAGE_VERSION,
    license: "MIT",
    exports: Object.fromEntries(
      Object.entries(ENTRY_POINTS).map(([subpath, path]) => [subpath, `./${path.slice(SOURCES.length)}`]),
    ),
    imports: Object.fromEntries(imports.map(([specifier, target]) => [specifier, withRange(target)])),
    compilerOptions,
  };
  await Deno.writeTextFile(`${folder}/deno.json`, `${JSON.stringify(config, undefined, 2)}\n`);
  await copyDocuments(root, folder);
}
