/**
 * Runs of mutations, chosen at random from a seed.
 *
 * @module
 */
import type { FolderTests } from "./folders.ts";
import { applyMutation } from "./operators.ts";
import { inOrderOf } from "./random.ts";
import { describeMutation, type FileMutation, lineOf, reasonOf, type Survivors } from "./survivors.ts";
import { type Outcome, Workspace } from "./workspace.ts";

const ROOT = new URL("../../", import.meta.url);
const PARSE = new URL("parse.ts", import.meta.url);

/** Longer than the tests of any folder take by far. */
const CLEAN_LIMIT_MS = 1_200_000;

/** Returns the time after which tests hang: on a busy machine they take longer than they did without a fault. */
const limitAfter = (cleanMs: number): number => 60_000 + 4 * cleanMs;

/** The result of a folder. */
export interface FolderOutcome {
  readonly folder: string;
  /** The number of mutations that exist in the folder. */
  readonly existing: number;
  readonly caught: number;
  /** Survivors with a reason in `survivors.json`. */
  readonly explained: number;
  /** Survivors without one: `path:line description`. */
  readonly survivors: readonly string[];
}

/** Options of {@linkcode runFolder}. */
export interface RunOptions {
  readonly folder: string;
  readonly tests: FolderTests;
  /** The number of mutations to try. */
  readonly count: number;
  readonly seed: number;
  readonly survivors: Survivors;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

async function modulesBelow(path: string): Promise<string[]> {
  const modules: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(path, ROOT))) {
    if (isDirectory) modules.push(...await modulesBelow(`${path}${name}/`));
    else if (name.endsWith(".ts") && !name.endsWith(".d.ts")) modules.push(`${path}${name}`);
  }
  return modules.sort();
}

/** Lists all mutations of a folder of `shared/`. */
export async function mutationsOf(folder: string): Promise<FileMutation[]> {
  const to = await Deno.makeTempFile({ prefix: "mutations-", suffix: ".json" });
  try {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "-A", "--no-check", "--quiet", PARSE.pathname],
      cwd: ROOT,
      env: { MUTATIONS_OF: JSON.stringify(await modulesBelow(`shared/${folder}/`)), MUTATIONS_TO: to },
    }).output();
    const decoder = new TextDecoder();
    if (!success) throw new Error(`Cannot list mutations: ${decoder.decode(stdout)}${decoder.decode(stderr)}`);
    return JSON.parse(await Deno.readTextFile(to));
  } finally {
    await Deno.remove(to);
  }
}

/** Reads the modules that some mutations change. */
export async function sourcesOf(mutations: readonly FileMutation[]): Promise<Map<string, string>> {
  const sources = new Map<string, string>();
  for (const { path } of mutations) {
    if (!sources.has(path)) sources.set(path, await Deno.readTextFile(new URL(path, ROOT)));
  }
  return sources;
}

/**
 * Returns mutations in an order that the seed decides. It depends on their descriptions only: an edit elsewhere does not
 * change it.
 */
export function drawn(
  mutations: readonly FileMutation[],
  sources: ReadonlyMap<string, string>,
  seed: number,
): FileMutation[] {
  return inOrderOf(seed, mutations, (mutation) => {
    return `${mutation.path} ${describeMutation(sources.get(mutation.path) ?? "", mutation)}`;
  });
}

/**
 * Tries mutations of a folder, chosen at random: each alone is put into a copy, whose tests run until one fails.
 *
 * @throws {Error} if the tests fail without a mutation.
 */
export async function runFolder(options: RunOptions): Promise<FolderOutcome> {
  const { folder, tests, count, seed, survivors, signal, log } = options;
  const all = await mutationsOf(folder);
  const sources = await sourcesOf(all);
  await using workspace = await Workspace.create(tests);
  let startedAt = performance.now();
  let clean = await workspace.run(workspace.tests, CLEAN_LIMIT_MS, signal);
  // A test of time may fail on a busy machine; one that fails twice is broken.
  if (clean.outcome !== "survived") {
    startedAt = performance.now();
    clean = await workspace.run(workspace.tests, CLEAN_LIMIT_MS, signal);
  }
  if (clean.outcome !== "survived") {
    throw new Error(`Without a mutation the tests of ${folder} do not pass:\n${clean.output.slice(-2_000)}`);
  }
  const limitMs = limitAfter(performance.now() - startedAt);
  const unexplained: string[] = [];
  let [caught, explained] = [0, 0];
  for (const mutation of drawn(all, sources, seed)) {
    if (caught + explained + unexplained.length >= count) break;
    const { path, start } = mutation;
    const source = sources.get(path) ?? "";
    const description = describeMutation(source, mutation);
    const where = `${path}:${lineOf(source, start)}`;
    await Deno.writeTextFile(`${workspace.path}/${path}`, applyMutation(source, mutation));
    const { near, far } = workspace.testsFor(path);
    let outcome: Outcome = "survived";
    // The few near tests start at once.
    for (const tests of [near, far]) {
      if (outcome === "survived" && tests.length > 0) ({ outcome } = await workspace.run(tests, limitMs, signal));
    }
    await Deno.writeTextFile(`${workspace.path}/${path}`, source);
    if (outcome === "invalid") continue;
    if (outcome === "caught") {
      caught++;
      log(`caught    ${where} ${description}`);
      continue;
    }
    const reason = reasonOf(survivors, path, description);
    if (reason === undefined) unexplained.push(`${where} ${description}`);
    else explained++;
    log(`${reason === undefined ? "SURVIVED " : "explained"} ${where} ${description}`);
  }
  return { folder, existing: all.length, caught, explained, survivors: unexplained };
}
