/**
 * The import map of a Deno that has no `links`.
 *
 * @module
 */

/** A local package that stands in for one of JSR: its `deno.json`. */
export interface LinkedPackage {
  /** The package's name, such as `@std/async`. */
  readonly name: string;
  /** Its entry points, as in its `deno.json`. */
  readonly exports: Readonly<Record<string, string>>;
  /** The folder of its `deno.json`, as a URL with a slash at its end. */
  readonly folder: URL;
}

/** Splits `jsr:@std/testing@^1.0.16/time` into `@std/testing` and `./time`. */
function parseJsr(target: string): { readonly name: string; readonly entry: string } | undefined {
  const match = /^jsr:\/?(@[^/]+\/[^@/]+)(?:@[^/]+)?(\/.+)?$/.exec(target);
  const name = match?.[1];
  return name === undefined ? undefined : { name, entry: `.${match?.[2] ?? ""}` };
}

/**
 * `imports` with each `jsr:` target pointed at the local package of that name;
 * every other target stays.
 *
 * @throws {Error} naming the import that no local package stands in for.
 */
export function withLinkedPackages(
  imports: Readonly<Record<string, string>>,
  packages: readonly LinkedPackage[],
): Record<string, string> {
  const entries = Object.entries(imports).map(([specifier, target]): [string, string] => {
    if (!target.startsWith("jsr:")) return [specifier, target];
    const jsr = parseJsr(target);
    const linked = packages.find(({ name }) => name === jsr?.name);
    const file = jsr && linked?.exports[jsr.entry];
    if (!linked || file === undefined) {
      throw new Error(`${specifier} is ${target}, and no package in "links" of deno.json exports that: add it there`);
    }
    return [specifier, new URL(file, linked.folder).href];
  });
  return Object.fromEntries(entries);
}
