/**
 * The result of a migration.
 *
 * @module
 */

/** A line of a module, and the reason why it is as it is. */
export interface Note {
  /** From 1, in the module as it was. */
  readonly line: number;
  readonly text: string;
}

/** The result of a migration. */
export interface Migration {
  /** The new text; `undefined` if nothing was rewritten. */
  readonly text: string | undefined;
  readonly rewritten: readonly Note[];
  /** Lines that stay, to be changed by hand or not at all. */
  readonly left: readonly Note[];
  /** Differences that the rewritten function has. */
  readonly differences: readonly string[];
}

/** Returns the result for a module that is left as it is, because of one line. */
export function nothing(line: number, text: string): Migration {
  return { text: undefined, rewritten: [], left: [{ line, text }], differences: [] };
}
