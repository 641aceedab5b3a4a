/**
 * The command line.
 *
 * @module
 */

/** What was asked for. */
export interface Options {
  /** Only explain. */
  readonly help: boolean;
  /** Fewer rounds, and nothing that takes seconds. */
  readonly quick: boolean;
  /** How many rounds are counted. */
  readonly rounds: number;
  /** The cases to measure; empty for all. */
  readonly only: readonly string[];
  /** Whether a bar that does not hold makes the run fail. */
  readonly strict: boolean;
  /** Where the results go. */
  readonly out: string | undefined;
}

/** What `--help` prints. */
export const HELP = `Usage: deno task bench:pool [options]

Measures the pool core beside other pools and beside the least a pool can
cost, in interleaved rounds, and says which of its bars hold.

  --quick          Fewer rounds, and nothing that takes seconds
  --rounds <n>     How many rounds are counted (default 31, quick 9);
                   of what takes long, a quarter of them
  --only <cases>   Measure only these, separated by commas: sync, one, callers,
                   crowd_10k, crowd_100k, bytes, expiry_10k, expiry_50k, retention
  --out <folder>   Where pool.json and pool.svg go (default bench/results for
                   a whole run; a quick or partial one writes none)
  --strict         Exit with 1 when a bar does not hold
  --help           Print this

Bytes are of V8's heap; what the runtime keeps outside it is not seen.
`;

/** The ids of all cases, as `--only` takes them. */
export const CASE_IDS: readonly string[] = [
  "sync",
  "one",
  "callers",
  "crowd_10k",
  "crowd_100k",
  "bytes",
  "expiry_10k",
  "expiry_50k",
  "retention",
];

const ROUNDS = { full: 31, quick: 9, most: 1_000 };

/** An argument that is not understood. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

function wholeNumber(flag: string, value: string): number {
  const number = /^\d{1,4}$/.test(value) ? Number(value) : NaN;
  if (number >= 1 && number <= ROUNDS.most) return number;
  throw new UsageError(`${flag} takes a whole number from 1 to ${ROUNDS.most}, not ${JSON.stringify(value)}.`);
}

function caseIds(value: string): string[] {
  const ids = value.split(",");
  const unknown = ids.find((id) => !CASE_IDS.includes(id));
  if (unknown === undefined) return ids;
  throw new UsageError(`--only knows no case ${JSON.stringify(unknown)}; the cases are ${CASE_IDS.join(", ")}.`);
}

/**
 * Reads the arguments of a command line.
 *
 * @throws {UsageError} naming the one that is not understood.
 */
export function parseOptions(args: readonly string[]): Options {
  const flags = new Set<string>();
  const values = new Map<string, string>();
  const rest = args[Symbol.iterator]();
  for (const argument of rest) {
    const [flag = "", ...after] = argument.split("=");
    if (["--help", "--quick", "--strict"].includes(argument)) flags.add(argument);
    else if (["--rounds", "--only", "--out"].includes(flag)) {
      const value = after.length > 0 ? after.join("=") : rest.next().value;
      if (!value) throw new UsageError(`${flag} takes a value; nothing follows it.`);
      values.set(flag, value);
    } else throw new UsageError(`Unknown option ${argument}; --help lists the options.`);
  }
  const quick = flags.has("--quick");
  const rounds = values.get("--rounds");
  const only = values.get("--only");
  return {
    help: flags.has("--help"),
    quick,
    rounds: rounds === undefined ? quick ? ROUNDS.quick : ROUNDS.full : wholeNumber("--rounds", rounds),
    only: only === undefined ? [] : caseIds(only),
    strict: flags.has("--strict"),
    out: values.get("--out"),
  };
}
