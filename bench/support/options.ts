/**
 * The command line of a benchmark.
 *
 * @module
 */
import { parseArgs, type ParseArgsConfig } from "node:util";

/** The options of a run. */
export interface Options {
  /** Print the help and exit. */
  readonly help: boolean;
  /** Fewer rounds, and nothing that takes seconds. */
  readonly quick: boolean;
  /** The number of counted rounds. */
  readonly rounds: number;
  /** The cases to measure; empty for all. */
  readonly only: readonly string[];
  /** Exit with 1 when a target is missed. */
  readonly strict: boolean;
  /** The folder for the results. */
  readonly out: string | undefined;
}

/** The cases and the default number of rounds of a benchmark. */
export interface Known {
  /** The ids of all cases, as `--only` takes them. */
  readonly caseIds: readonly string[];
  /** The default number of counted rounds. */
  readonly rounds: { readonly full: number; readonly quick: number };
}

const MAX_ROUNDS = 1_000;

/** An invalid command line. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/**
 * Parses arguments with `parseArgs` of `node:util`.
 *
 * @throws {UsageError} naming the invalid argument.
 */
export function parseFlags<T extends NonNullable<ParseArgsConfig["options"]>>(
  args: readonly string[],
  options: T,
): ReturnType<typeof parseArgs<{ args: string[]; options: T }>>["values"] {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : error}. --help lists the options.`);
  }
}

/**
 * Parses the value of `--rounds`.
 *
 * @throws {UsageError} when it is not an integer from 1 to 1000.
 */
export function parseRounds(text: string): number {
  const rounds = /^\d{1,4}$/.test(text) ? Number(text) : NaN;
  if (rounds >= 1 && rounds <= MAX_ROUNDS) return rounds;
  throw new UsageError(`--rounds must be an integer from 1 to ${MAX_ROUNDS}, not ${JSON.stringify(text)}`);
}

/**
 * Parses a list of cases, separated by commas.
 *
 * @throws {UsageError} naming the unknown case.
 */
export function parseCases<Id extends string>(text: string, caseIds: readonly Id[]): Id[] {
  return text.split(",").map((id) => {
    const known = caseIds.find((one) => one === id);
    if (known !== undefined) return known;
    throw new UsageError(`Unknown case ${JSON.stringify(id)}. Valid cases: ${caseIds.join(", ")}`);
  });
}

/**
 * Parses the command line of a benchmark.
 *
 * @throws {UsageError} naming the invalid argument.
 */
export function parseOptions(args: readonly string[], { caseIds, rounds }: Known): Options {
  const { help, quick, strict, rounds: chosenRounds, only, out } = parseFlags(args, {
    help: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    strict: { type: "boolean", default: false },
    rounds: { type: "string" },
    only: { type: "string" },
    out: { type: "string" },
  });
  return {
    help,
    quick,
    strict,
    rounds: chosenRounds === undefined ? quick ? rounds.quick : rounds.full : parseRounds(chosenRounds),
    only: only === undefined ? [] : parseCases(only, caseIds),
    out,
  };
}
