/**
 * An upload, unpacked into a folder.
 *
 * @module
 */
import { readLinkedPackages } from "../../local/deno_2_1/deno.ts";
import { withLinkedPackages } from "../../local/deno_2_1/import_map.ts";
import { fromFileUrl } from "../../local/paths.ts";
import { type ModuleGraph, readModuleGraph } from "../../local/deploy/module_graph.ts";
import type { Upload } from "./management_api.ts";

const STD = fromFileUrl(new URL("../../local/std", import.meta.url));

/** One uploaded function, alone in a folder. */
export interface UploadedTree extends AsyncDisposable {
  /** The folder. */
  readonly root: string;
  /** Path of its module. */
  readonly entrypoint: string;
  /** Path of the import map to run it with. */
  readonly importMap: string;
  /** The folders that the function may read: its own, and those of packages that stand in for JSR's. */
  readonly readable: readonly string[];
  /** Its modules. */
  readonly graph: ModuleGraph;
}

/**
 * Returns the import map to use where JSR cannot be reached: the uploaded one, or, if the function imports from `jsr:`, a
 * copy that replaces exactly these entries with the packages of `local/std`.
 */
async function reachable(uploaded: string, graph: ModuleGraph, folder: string): Promise<string> {
  if (!graph.packages.some((specifier) => specifier.startsWith("jsr:"))) return uploaded;
  const { imports, ...rest }: { imports: Record<string, string> } = JSON.parse(await Deno.readTextFile(uploaded));
  const packages = await readLinkedPackages(new URL("../../", import.meta.url));
  // In the folder of the original, since its paths are relative.
  const path = `${folder}/import_map_without_jsr.json`;
  await Deno.writeTextFile(path, JSON.stringify({ ...rest, imports: withLinkedPackages(imports, packages) }));
  return path;
}

/** Unpacks an upload. */
export async function unpack({ name, metadata, files }: Upload): Promise<UploadedTree> {
  const root = await Deno.realPath(await Deno.makeTempDir({ prefix: `deployed-${name}-` }));
  try {
    for (const [path, content] of files) {
      await Deno.mkdir(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeFile(`${root}/${path}`, content);
    }
    const entrypoint = `${root}/${metadata.entrypoint_path}`;
    const uploaded = `${root}/${metadata.import_map_path ?? "import_map.json"}`;
    const graph = await readModuleGraph({ entrypoint, importMap: uploaded, root });
    const importMap = await reachable(uploaded, graph, uploaded.replace(/\/[^/]*$/, ""));
    return {
      root,
      entrypoint,
      importMap,
      readable: importMap === uploaded ? [root] : [root, STD],
      graph: importMap === uploaded ? graph : await readModuleGraph({ entrypoint, importMap, root }),
      [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }),
    };
  } catch (error) {
    await Deno.remove(root, { recursive: true });
    throw error;
  }
}
