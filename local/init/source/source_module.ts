/**
 * A module of a project, parsed by the TypeScript compiler: its names are resolved by scope, not by text.
 *
 * @module
 */
import ts from "typescript";

/** A function with a body. */
export type FunctionNode =
  | ts.FunctionDeclaration
  | ts.ArrowFunction
  | ts.FunctionExpression
  | ts.MethodDeclaration
  | ts.ConstructorDeclaration
  | ts.AccessorDeclaration;

/** An import of a name. */
export interface ImportedName {
  /** The name that the other module exports. */
  readonly name: string;
  /** The specifier of the other module. */
  readonly from: string;
  readonly node: ts.ImportSpecifier | ts.NamespaceImport | ts.ImportClause;
  readonly declaration: ts.ImportDeclaration;
}

/** Returns whether the node is a function with a scope of its own. */
export function isFunctionNode(node: ts.Node): node is FunctionNode {
  return ts.isFunctionDeclaration(node) || ts.isArrowFunction(node) || ts.isFunctionExpression(node) ||
    ts.isMethodDeclaration(node) || ts.isConstructorDeclaration(node) || ts.isAccessor(node);
}

/** Returns the calls and members around an expression that are written to: `a.b[c] = d` writes to `a`. */
function isWrittenTo(node: ts.Node): boolean {
  let at = node;
  while (
    (ts.isPropertyAccessExpression(at.parent) || ts.isElementAccessExpression(at.parent) ||
      ts.isNonNullExpression(at.parent) || ts.isParenthesizedExpression(at.parent) ||
      ts.isAsExpression(at.parent)) && at.parent.expression === at
  ) at = at.parent;
  const { parent } = at;
  if (ts.isDeleteExpression(parent)) return true;
  if (ts.isPrefixUnaryExpression(parent) || ts.isPostfixUnaryExpression(parent)) {
    return parent.operator === ts.SyntaxKind.PlusPlusToken || parent.operator === ts.SyntaxKind.MinusMinusToken;
  }
  if (ts.isForOfStatement(parent) || ts.isForInStatement(parent)) return parent.initializer === at;
  return isAssignment(parent) && parent.left === at;
}

/** Returns whether a node is an assignment: `=`, `??=` and the like. */
export function isAssignment(node: ts.Node): node is ts.AssignmentExpression<ts.AssignmentOperatorToken> {
  return ts.isBinaryExpression(node) && node.operatorToken.kind >= ts.SyntaxKind.FirstAssignment &&
    node.operatorToken.kind <= ts.SyntaxKind.LastAssignment;
}

function bind(path: string, text: string): { file: ts.SourceFile; checker: ts.TypeChecker } {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const host: ts.CompilerHost = {
    getSourceFile: (name) => name === path ? file : undefined,
    getDefaultLibFileName: () => "lib.d.ts",
    writeFile: () => {},
    getCurrentDirectory: () => "/",
    getCanonicalFileName: (name) => name,
    useCaseSensitiveFileNames: () => true,
    getNewLine: () => "\n",
    fileExists: (name) => name === path,
    readFile: () => undefined,
  };
  const options = { noResolve: true, noLib: true, allowJs: true, target: ts.ScriptTarget.Latest };
  return { file, checker: ts.createProgram([path], options, host).getTypeChecker() };
}

/** The imports of a project. */
export interface Imports {
  /** Returns the module and the name that an import leads to: re-exports are followed, and the import map. */
  origin(module: SourceModule, imported: ImportedName): Pick<ImportedName, "name" | "from">;
  /** Returns what the import map maps a specifier to; the specifier itself if it does not. */
  mapped(specifier: string): string;
}

const NO_IMPORTS: Imports = { origin: (_module, imported) => imported, mapped: (specifier) => specifier };

/** A parsed module. */
export class SourceModule {
  /** The path, absolute. */
  readonly path: string;
  /** The text, without a byte order mark. */
  readonly text: string;
  readonly file: ts.SourceFile;
  readonly #checker: ts.TypeChecker;
  readonly #imports: Imports;
  #references: Map<ts.Symbol, ts.Identifier[]> | undefined;

  /** @param imports Follows imports to other modules. Default: no import is followed. */
  constructor(path: string, text: string, imports: Imports = NO_IMPORTS) {
    this.path = path;
    this.text = text;
    this.#imports = imports;
    const { file, checker } = bind(path, text);
    this.file = file;
    this.#checker = checker;
  }

  /** The first syntax error, or `undefined`. */
  get syntaxError(): { readonly line: number; readonly message: string } | undefined {
    const [first] = (this.file as unknown as { parseDiagnostics: readonly ts.DiagnosticWithLocation[] })
      .parseDiagnostics;
    if (first === undefined) return undefined;
    return { line: this.lineAt(first.start), message: ts.flattenDiagnosticMessageText(first.messageText, " ") };
  }

