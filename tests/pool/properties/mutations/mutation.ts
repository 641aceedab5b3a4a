/**
 * A fault that is put into the pool core on purpose, to see a property fail.
 *
 * @module
 */
import type { Invariant } from "../invariants.ts";

/** One change of one file. */
export interface Mutation {
  /** The file, in `shared/pool/`. */
  readonly file: string;
  /** A text that occurs there exactly once. */
  readonly find: string;
  /** What stands there instead. */
  readonly replace: string;
  /** What it does to the pool. */
  readonly what: string;
  /** The invariants that were reported as broken, that which it was made for first. */
  readonly caughtBy: readonly [Invariant, ...Invariant[]];
}

/** Where the mutated files are. */
export const FOLDER = new URL("../../../../shared/pool/", import.meta.url);

/**
 * Makes a change in the text of its file.
 *
 * @throws {Error} when there is not exactly one place for it.
 */
export function mutate(source: string, { file, find, replace, what }: Mutation): string {
  const [before, after, ...more] = source.split(find);
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(
      `"${what}" has ${after === undefined ? 0 : more.length + 1} places in shared/pool/${file}, not one: ` +
        `bring its "find" up to date, and run "deno task mutations"`,
    );
  }
  return before + replace + after;
}
