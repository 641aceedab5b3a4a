/**
 * Import maps for a Deno without `links`.
 *
 * @module
 */

/** A local package that replaces a package of JSR. */
export interface LinkedPackage {
  /** The name of the package, such as `@std/async`. */
  readonly name: string;
  /** The entry points, as in its `deno.json`. */
  readonly exports: Readonly<Record<string, string>>;
  /** The folder of its `deno.json`, as a URL with a trailing slash. */
  readonly folder: URL;
}

/** Splits `jsr:@std/testing@^1.0.16/time` into `@std/testing` and `./time`. */
function parseJsr(target: string): { readonly name: string; readonly entry: string } | undefined {
  const match = /^jsr:\/?(@[^/]+\/[^@/]+)(?:@[^/]+)?(\/.+)?$/.exec(target);
  const name = match?.[1];
  return name === undefined ? undefined : { name, entry: `.${match?.[2] ?? ""}` };
}

/**
 * Returns `imports` with each `jsr:` target replaced by the local package of that
 * name. Other targets are unchanged.
 *
 * @throws {Error} If no local package replaces an import; the message names it.
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