  /** Returns the line of a node, from 1. */
  lineOf(node: ts.Node): number {
    return this.lineAt(node.getStart(this.file));
  }

  /** Returns the line of a position, from 1. */
  lineAt(position: number): number {
    return this.file.getLineAndCharacterOfPosition(position).line + 1;
  }

  /** Returns what an identifier refers to. */
  symbolOf(node: ts.Node): ts.Symbol | undefined {
    if (ts.isShorthandPropertyAssignment(node.parent) && node.parent.name === node) {
      return this.#checker.getShorthandAssignmentValueSymbol(node.parent);
    }
    if (ts.isExportSpecifier(node.parent)) return this.#checker.getExportSpecifierLocalTargetSymbol(node.parent);
    return this.#checker.getSymbolAtLocation(node);
  }

  /** Returns the identifiers that refer to a symbol, its declarations included. */
  referencesTo(symbol: ts.Symbol): readonly ts.Identifier[] {
    if (this.#references === undefined) {
      const references = new Map<ts.Symbol, ts.Identifier[]>();
      for (const node of this.nodes()) {
        if (!ts.isIdentifier(node)) continue;
        const found = this.symbolOf(node);
        if (!found) continue;
        const known = references.get(found);
        if (known) known.push(node);
        else references.set(found, [node]);
      }
      this.#references = references;
    }
    return this.#references.get(symbol) ?? [];
  }

  /** Returns the uses of a symbol: its references without declarations. */
  usesOf(symbol: ts.Symbol): readonly ts.Identifier[] {
    return this.referencesTo(symbol).filter(({ parent }) => !(symbol.declarations ?? []).includes(parent as never));
  }

  /** Returns whether a variable or a parameter is assigned after its declaration. */
  isReassigned(symbol: ts.Symbol): boolean {
    return this.usesOf(symbol).some((use) =>
      isWrittenTo(use) && !ts.isPropertyAccessExpression(use.parent) && !ts.isElementAccessExpression(use.parent)
    );
  }

  /** Returns whether the members of an object that a variable holds are changed, as far as its own module shows. */
  isChanged(symbol: ts.Symbol): boolean {
    return this.usesOf(symbol).some((use) => {
      if (isWrittenTo(use)) return true;
      const { parent } = use;
      return ts.isCallExpression(parent) && parent.arguments[0] === use &&
        /^(Object|Reflect)\.(assign|define|set|delete)/.test(parent.expression.getText(this.file));
    });
  }

  /** Returns every node below `root`, in the order of the text. Not recursive: expressions can be nested deeply. */
  *nodes(root: ts.Node = this.file): Generator<ts.Node> {
    const rest: ts.Node[] = [];
    const push = (node: ts.Node) => {
      const at = rest.length;
      node.forEachChild((child) => void rest.push(child));
      // The last is taken first.
      for (let low = at, high = rest.length - 1; low < high; low++, high--) {
        const [one, other] = [rest[low], rest[high]];
        if (one && other) [rest[low], rest[high]] = [other, one];
      }
    };
    push(root);
    for (let node = rest.pop(); node; node = rest.pop()) {
      yield node;
      push(node);
    }
  }

  /** Returns the variable that an identifier names, if it is a constant with an initializer. */
  constantOf(node: ts.Identifier): (ts.VariableDeclaration & { readonly initializer: ts.Expression }) | undefined {
    const declarations = this.symbolOf(node)?.declarations ?? [];
    const [declaration] = declarations;
    if (declarations.length !== 1 || !declaration || !ts.isVariableDeclaration(declaration)) return undefined;
    if (!declaration.initializer || !ts.isIdentifier(declaration.name)) return undefined;
    if (!(ts.getCombinedNodeFlags(declaration) & ts.NodeFlags.Const)) return undefined;
    return declaration as ts.VariableDeclaration & { readonly initializer: ts.Expression };
  }

  /** Returns the import that an identifier names. */
  importOf(node: ts.Identifier): ImportedName | undefined {
    const declaration = this.symbolOf(node)?.declarations?.[0];
    return declaration && this.#importOfDeclaration(declaration);
  }

