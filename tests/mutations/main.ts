/**
 * `deno task mutations`: puts small faults, chosen at random from a seed, one
 * after the other into a copy of each folder of `shared/`, and runs its tests.
 *
 * @module
 */
import { parseFlags, UsageError } from "../../bench/support/options.ts";
import { table } from "../../bench/support/text.ts";
import { FOLDERS } from "./folders.ts";
import { type FolderOutcome, runFolder } from "./run.ts";
import type { Survivors } from "./survivors.ts";

const SURVIVORS = new URL("survivors.json", import.meta.url);

const HELP = `Usage: deno task mutations [options]

Puts small faults (a negated condition, a moved bound, a dropped statement or await,
a changed constant, an early return, …) one after the other into a copy of a folder
of shared/, and runs its tests: one of them must fail. A fault that survives is
listed, and the exit status is 1, unless tests/mutations/survivors.json has a reason
why it changes nothing that a test could see.

  --folder <names>  The folders, separated by commas (default all: ${Object.keys(FOLDERS).join(", ")})
  --count <n>       The number of faults in each folder (default 20)
  --seed <n>        The seed that chooses them (default 1)
  --help            Print this

It takes a second for each fault of a small folder, and up to a minute in postgres.
The faults that are written by hand: deno task mutations:pool, mutations:scope, mutations:breaker,
mutations:transaction.
`;

function parseCount(flag: string, text: string): number {
  if (/^\d{1,9}$/.test(text) && Number(text) >= 1) return Number(text);
  throw new UsageError(`${flag} must be a whole number above 0, not ${JSON.stringify(text)}`);
}

function parseFolders(text: string): string[] {
  return text.split(",").map((name) => {
    if (FOLDERS[name] !== undefined) return name;
    throw new UsageError(`Unknown folder ${JSON.stringify(name)}. Valid folders: ${Object.keys(FOLDERS).join(", ")}`);
  });
}

/** Formats the result of each folder. */
export function outcomeTable(outcomes: readonly FolderOutcome[]): string {
  return table([
    ["folder", "existing", "tried", "caught", "explained", "survived", "survived %"],
    ...outcomes.map(({ folder, existing, caught, explained, survivors: { length } }) => {
      const tried = caught + explained + length;
      return [
        `shared/${folder}/`,
        ...[existing, tried, caught, explained, length].map(String),
        ((explained + length) / Math.max(1, tried) * 100).toFixed(0),
      ];
    }),
  ]);
}

async function main(args: readonly string[]): Promise<number> {
  const flags = parseFlags(args, {
    folder: { type: "string", default: Object.keys(FOLDERS).join(",") },
    count: { type: "string", default: "20" },
    seed: { type: "string", default: "1" },
    help: { type: "boolean", default: false },
  });
  if (flags.help) {
    console.log(HELP);
    return 0;
  }
  const folders = parseFolders(flags.folder);
  const [count, seed] = [parseCount("--count", flags.count), parseCount("--seed", flags.seed)];
  const survivors: Survivors = JSON.parse(await Deno.readTextFile(SURVIVORS));
  const controller = new AbortController();
  const interrupt = () => controller.abort(new Error("interrupted"));
  Deno.addSignalListener("SIGINT", interrupt);
  Deno.addSignalListener("SIGTERM", interrupt);
  const outcomes: FolderOutcome[] = [];
  try {
    for (const folder of folders) {
      const tests = FOLDERS[folder];
      if (!tests) continue;
      outcomes.push(
        await runFolder({
          folder,
          tests,
          count,
          seed,
          survivors,
          signal: controller.signal,
          log: (line) => console.log(line),
        }),
      );
    }
  } catch (error) {
    if (!controller.signal.aborted) throw error;
    console.error("Interrupted");
    return 130;
  } finally {
    Deno.removeSignalListener("SIGINT", interrupt);
    Deno.removeSignalListener("SIGTERM", interrupt);
  }
  console.log(`\n${outcomeTable(outcomes)}`);
  return outcomes.some(({ survivors }) => survivors.length > 0) ? 1 : 0;
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
