/**
 * A copy of the library among the functions of a project, for a library that is not published, or must not change.
 *
 * @module
 */
import { dirname } from "node:path";
import { messageOf } from "../../shared/resilience/mod.ts";
import { libraryImports, writeLibrary } from "../package/vendor.ts";
import { StackError } from "../stack_error.ts";

/** The folder of the copy, relative to the project. */
export const VENDOR_FOLDER = "supabase/functions/_shared/supabase-pool";

/** An import of a package in a bundle or its types: `from "x"`, `import "x"`, `import("x")`. */
const IMPORT = /(\bfrom\s?|\bimport\s?\(?)"(@?[\w-][\w./-]*)"/g;

/** The files of a copy, by path relative to its folder. */
type Copy = ReadonlyMap<string, string>;

async function read(folder: string, path = "", into: Map<string, string> = new Map()): Promise<Map<string, string>> {
  for (const { name, isDirectory } of await Array.fromAsync(Deno.readDir(`${folder}/${path}`))) {
    if (isDirectory) await read(folder, `${path}${name}/`, into);
    else into.set(`${path}${name}`, await Deno.readTextFile(`${folder}/${path}${name}`));
  }
  return into;
}

/** Returns the files of the library. Its packages are named by version, so that no import map needs them. */
async function libraryFiles(): Promise<Copy> {
  const folder = await Deno.makeTempDir({ prefix: "supabase-pool-" });
  try {
    await writeLibrary(folder);
    const packages = await libraryImports();
    const files = await read(folder);
    for (const [path, text] of files) {
      files.set(
        path,
        text.replace(IMPORT, (whole, before, name) => name in packages ? `${before}"${packages[name]}"` : whole),
      );
    }
    return files;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A planned copy. */
export interface VendorPlan {
  /** The number of files to write; 0 if the copy is there. */
  readonly count: number;
  /** Writes the copy, in place of an older one. */
  write(): Promise<void>;
}

/**
 * Plans a copy of the library in the project at `root`.
 *
 * @throws {StackError} `SERVICE_FAILED` if the library cannot be built.
 */
export async function planVendor(root: string): Promise<VendorPlan> {
  const folder = `${root}/${VENDOR_FOLDER}`;
  let files: Copy;
  try {
    files = await libraryFiles();
  } catch (error) {
    throw new StackError("SERVICE_FAILED", `Cannot build the library to copy: ${messageOf(error)}.`, { cause: error });
  }
  const present: Copy = await read(folder).catch(() => new Map());
  const isSame = present.size === files.size && [...files].every(([path, text]) => present.get(path) === text);
  return {
    count: isSame ? 0 : files.size,
    write: async () => {
      // An older version may have files that this one does not.
      await Deno.remove(folder, { recursive: true }).catch(() => {});
      for (const [path, text] of files) {
        await Deno.mkdir(dirname(`${folder}/${path}`), { recursive: true });
        await Deno.writeTextFile(`${folder}/${path}`, text);
      }
    },
  };
}