  #importOfDeclaration(declaration: ts.Declaration): ImportedName | undefined {
    const parent = ts.findAncestor(declaration, ts.isImportDeclaration);
    if (parent === undefined || !ts.isStringLiteral(parent.moduleSpecifier)) return undefined;
    const from = parent.moduleSpecifier.text;
    if (ts.isImportSpecifier(declaration)) {
      return {
        name: (declaration.propertyName ?? declaration.name).text,
        from,
        node: declaration,
        declaration: parent,
      };
    }
    if (ts.isNamespaceImport(declaration)) return { name: "*", from, node: declaration, declaration: parent };
    if (ts.isImportClause(declaration)) return { name: "default", from, node: declaration, declaration: parent };
    return undefined;
  }

  /** Returns the import that the module passes on under a name: `export { a } from`, `export *`, or import and export. */
  reexportOf(name: string): Pick<ImportedName, "name" | "from"> | undefined {
    const stars: string[] = [];
    for (const statement of this.file.statements) {
      if (!ts.isExportDeclaration(statement)) continue;
      const from = statement.moduleSpecifier;
      if (!statement.exportClause) {
        if (from && ts.isStringLiteral(from)) stars.push(from.text);
        continue;
      }
      if (!ts.isNamedExports(statement.exportClause)) continue;
      for (const element of statement.exportClause.elements) {
        if (element.name.text !== name) continue;
        const local = element.propertyName ?? element.name;
        if (from && ts.isStringLiteral(from)) return { name: local.text, from: from.text };
        const symbol = this.#checker.getExportSpecifierLocalTargetSymbol(element);
        const declaration = symbol?.declarations?.[0];
        return declaration && this.#importOfDeclaration(declaration);
      }
    }
    // With several, the text does not say which one it is.
    const [only, ...more] = stars;
    return only !== undefined && more.length === 0 ? { name, from: only } : undefined;
  }

  /** Returns the module and the name that an imported identifier leads to; `undefined` if it is not imported. */
  originOf(node: ts.Identifier): Pick<ImportedName, "name" | "from"> | undefined {
    const imported = this.importOf(node);
    return imported && this.#imports.origin(this, imported);
  }

  /** Returns what the import map maps a specifier to; the specifier itself if it does not. */
  mapped(specifier: string): string {
    return this.#imports.mapped(specifier);
  }

  /** Returns the specifiers of the modules that it imports or re-exports. */
  get specifiers(): string[] {
    return this.file.statements.flatMap((statement) =>
      (ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement)) && statement.moduleSpecifier &&
        ts.isStringLiteral(statement.moduleSpecifier)
        ? [statement.moduleSpecifier.text]
        : []
    );
  }

  /** Returns the function that contains a node, the innermost one. */
  functionAround(node: ts.Node): FunctionNode | undefined {
    return ts.findAncestor(node.parent, isFunctionNode);
  }

  /** Returns the function at module level that contains a node. */
  outermostFunction(node: ts.Node): FunctionNode | undefined {
    let found: FunctionNode | undefined;
    for (let at: ts.Node | undefined = node; at; at = at.parent) if (isFunctionNode(at)) found = at;
    return found;
  }

  /** Returns the name of a function: of its declaration or of the constant that holds it. */
  nameOf(node: FunctionNode): ts.Identifier | undefined {
    if (ts.isFunctionDeclaration(node)) return node.name;
    if (!ts.isArrowFunction(node) && !ts.isFunctionExpression(node)) return undefined;
    const { parent } = node;
    return ts.isVariableDeclaration(parent) && ts.isIdentifier(parent.name) ? parent.name : undefined;
  }

  /** Returns the function that an identifier names: a declaration, or a constant that is a function. */
  functionOf(node: ts.Identifier): FunctionNode | undefined {
    const declaration = this.symbolOf(node)?.declarations?.[0];
    if (declaration && ts.isFunctionDeclaration(declaration)) return declaration;
    const value = this.constantOf(node)?.initializer;
    return value && (ts.isArrowFunction(value) || ts.isFunctionExpression(value)) ? value : undefined;
  }
}

/** Removes what does not change a value: parentheses, `!`, `as`, `satisfies`, and a fallback to a text. */
export function unwrap(node: ts.Expression): ts.Expression {
  if (
    ts.isParenthesizedExpression(node) || ts.isNonNullExpression(node) || ts.isAsExpression(node) ||
    ts.isSatisfiesExpression(node) || ts.isAwaitExpression(node)
  ) return unwrap(node.expression);
  if (
    ts.isBinaryExpression(node) && ts.isStringLiteralLike(node.right) && node.right.text === "" &&
    (node.operatorToken.kind === ts.SyntaxKind.QuestionQuestionToken ||
      node.operatorToken.kind === ts.SyntaxKind.BarBarToken)
  ) return unwrap(node.left);
  return node;
}

/** Returns the path of a chain of members: `["Deno", "env", "get"]`; `undefined` for anything else. */
export function pathOf(node: ts.Expression): string[] | undefined {
  if (ts.isIdentifier(node)) return [node.text];
  if (!ts.isPropertyAccessExpression(node)) return undefined;
  const before = pathOf(node.expression);
  return before && [...before, node.name.text];
}

/** Returns whether a call calls exactly this chain of members. */
export function isCallOf(node: ts.Node, path: string): node is ts.CallExpression {
  return ts.isCallExpression(node) && pathOf(node.expression)?.join(".") === path;
}

/** Returns whether a module is JavaScript, which has no types. */
export function isJavaScript({ path }: SourceModule): boolean {
  return /\.[cm]?jsx?$/.test(path);
}
