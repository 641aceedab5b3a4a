/**
 * Faults that are put into a copy of the library on purpose, to see a property test fail.
 *
 * @module
 */

/** One change of one file. */
export interface Mutation {
  /** The file, in the folder of {@linkcode MutationRun}. */
  readonly file: string;
  /** A text that occurs there exactly once. */
  readonly find: string;
  /** The text that replaces it. */
  readonly replace: string;
  /** The fault. */
  readonly what: string;
}

/** The mutations of one folder, and the tests that must catch them. */
export interface MutationRun {
  readonly mutations: readonly Mutation[];
  /** The folder of the mutated files: `shared/supabase/`. */
  readonly folder: string;
  /** The folders and files of the tests. */
  readonly tests: string | readonly string[];
  /** Files and folders that the copy needs beside `shared`. */
  readonly copied: readonly string[];
}

const ROOT = new URL("../../", import.meta.url);
const COPIED = ["deno.json", "deno.lock", "import_map.json", "shared", "local/std", "tests/support"];

/** Longer than a test takes by far; a fault may make it run forever. */
const LIMIT_MS = 120_000;

/**
 * Applies a mutation to the text of its file.
 *
 * @throws {Error} when `find` does not occur exactly once.
 */
export function mutate(source: string, { file, find, replace, what }: Mutation): string {
  const [before, after, ...more] = source.split(find);
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`Cannot apply "${what}": its text does not occur exactly once in ${file}`);
  }
  return before + replace + after;
}

async function copy(from: string, to: string): Promise<void> {
  if (!(await Deno.stat(from)).isDirectory) return Deno.copyFile(from, to);
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) await copy(`${from}/${name}`, `${to}/${name}`);
}

/** Runs the tests, and returns the first lines of their failure; `undefined` if they pass. */
async function failure(folder: string, tests: MutationRun["tests"]): Promise<string | undefined> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", ...typeof tests === "string" ? [tests] : tests],
    cwd: folder,
    env: { NO_COLOR: "1" },
    signal: AbortSignal.timeout(LIMIT_MS),
  }).output();
  if (success) return undefined;
  const decoder = new TextDecoder();
  const said = decoder.decode(stdout) + decoder.decode(stderr);
  const at = Math.max(said.lastIndexOf("Caused by: "), said.indexOf("error: "), 0);
  const cause = said.slice(at).split("\n").filter((line) => line.trim() !== "");
  return cause.slice(0, 3).join(" ").slice(0, 160);
}

/**
 * Puts each fault alone into a copy, runs the tests on it, and prints whether they failed. With words as arguments of the
 * process, only the faults that have one of them in their text.
 *
 * @returns The number of faults that were missed.
 */
export async function runMutations({ mutations, folder, tests, copied }: MutationRun): Promise<number> {
  const root = await Deno.realPath(ROOT);
  const target = await Deno.makeTempDir({ prefix: "mutations-" });
  let missed = 0;
  try {
    for (const path of [...COPIED, ...copied]) {
      await Deno.mkdir(`${target}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await copy(`${root}/${path}`, `${target}/${path}`);
    }
    await Deno.symlink(`${root}/node_modules`, `${target}/node_modules`);
    const clean = await failure(target, tests);
    if (clean !== undefined) throw new Error(`Without a mutation the property fails: ${clean}`);
    const chosen = mutations.filter(({ what }) =>
      Deno.args.length === 0 || Deno.args.some((word) => what.includes(word))
    );
    for (const mutation of chosen) {
      const path = `${target}/${folder}${mutation.file}`;
      const source = await Deno.readTextFile(path);
      await Deno.writeTextFile(path, mutate(source, mutation));
      const report = await failure(target, tests);
      await Deno.writeTextFile(path, source);
      if (report === undefined) missed++;
      console.log(`${report === undefined ? "MISSED" : "caught"}  ${mutation.file}: ${mutation.what}`);
      if (report !== undefined) console.log(`        ${report}`);
    }
    console.log(`\n${chosen.length - missed} of ${chosen.length} mutations were caught`);
  } finally {
    await Deno.remove(target, { recursive: true });
  }
  return missed;
}
