/**
 * `deno task mutations:scope`: puts each fault of the table alone into a copy of
 * the scope, runs the property test on it, and reports whether it failed. With
 * words as arguments, only the faults that have one of them in their text.
 *
 * @module
 */
import { mutate, MUTATIONS } from "./table.ts";

const ROOT = new URL("../../../../../", import.meta.url);
const COPIED = ["deno.json", "deno.lock", "import_map.json", "shared", "local/std", "tests/supabase", "tests/support"];

/** Longer than the test takes by far; a fault may make it run forever. */
const LIMIT_MS = 120_000;

async function copy(from: string, to: string): Promise<void> {
  if (!(await Deno.stat(from)).isDirectory) return Deno.copyFile(from, to);
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) await copy(`${from}/${name}`, `${to}/${name}`);
}

/** Runs the property test, and returns the first line of its failure; `undefined` if it passes. */
async function failure(folder: string): Promise<string | undefined> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", "tests/supabase/scope/properties/"],
    cwd: folder,
    env: { NO_COLOR: "1" },
    signal: AbortSignal.timeout(LIMIT_MS),
  }).output();
  if (success) return undefined;
  const decoder = new TextDecoder();
  const said = decoder.decode(stdout) + decoder.decode(stderr);
  const cause = said.slice(said.lastIndexOf("Caused by: ")).split("\n").filter((line) => line.trim() !== "");
  return cause.slice(0, 3).join(" ").slice(0, 160);
}

if (import.meta.main) {
  const root = await Deno.realPath(ROOT);
  const folder = await Deno.makeTempDir({ prefix: "mutations-" });
  let missed = 0;
  try {
    for (const path of ["local", "tests"]) await Deno.mkdir(`${folder}/${path}`);
    for (const path of COPIED) await copy(`${root}/${path}`, `${folder}/${path}`);
    await Deno.symlink(`${root}/node_modules`, `${folder}/node_modules`);
    const clean = await failure(folder);
    if (clean !== undefined) throw new Error(`Without a mutation the property fails: ${clean}`);
    const chosen = MUTATIONS.filter(({ what }) =>
      Deno.args.length === 0 || Deno.args.some((word) => what.includes(word))
    );
    for (const mutation of chosen) {
      const path = `${folder}/shared/supabase/${mutation.file}`;
      const source = await Deno.readTextFile(path);
      await Deno.writeTextFile(path, mutate(source, mutation));
      const report = await failure(folder);
      await Deno.writeTextFile(path, source);
      if (report === undefined) missed++;
      console.log(`${report === undefined ? "MISSED" : "caught"}  ${mutation.file}: ${mutation.what}`);
      if (report !== undefined) console.log(`        ${report}`);
    }
    console.log(`\n${chosen.length - missed} of ${chosen.length} mutations were caught`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  Deno.exit(missed === 0 ? 0 : 1);
}
