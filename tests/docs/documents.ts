/**
 * The documents of the repository, for the tests here.
 *
 * @module
 */

/** The root of the repository. */
export const ROOT = new URL("../../", import.meta.url);

/** A document: its path from the root, and its text. */
export interface Document {
  readonly path: string;
  readonly text: string;
}

async function* filesIn(folder: string, ends: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    if (isDirectory && name !== "node_modules") yield* filesIn(`${folder}${name}/`, ends);
    else if (name.endsWith(ends)) yield `${folder}${name}`;
  }
}

async function read(path: string): Promise<Document> {
  return { path, text: await Deno.readTextFile(new URL(path, ROOT)) };
}

/** Reads the Markdown documents: those at the root, in `docs/`, and beside tests. */
export async function readDocuments(): Promise<Document[]> {
  const paths = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"];
  for (const folder of ["docs/", "tests/"]) for await (const path of filesIn(folder, ".md")) paths.push(path);
  return await Promise.all(paths.map(read));
}

/** Reads the modules of `shared/`. */
export async function readModules(): Promise<Document[]> {
  const paths: string[] = [];
  for await (const path of filesIn("shared/", ".ts")) paths.push(path);
  return await Promise.all(paths.sort().map(read));
}
