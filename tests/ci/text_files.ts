/**
 * The text files of the repository.
 *
 * @module
 */

/** Folders without text of ours. */
const SKIPPED = new Set([".git", ".local", "node_modules", "coverage", "bench/quick", "bench/results"]);

const TEXT_FILE = /(\.(ts|md|sql|toml|txt|sh|svg)|(^|\/)run)$/;

/** Lists the text files below `root`, as paths relative to it. */
export async function* textFiles(root: URL, folder = ""): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
    const path = `${folder}${name}`;
    if (SKIPPED.has(path)) continue;
    if (isDirectory) yield* textFiles(root, `${path}/`);
    else if (TEXT_FILE.test(path)) yield path;
  }
}
