/**
 * The modules of a project that a function imports by relative paths.
 *
 * @module
 */
import { dirname, join } from "node:path";
import ts from "typescript";
import { SourceModule } from "./source_module.ts";

/** Reads the text of a file, without a byte order mark; `undefined` if it does not exist or is not UTF-8. */
export type ReadText = (path: string) => string | undefined;

/** The modules of a project: each is parsed once. */
export class ModuleGraph {
  readonly #read: ReadText;
  readonly #modules = new Map<string, SourceModule | undefined>();

  constructor(read: ReadText) {
    this.#read = read;
  }

  /** Returns a module, if its file can be read. */
  at(path: string): SourceModule | undefined {
    if (!this.#modules.has(path)) {
      const text = /\.[cm]?[jt]sx?$/.test(path) ? this.#read(path) : undefined;
      this.#modules.set(path, text === undefined ? undefined : new SourceModule(path, text));
    }
    return this.#modules.get(path);
  }

  /** Returns the path that a relative specifier in a module means. */
  static resolve(from: SourceModule, specifier: string): string | undefined {
    return /^\.{1,2}\//.test(specifier) ? join(dirname(from.path), specifier) : undefined;
  }

  /** Returns the module and the modules that it reaches by relative imports. */
  reachable(entry: SourceModule): SourceModule[] {
    const found = new Set([entry]);
    for (const module of found) {
      for (const specifier of module.specifiers) {
        const path = ModuleGraph.resolve(module, specifier);
        const target = path && this.at(path);
        if (target) found.add(target);
      }
    }
    return [...found];
  }

  /** Returns the declaration that a module exports under a name, in that module itself. */
  static exported(module: SourceModule, name: string): ts.FunctionDeclaration | ts.VariableDeclaration | undefined {
    for (const statement of module.file.statements) {
      if (ts.isFunctionDeclaration(statement) && statement.name?.text === name) return statement;
      if (!ts.isVariableStatement(statement)) continue;
      for (const declaration of statement.declarationList.declarations) {
        if (ts.isIdentifier(declaration.name) && declaration.name.text === name) return declaration;
      }
    }
    return undefined;
  }
}
