/**
 * A fault in the pool core that a property must detect.
 *
 * @module
 */
import type { Invariant } from "../invariants.ts";

/** A change of one file. */
export interface Mutation {
  /** The file, in `shared/pool/`. */
  readonly file: string;
  /** The text to replace, which occurs there exactly once. */
  readonly find: string;
  /** The replacement. */
  readonly replace: string;
  /** The effect on the pool. */
  readonly what: string;
  /** The invariants that were reported as broken, the intended one first. */
  readonly caughtBy: readonly [Invariant, ...Invariant[]];
}

/** The folder of the mutated files. */
export const FOLDER = new URL("../../../../shared/pool/", import.meta.url);

/**
 * Applies a mutation to the text of its file.
 *
 * @throws {Error} If `find` does not occur exactly once.
 */
export function mutate(source: string, { file, find, replace, what }: Mutation): string {
  const [before, after, ...more] = source.split(find);
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(
      `"${what}" has ${after === undefined ? 0 : more.length + 1} places in shared/pool/${file}, not one: ` +
        `bring its "find" up to date, and run "deno task mutations:pool"`,
    );
  }
  return before + replace + after;
}
