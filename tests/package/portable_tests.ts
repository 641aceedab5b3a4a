/**
 * The tests of `shared/` that can run against a published package: those that import public names only, directly and
 * through `tests/support/`.
 *
 * @module
 */
import { ENTRY_POINTS } from "../../local/package/identity.ts";
import { fromFileUrl } from "../../local/paths.ts";

/** A name that an entry point of the package exports. */
export interface PublicName {
  /** The subpath of the entry point, such as `./postgres`. */
  readonly subpath: string;
  /** The name there. */
  readonly name: string;
}

/** The values that a module takes from another one. */
interface ValueImport {
  readonly specifier: string;
  /** Their names; `undefined`: any. */
  readonly names: readonly string[] | undefined;
  /** `true` for `export *`, which the importers of this module name values of. */
  readonly isPassedOn: boolean;
}

/** Returns the imports of values in a module. Imports of types have no effect at run time. */
function valueImports(source: string): ValueImport[] {
  const imports: ValueImport[] = [];
  for (const [, type, clause = "", specifier = ""] of source.matchAll(STATIC_IMPORT)) {
    if (type !== undefined) continue;
    const [, namespace] = /^\* as (\w+)$/.exec(clause) ?? [];
    const names = clause.startsWith("{")
      ? clause.slice(1, -1).split(",").map((name) => name.trim().replace(/ as .*/, ""))
        .filter((name) => name !== "" && !name.startsWith("type "))
      : namespace === undefined
      ? undefined
      : Array.from(source.matchAll(new RegExp(`\\b${namespace}\\.(\\w+)`, "g")), ([, name = ""]) => name);
    if (names?.length !== 0) imports.push({ specifier, names, isPassedOn: clause === "*" });
  }
  for (const [, specifier = ""] of source.matchAll(/\bimport\("([^"]+)"\)/g)) {
    imports.push({ specifier, names: undefined, isPassedOn: false });
  }
  return imports;
}

/** The parts of the runtime that a test of the package cannot use: files of the checkout, and processes that run them. */
const NEEDS_CHECKOUT = /\bimport\.meta\b|\bDeno\.(Command|execPath|read\w+)\b/;

const STATIC_IMPORT = /^(?:import|export) (type )?(\{[^}]*\}|\* as \w+|\*|\w+) from "([^"]+)";$/gm;

/** The public names of a checkout, and its tests that need no others. */
export class PortableTests {
  readonly #root: URL;
  readonly #shared: string;
  readonly #exports = new Map<unknown, PublicName>();
  readonly #names = new Map<string, ReadonlyMap<string, PublicName>>();
  readonly #portable = new Map<string, boolean>();

  private constructor(root: URL) {
    this.#root = root;
    this.#shared = new URL("shared/", root).href;
  }

  /** Reads the entry points of the checkout at `root`, which is the one that this module belongs to. */
  static async read(root: URL): Promise<PortableTests> {
    const tests = new PortableTests(root);
    for (const [subpath, path] of Object.entries(ENTRY_POINTS)) {
      for (const [name, value] of Object.entries(await import(new URL(path, root).href))) {
        if (isIdentifiable(value) && !tests.#exports.has(value)) tests.#exports.set(value, { subpath, name });
      }
    }
    return tests;
  }

  /** Returns the public names among the exports of a module of `shared/`, by their names in that module. */
  async publicNames(module: string): Promise<ReadonlyMap<string, PublicName>> {
    const known = this.#names.get(module);
    if (known) return known;
    const names = new Map<string, PublicName>();
    for (const [name, value] of Object.entries(await import(module))) {
      const found = this.#exports.get(value);
      if (found) names.set(name, found);
    }
    this.#names.set(module, names);
    return names;
  }

  /** Returns true if a module of `shared/` has no value of one of these names that is not public. */
  async #arePublic(module: string, names: readonly string[]): Promise<boolean> {
    const values = await import(module);
    const available = await this.publicNames(module);
    return names.every((name) => !(name in values) || available.has(name));
  }

  /** Returns true if a module of `tests/`, and what it imports, uses only public names of `shared/`. */
  async #isPortable(module: string): Promise<boolean> {
    const known = this.#portable.get(module);
    if (known !== undefined) return known;
    // Modules that import each other are portable if the rest is.
    this.#portable.set(module, true);
    const source = await Deno.readTextFile(new URL(module));
    const imports = valueImports(source).filter(({ specifier }) => /^\./.test(specifier));
    const portable = await Promise.all(imports.map(async ({ specifier, names, isPassedOn }) => {
      const target = new URL(specifier, module).href;
      if (target.startsWith(this.#shared)) {
        return isPassedOn || (names !== undefined && await this.#arePublic(target, names));
      }
      return await this.#isPortable(target) && await this.#passesOn(target, names ?? []);
    }));
    const result = portable.every(Boolean) && !NEEDS_CHECKOUT.test(source);
    this.#portable.set(module, result);
    return result;
  }

  /** Returns true if a module of `tests/` can pass on these names of `shared/`, or declares them itself. */
  async #passesOn(module: string, names: readonly string[]): Promise<boolean> {
    const source = await Deno.readTextFile(new URL(module));
    const others = names.filter((name) => !new RegExp(`^export .*\\b${name}\\b`, "m").test(source));
    for (const { specifier, isPassedOn } of valueImports(source)) {
      const target = new URL(specifier, module).href;
      if (isPassedOn && target.startsWith(this.#shared) && !await this.#arePublic(target, others)) return false;
    }
    return true;
  }

  /** Returns the portable tests in a folder of `tests/`, relative to the root. */
  async list(folder: string): Promise<string[]> {
    const portable: string[] = [];
    for await (const { name, isDirectory } of Deno.readDir(fromFileUrl(new URL(`${folder}/`, this.#root)))) {
      const path = `${folder}/${name}`;
      if (isDirectory) portable.push(...await this.list(path));
      else if (name.endsWith("_test.ts") && await this.#isPortable(new URL(path, this.#root).href)) portable.push(path);
    }
    return portable.sort();
  }
}

/** Returns true for a value that is equal to itself only. */
function isIdentifiable(value: unknown): boolean {
  return typeof value === "function" || (typeof value === "object" && value !== null);
}
