/**
 * Runs of mutations, chosen at random from a seed.
 *
 * @module
 */
import { shuffled } from "../../bench/support/statistics.ts";
import type { FolderTests } from "./folders.ts";
import { applyMutation } from "./operators.ts";
import { seeded } from "./random.ts";
import { describeMutation, type FileMutation, lineOf, reasonOf, type Survivors } from "./survivors.ts";
import { Workspace } from "./workspace.ts";

const ROOT = new URL("../../", import.meta.url);
const PARSE = new URL("parse.ts", import.meta.url);

/** Longer than the tests of a folder take by far. */
const LIMIT_MS = 240_000;

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
 * Tries mutations of a folder, chosen at random: each alone is put into a copy, whose tests run until one fails.
 *
 * @throws {Error} if the tests fail without a mutation.
 */
export async function runFolder(options: RunOptions): Promise<FolderOutcome> {
  const { folder, tests, count, seed, survivors, signal, log } = options;
  const all = await mutationsOf(folder);
  const sources = await sourcesOf(all);
  await using workspace = await Workspace.create(tests);
  let clean = await workspace.run(workspace.tests, LIMIT_MS, signal);
  // A test of time may fail on a busy machine; one that fails twice is broken.
  if (clean.outcome !== "survived") clean = await workspace.run(workspace.tests, LIMIT_MS, signal);
  if (clean.outcome !== "survived") {
    throw new Error(`Without a mutation the tests of ${folder} do not pass:\n${clean.output.slice(-2_000)}`);
  }
  const unexplained: string[] = [];
  let [caught, explained] = [0, 0];
  for (const mutation of shuffled(all, seeded(seed))) {
    if (caught + explained + unexplained.length >= count) break;
    const { path, start } = mutation;
    const source = sources.get(path) ?? "";
    const description = describeMutation(source, mutation);
    const where = `${path}:${lineOf(source, start)}`;
    await Deno.writeTextFile(`${workspace.path}/${path}`, applyMutation(source, mutation));
    const nearest = workspace.nearest(path);
    const others = workspace.tests.filter((test) => !nearest.includes(test));
    let outcome = nearest.length > 0 ? (await workspace.run(nearest, LIMIT_MS, signal)).outcome : "survived";
    if (outcome === "survived" && others.length > 0) outcome = (await workspace.run(others, LIMIT_MS, signal)).outcome;
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
