/**
 * The modules of a project that a function imports by relative paths.
 *
 * @module
 */
import { dirname, join } from "node:path";
import ts from "typescript";
import { type ImportedName, type Imports, SourceModule } from "./source_module.ts";

/** Reads the text of a file, without a byte order mark; `undefined` if it does not exist or is not UTF-8. */
export type ReadText = (path: string) => string | undefined;

/** Returns a module; `undefined` if it is nested too deeply to parse. */
function parse(path: string, text: string, imports: Imports): SourceModule | undefined {
  try {
    return new SourceModule(path, text, imports);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The modules of a project, as one import map resolves them: each is parsed once. */
export class ModuleGraph {
  readonly #read: ReadText;
  readonly #imports: Readonly<Record<string, string>>;
  readonly #modules = new Map<string, SourceModule | undefined>();

  /**
   * @param imports The imports of the import map: what each specifier, or prefix that ends in a slash, stands for.
   * Relative paths are made absolute. Default: none.
   */
  constructor(read: ReadText, imports: Readonly<Record<string, string>> = {}) {
    this.#read = read;
    this.#imports = imports;
  }

  /** Returns a module, if its file can be read and parsed. */
  at(path: string): SourceModule | undefined {
    if (!this.#modules.has(path)) {
      const text = /\.[cm]?[jt]sx?$/.test(path) ? this.#read(path) : undefined;
      const imports: Imports = {
        origin: (module, imported) => this.#origin(module, imported),
        mapped: (specifier) => this.#mapped(specifier),
      };
      this.#modules.set(path, text === undefined ? undefined : parse(path, text, imports));
    }
    return this.#modules.get(path);
  }

  /** Returns the specifier that the import map maps a specifier to. */
  #mapped(specifier: string): string {
    const exact = this.#imports[specifier];
    if (exact !== undefined) return exact;
    const prefixes = Object.keys(this.#imports).filter((name) => name.endsWith("/") && specifier.startsWith(name));
    const [longest] = prefixes.sort((a, b) => b.length - a.length);
    return longest === undefined ? specifier : `${this.#imports[longest]}${specifier.slice(longest.length)}`;
  }

  /** Returns the path of the module of the project that a specifier means; `undefined` for any other module. */
  resolve(from: SourceModule, specifier: string): string | undefined {
    const mapped = /^\.{1,2}\//.test(specifier) ? specifier : this.#mapped(specifier);
    if (/^\.{1,2}\//.test(mapped)) return join(dirname(from.path), mapped);
    return mapped.startsWith("/") ? mapped : undefined;
  }

  /** Returns the module of the project that a specifier means. */
  target(from: SourceModule, specifier: string): SourceModule | undefined {
    const path = this.resolve(from, specifier);
    return path === undefined ? undefined : this.at(path);
  }

  /** Follows an import through the modules that pass it on. */
  #origin(module: SourceModule, imported: Pick<ImportedName, "name" | "from">, depth = 0): {
    name: string;
    from: string;
  } {
    const { name, from } = imported;
    const target = this.target(module, from);
    if (!target || depth > 8) return { name, from: this.#mapped(from) };
    const next = target.reexportOf(name);
    return next ? this.#origin(target, next, depth + 1) : { name, from };
  }

  /** Returns the module and the declaration in it that an import leads to; `undefined` if it is not in the project. */
  declarationOf(
    module: SourceModule,
    { name, from }: Pick<ImportedName, "name" | "from">,
    depth = 0,
  ): { readonly module: SourceModule; readonly node: ExportedDeclaration } | undefined {
    const target = this.target(module, from);
    if (!target || depth > 8) return undefined;
    const node = ModuleGraph.exported(target, name);
    if (node) return { module: target, node };
    const next = target.reexportOf(name);
    return next && this.declarationOf(target, next, depth + 1);
  }

  /** Returns the module and the modules of the project that it reaches by imports. */
  reachable(entry: SourceModule): SourceModule[] {
    const found = new Set([entry]);
    for (const module of found) {
      for (const specifier of module.specifiers) {
        const target = this.target(module, specifier);
        if (target) found.add(target);
      }
    }
    return [...found];
  }

  /** Returns the declaration that a module exports under a name, in that module itself. */
  static exported(module: SourceModule, name: string): ExportedDeclaration | undefined {
    for (const statement of module.file.statements) {
      if (
        (ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement)) && statement.name?.text === name &&
        !(ts.isFunctionDeclaration(statement) && !statement.body)
      ) return statement;
      if (!ts.isVariableStatement(statement)) continue;
      for (const declaration of statement.declarationList.declarations) {
        if (ts.isIdentifier(declaration.name) && declaration.name.text === name) return declaration;
      }
    }
    return undefined;
  }
}

/** A declaration that a module exports. */
export type ExportedDeclaration = ts.FunctionDeclaration | ts.VariableDeclaration | ts.ClassDeclaration;
