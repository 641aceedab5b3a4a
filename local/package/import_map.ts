/**
 * The packages of `import_map.json`, as an artifact declares them.
 *
 * @module
 */

/** A package of npm. */
export interface NpmPackage {
  /** Its name. */
  readonly name: string;
  /** The version that the tests use. */
  readonly version: string;
  /** The entry point, with a leading slash; empty for the main one. */
  readonly subpath: string;
}

/** Parses a target of the import map. Returns `undefined` if it is not a package of npm. */
export function parseNpm(target: string): NpmPackage | undefined {
  const [, name, version, subpath = ""] = /^npm:((?:@[^/]+\/)?[^@/]+)@([^/]+)(\/.*)?$/.exec(target) ?? [];
  return name === undefined || version === undefined ? undefined : { name, version, subpath };
}

/** Reads the import map of the checkout at `root`. */
export async function readImports(root: URL): Promise<Record<string, string>> {
  return JSON.parse(await Deno.readTextFile(new URL("import_map.json", root))).imports;
}

/**
 * Returns the range for each package of npm among `specifiers`: at least the version that the tests use, below the next
 * major version.
 *
 * @throws {Error} If the import map lacks a specifier.
 */
export function rangesOf(specifiers: Iterable<string>, imports: Readonly<Record<string, string>>): Map<string, string> {
  const ranges = new Map<string, string>();
  for (const specifier of [...specifiers].sort()) {
    if (specifier.startsWith("node:")) continue;
    const found = parseNpm(imports[specifier] ?? "");
    if (!found) {
      throw new Error(`${specifier} is imported by the library and import_map.json maps it to no npm package`);
    }
    ranges.set(found.name, `^${found.version}`);
  }
  return ranges;
}
