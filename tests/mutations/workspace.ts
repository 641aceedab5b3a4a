/**
 * A copy of the repository that mutations are put into, and runs of its tests.
 *
 * @module
 */
import { type LocalPostgres, startPostgres } from "../../local/postgres/mod.ts";
import { TEMPLATE_VARIABLE } from "../postgres/template.ts";
import type { FolderTests } from "./folders.ts";
import { importGraph, nearestFirst, type TestOrder } from "./imports.ts";

const ROOT = new URL("../../", import.meta.url);
/** The files that tests read beside their own folders. */
const ALWAYS = [
  ...["deno.json", "deno.lock", "import_map.json", "shared", "functions", "supabase", "local", "tests"],
  ...["bench/support", "bench/compare", "bench/adaptive"],
];

/** The result of a run of tests. */
export type Outcome =
  /** A test failed, or the run took too long. */
  | "caught"
  /** All tests passed. */
  | "survived"
  /** The module cannot be parsed: not a mutation at all. */
  | "invalid";

async function copy(from: string, to: string): Promise<void> {
  if (!(await Deno.stat(from)).isDirectory) return Deno.copyFile(from, to);
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) {
    if (name !== "node_modules" && name !== ".git") await copy(`${from}/${name}`, `${to}/${name}`);
  }
}

async function filesBelow(root: string, path: string): Promise<string[]> {
  if (!path.endsWith("/")) return [path];
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${root}/${path}`)) {
    if (isDirectory) files.push(...await filesBelow(root, `${path}${name}/`));
    else if (name.endsWith("_test.ts")) files.push(`${path}${name}`);
  }
  return files.sort();
}

/** A copy of what the tests of a folder need. Disposal removes it. */
export class Workspace implements AsyncDisposable {
  /** Its path, without a trailing slash. */
  readonly path: string;
  /** The paths of the tests from the root. */
  readonly tests: readonly string[];
  readonly #imports: ReadonlyMap<string, readonly string[]>;
  readonly #postgres: LocalPostgres | undefined;

  private constructor(
    path: string,
    tests: readonly string[],
    imports: ReadonlyMap<string, readonly string[]>,
    postgres: LocalPostgres | undefined,
  ) {
    this.path = path;
    this.tests = tests;
    this.#imports = imports;
    this.#postgres = postgres;
  }

  /** Creates a copy. */
  static async create({ tests, needsPostgres, slow = [] }: FolderTests): Promise<Workspace> {
    const root = await Deno.realPath(ROOT);
    const path = await Deno.makeTempDir({ prefix: "mutations-" });
    // Servers of tests may run as another user.
    await Deno.chmod(path, 0o755);
    for (const one of ALWAYS) {
      await Deno.mkdir(`${path}/${one}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await copy(`${root}/${one}`, `${path}/${one}`);
    }
    await Deno.symlink(`${root}/node_modules`, `${path}/node_modules`);
    const files = (await Promise.all(tests.map((test) => filesBelow(root, test)))).flat();
    const chosen = files.filter((file) => !slow.some((prefix) => file.startsWith(prefix)));
    const postgres = needsPostgres ? await startPostgres() : undefined;
    // Its data is complete on disk from here on.
    await postgres?.stop();
    return new Workspace(path, chosen, await importGraph(path, chosen), postgres);
  }

  /** Returns the tests in the order in which they are likely to notice a fault in a module. */
  testsFor(module: string): TestOrder {
    return nearestFirst(this.tests, module, this.#imports);
  }

  /**
   * Runs tests in their order until one fails.
   *
   * @param limitMs A run that takes longer counts as caught: a fault may make it run forever.
   * @throws The reason of the signal when it is aborted.
   */
  async run(
    tests: readonly string[],
    limitMs: number,
    signal: AbortSignal,
  ): Promise<{ outcome: Outcome; output: string }> {
    const timeout = AbortSignal.timeout(limitMs);
    // A caller of its own for Ctrl-C: the tests' servers end with their process.
    const child = new Deno.Command(Deno.execPath(), {
      args: ["test", "-A", "--no-check", "--quiet", "--parallel", "--fail-fast", ...tests],
      cwd: this.path,
      env: {
        NO_COLOR: "1",
        ...(this.#postgres ? { [TEMPLATE_VARIABLE]: JSON.stringify(this.#postgres.template) } : {}),
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.any([timeout, signal]),
    }).spawn();
    const { success, stdout, stderr } = await child.output();
    signal.throwIfAborted();
    if (success) return { outcome: "survived", output: "" };
    const decoder = new TextDecoder();
    const output = decoder.decode(stdout) + decoder.decode(stderr);
    // A syntax error of the module, not of JSON in a test.
    const isInvalid =
      /source code could not be parsed|Uncaught SyntaxError|error: .*SyntaxError: .*(?:await|return|Unexpected)/
        .test(output) && !timeout.aborted && /0 passed|could not be parsed/.test(output);
    return { outcome: isInvalid ? "invalid" : "caught", output };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#postgres?.[Symbol.asyncDispose]();
    await Deno.remove(this.path, { recursive: true });
  }
}
