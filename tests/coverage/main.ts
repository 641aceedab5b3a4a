/**
 * `deno task coverage`: runs the tests of `shared/`, prints the coverage of each
 * of its folders, and compares every uncovered line with its reason.
 *
 * Tests that start processes, such as functions of the local stack, count: Deno
 * passes the folder for coverage to processes that inherit the environment.
 *
 * @module
 */
import { parseFlags, UsageError } from "../../bench/support/options.ts";
import { type FileCoverage, parseLcov } from "./lcov.ts";
import { checkReasons, functionKey, type Reasons, uncoveredRuns } from "./reasons.ts";
import { ALL, belowLimits, byFolder, folderOf, folderTable, LIMITS } from "./report.ts";
import { hasCode } from "./unloaded.ts";

const ROOT = new URL("../../", import.meta.url);
const REASONS = new URL("uncovered.json", import.meta.url);

/** The folders of tests that use the library as a whole, beside those named like a folder of `shared/`. */
const WHOLE = ["functions", "isolation"];

const HELP = `Usage: deno task coverage [options]

Runs the tests of shared/ and prints its coverage by folder. Exits with 1 when a
test fails, a folder covers less than ${LIMITS.functions} % of its functions, ${LIMITS.lines} % of its lines
or ${LIMITS.branches} % of its branches, or an uncovered line or function has no reason in
tests/coverage/uncovered.json (or a reason there belongs to nothing uncovered).
A function with a reason counts as covered.
Takes a few minutes.

  --from <folder>  Report the coverage that an earlier run left in this folder, and run no tests
  --lcov <file>    Write the coverage as lcov
  --help           Print this
`;

async function entriesOf(path: string): Promise<Deno.DirEntry[]> {
  return await Array.fromAsync(Deno.readDir(new URL(path, ROOT)));
}

/** Returns the folders of the tests of `shared/`. */
async function testFolders(): Promise<string[]> {
  const library = (await entriesOf("shared/")).filter(({ isDirectory }) => isDirectory).map(({ name }) => name);
  const tests = new Set((await entriesOf("tests/")).map(({ name }) => name));
  return [...library, ...WHOLE].filter((name) => tests.has(name)).sort().map((name) => `tests/${name}/`);
}

/** The time between two lines about the progress, in ms. */
const PROGRESS_MS = 15_000;

/** Runs the tests, whose output is printed only if one fails. Returns whether all of them passed. */
async function runTests(folder: string): Promise<boolean> {
  const flags = ["--no-check", "--parallel", "--clean", `--coverage=${folder}`, "--coverage-raw-data-only"];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", ...flags, ...await testFolders()],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let passed = 0;
  let output = "";
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      passed += text.split("... ok (").length - 1;
      output += text;
    }
  };
  const timer = setInterval(() => console.error(`${passed} tests and steps passed`), PROGRESS_MS);
  const [{ success }] = await Promise.all([child.status, read(child.stdout), read(child.stderr)]);
  clearInterval(timer);
  if (!success) console.error(output.slice(Math.max(0, output.lastIndexOf("\n ERRORS "))));
  return success;
}

async function lcovOf(folder: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["coverage", "--quiet", "--lcov", `--include=^${new URL("shared/", ROOT)}`, folder],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  if (!success || !text.includes("end_of_record")) {
    throw new Error(`Cannot read the coverage in ${folder}: ${new TextDecoder().decode(stderr).trim()}`);
  }
  return text;
}

async function modulesOf(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for (const { name, isDirectory } of await entriesOf(folder)) {
    if (isDirectory) paths.push(...await modulesOf(`${folder}${name}/`));
    else if (name.endsWith(".ts") && !name.endsWith(".d.ts")) paths.push(`${folder}${name}`);
  }
  return paths.sort();
}

async function unloaded(files: readonly FileCoverage[]): Promise<string[]> {
  const loaded = new Set(files.map(({ path }) => path));
  const faults: string[] = [];
  for (const path of await modulesOf("shared/")) {
    if (loaded.has(path) || !hasCode(await Deno.readTextFile(new URL(path, ROOT)))) continue;
    faults.push(`${path}: no test loads it`);
  }
  return faults;
}

async function main(args: readonly string[]): Promise<number> {
  const { from, lcov, help } = parseFlags(args, {
    from: { type: "string" },
    lcov: { type: "string" },
    help: { type: "boolean", default: false },
  });
  if (help) {
    console.log(HELP);
    return 0;
  }
  const faults: string[] = [];
  if (from === undefined && !await runTests("coverage")) faults.push("A test failed");
  const text = await lcovOf(from ?? "coverage");
  if (lcov !== undefined) await Deno.writeTextFile(lcov, text);
  const files = parseLcov(text, ROOT.pathname);
  const folders = byFolder(files);
  console.log(`\n${folderTable(folders)}\n`);
  const reasons: Reasons = JSON.parse(await Deno.readTextFile(REASONS));
  const sources = await Promise.all(files.map(({ path }) => Deno.readTextFile(new URL(path, ROOT))));
  const runs = files.flatMap((file, index) => uncoveredRuns(file, sources[index] ?? ""));
  const explained = files.flatMap(({ path, uncoveredFunctions }) =>
    uncoveredFunctions.filter((name) => reasons[path]?.[functionKey(name)]).map(() => folderOf(path))
  );
  const countExplained = (folder: string) => explained.filter((one) => folder === ALL || one === folder).length;
  faults.push(...belowLimits(folders, countExplained), ...checkReasons(runs, reasons), ...await unloaded(files));
  for (const fault of faults) console.error(fault);
  console.log(
    faults.length > 0
      ? `${faults.length} faults`
      : `${runs.length} runs of uncovered lines, each with its reason in tests/coverage/uncovered.json`,
  );
  return faults.length > 0 ? 1 : 0;
}

if (import.meta.main) {
  try {
    Deno.exitCode = await main(Deno.args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    Deno.exitCode = 2;
  }
}
