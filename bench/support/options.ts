/**
 * The command line of a benchmark.
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

/** What a benchmark can be asked for. */
export interface Known {
  /** The ids of all cases, as `--only` takes them. */
  readonly caseIds: readonly string[];
  /** How many rounds are counted unless told. */
  readonly rounds: { readonly full: number; readonly quick: number };
}

const MOST_ROUNDS = 1_000;

/** An argument that is not understood. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

function wholeNumber(flag: string, value: string): number {
  const number = /^\d{1,4}$/.test(value) ? Number(value) : NaN;
  if (number >= 1 && number <= MOST_ROUNDS) return number;
  throw new UsageError(`${flag} takes a whole number from 1 to ${MOST_ROUNDS}, not ${JSON.stringify(value)}.`);
}

function chosen(value: string, caseIds: readonly string[]): string[] {
  const ids = value.split(",");
  const unknown = ids.find((id) => !caseIds.includes(id));
  if (unknown === undefined) return ids;
  throw new UsageError(`--only knows no case ${JSON.stringify(unknown)}; the cases are ${caseIds.join(", ")}.`);
}

/**
 * Reads the arguments of a command line.
 *
 * @throws {UsageError} naming the one that is not understood.
 */
export function parseOptions(args: readonly string[], { caseIds, rounds }: Known): Options {
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
  const asked = values.get("--rounds");
  const only = values.get("--only");
  return {
    help: flags.has("--help"),
    quick,
    rounds: asked === undefined ? quick ? rounds.quick : rounds.full : wholeNumber("--rounds", asked),
    only: only === undefined ? [] : chosen(only, caseIds),
    strict: flags.has("--strict"),
    out: values.get("--out"),
  };
}
