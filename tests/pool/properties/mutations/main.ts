/**
 * `deno task mutations:pool`: puts each fault of the list alone into a copy of the
 * pool core, runs the property tests on it, and says which invariants they
 * found broken. With words as arguments, only the mutations that have one of
 * them in their file's name or description. Takes minutes. With `--table`, only
 * writes the table of the documentation.
 *
 * @module
 */
import { mutate, type Mutation, MUTATIONS } from "./mod.ts";
import { README, withTable } from "./table.ts";

const ROOT = new URL("../../../../", import.meta.url);
const COPIED = ["deno.json", "deno.lock", "import_map.json", "shared", "local/std", "tests/pool", "tests/support"];

/** Looks at the list, not at the pool. */
const BESIDE = "tests/pool/properties/documentation_test.ts";

/** Longer than the tests take by far; a fault may make them run for ever. */
const LIMIT_MS = 600_000;

async function copy(from: string, to: string): Promise<void> {
  if (!(await Deno.stat(from)).isDirectory) return Deno.copyFile(from, to);
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) await copy(`${from}/${name}`, `${to}/${name}`);
}

/** A copy of what the property tests need, in a folder that goes with it. */
async function copyOfRepository(): Promise<string> {
  const root = await Deno.realPath(ROOT);
  const folder = await Deno.makeTempDir({ prefix: "mutations-" });
  await Deno.mkdir(`${folder}/local`);
  await Deno.mkdir(`${folder}/tests`);
  for (const path of COPIED) await copy(`${root}/${path}`, `${folder}/${path}`);
  await Deno.symlink(`${root}/node_modules`, `${folder}/node_modules`);
  return folder;
}

/** The result of the property tests: the invariants that broke, the first report, and how the run ended. */
interface Outcome {
  readonly broken: readonly number[];
  readonly report: string;
  readonly ending: "passed" | "failed" | "stopped" | "ran too long";
}

/** Runs the property tests until they end, or until every one of the `expected` invariants has broken. */
async function run(folder: string, expected: readonly number[], signal: AbortSignal): Promise<Outcome> {
  const log = `${folder}/broken.log`;
  await Deno.writeTextFile(log, "");
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", "--parallel", `--ignore=${BESIDE}`, "tests/pool/properties/"],
    cwd: folder,
    env: { NO_COLOR: "1", PROPERTY_BROKEN_LOG: log },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const broken = () => [...new Set(Deno.readTextFileSync(log).split("\n").filter(Boolean).map(Number))];
  const startedAt = Date.now();
  let stop: "stopped" | "ran too long" | undefined;
  const timer = setInterval(() => {
    if (expected.length > 0 && expected.every((number) => broken().includes(number))) stop = "stopped";
    else if (Date.now() - startedAt > LIMIT_MS) stop = "ran too long";
    if (!stop && !signal.aborted) return;
    clearInterval(timer);
    child.kill("SIGKILL");
  }, 100);
  const { success, stdout, stderr } = await child.output();
  clearInterval(timer);
  signal.throwIfAborted();
  const decoder = new TextDecoder();
  const output = decoder.decode(stdout) + decoder.decode(stderr);
  const report = /^error: .*(invariant \d+ .*)$/m.exec(output)?.[1] ?? (success || stop ? "" : output.slice(-2_000));
  return { broken: broken().sort((a, b) => a - b), report, ending: success ? "passed" : stop ?? "failed" };
}

/** Tries one mutation. Returns whether the properties that are to catch it did. */
async function tryOne(folder: string, mutation: Mutation, signal: AbortSignal): Promise<boolean> {
  const path = `${folder}/shared/pool/${mutation.file}`;
  const source = await Deno.readTextFile(path);
  await Deno.writeTextFile(path, mutate(source, mutation));
  const { broken, report, ending } = await run(folder, mutation.caughtBy, signal);
  await Deno.writeTextFile(path, source);
  const caught = mutation.caughtBy.every((number) => broken.includes(number));
  console.log(`${caught ? "caught" : "MISSED"}  ${mutation.file}: ${mutation.what}`);
  console.log(`        ${ending}, broken: ${broken.join(", ") || "none"}; expected: ${mutation.caughtBy.join(", ")}`);
  if (report) console.log(`        ${report}`);
  return caught;
}

const HELP = `Usage: deno task mutations:pool [--table] [words]

Puts each fault of the list alone into a copy of the pool core, runs the property
tests on it, and says which invariants they found broken. Takes minutes.

  words    Only the mutations with one of them in their file's name or description
  --table  Only write the table of tests/pool/properties/README.md
  --help   Print this`;

async function main(words: readonly string[]): Promise<boolean> {
  if (words.includes("--help")) {
    console.log(HELP);
    return true;
  }
  if (words.includes("--table")) {
    await Deno.writeTextFile(README, withTable(await Deno.readTextFile(README), MUTATIONS));
    return true;
  }
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort(new Error("interrupted"));
  Deno.addSignalListener("SIGINT", interrupt);
  const chosen = MUTATIONS.filter(({ file, what }) =>
    words.length === 0 || words.some((word) => `${file}: ${what}`.includes(word))
  );
  if (chosen.length === 0) throw new Error(`No mutation has any of these words: ${words.join(", ")}`);
  const folder = await copyOfRepository();
  try {
    const clean = await run(folder, [], interrupted.signal);
    if (clean.ending !== "passed") {
      throw new Error(`Without a mutation the properties did not pass: ${clean.ending}; ${clean.report}`);
    }
    let caught = 0;
    for (const mutation of chosen) if (await tryOne(folder, mutation, interrupted.signal)) caught++;
    console.log(`\n${caught} of ${chosen.length} mutations were caught by the property that they were made for`);
    return caught === chosen.length;
  } finally {
    Deno.removeSignalListener("SIGINT", interrupt);
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args) ? 0 : 1);
