/**
 * The table of mutations in the properties' documentation.
 *
 * @module
 */
import { type Invariant, INVARIANTS } from "../invariants.ts";
import type { Mutation } from "./mutation.ts";

/** The documentation that has the table. */
export const README = new URL("../README.md", import.meta.url);

const BEGIN = "<!-- mutations: written by `deno task mutations:pool --table` -->";
const END = "<!-- /mutations -->";

function row({ file, what, caughtBy: [first, ...others] }: Mutation): string {
  const also = others.length > 0 ? ` (and ${others.join(", ")})` : "";
  return `| ${first}: ${nameOf(first)}${also} | \`${file}\` | ${what} |`;
}

function nameOf(invariant: Invariant): string {
  return INVARIANTS[invariant];
}

/** The table, in Markdown. */
export function render(mutations: readonly Mutation[]): string {
  const head = ["| the property that caught it | changed in | what the change does |", "| --- | --- | --- |"];
  return [...head, ...mutations.map(row)].join("\n");
}

/**
 * Takes the documentation apart where its table is.
 *
 * @throws {Error} when it has none.
 */
export function split(readme: string): { before: string; table: string; after: string } {
  const [before, rest] = readme.split(BEGIN);
  const [table, after] = rest?.split(END) ?? [];
  if (before === undefined || table === undefined || after === undefined) {
    throw new Error(`${README.pathname} has no table between ${BEGIN} and ${END}`);
  }
  return { before, table, after };
}

/** The documentation with this table in it. */
export function withTable(readme: string, mutations: readonly Mutation[]): string {
  const { before, after } = split(readme);
  return `${before}${BEGIN}\n\n${render(mutations)}\n\n${END}${after}`;
}
