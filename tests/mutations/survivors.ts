/**
 * Survivors: mutations that no test catches, each with its reason in
 * `survivors.json`, by file, then by the description of the mutation.
 *
 * @module
 */
import type { SourceMutation } from "./operators.ts";

/** A mutation of a file. */
export interface FileMutation extends SourceMutation {
  /** The path from the root. */
  readonly path: string;
}

/** Reasons, by the path of the file and {@linkcode describeMutation}. */
export type Survivors = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** The line number of an offset, from 1. */
export function lineOf(source: string, offset: number): number {
  return source.slice(0, offset).split("\n").length;
}

function shortened(text: string): string {
  const one = text.replaceAll(/\s+/g, " ").trim();
  return one.length <= 60 ? one : `${one.slice(0, 57)}...`;
}

/**
 * Describes a mutation by what it replaces, in its line. It names no line number, so that it survives edits above it.
 */
export function describeMutation(source: string, { operator, start, end, replacement }: SourceMutation): string {
  const line = source.slice(source.lastIndexOf("\n", start - 1) + 1, (source.indexOf("\n", start) + 1 || Infinity) - 1);
  const [before, after] = [shortened(source.slice(start, end)), shortened(replacement)];
  return `${operator}: ${before} -> ${after} in: ${shortened(line)}`;
}

/** Returns the reason why no test needs to catch a mutation; `undefined` if there is none. */
export function reasonOf(survivors: Survivors, path: string, description: string): string | undefined {
  return survivors[path]?.[description];
}

/** Returns one line for each reason whose mutation does not exist in the file any more. */
export function staleReasons(
  survivors: Survivors,
  mutations: readonly FileMutation[],
  sources: ReadonlyMap<string, string>,
): string[] {
  const known = new Set(
    mutations.map((mutation) => `${mutation.path} ${describeMutation(sources.get(mutation.path) ?? "", mutation)}`),
  );
  return Object.entries(survivors).flatMap(([path, entries]) =>
    Object.keys(entries).filter((description) => !known.has(`${path} ${description}`))
      .map((description) => `${path} has no such mutation, remove its reason: ${description}`)
  );
}
