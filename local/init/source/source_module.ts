/**
 * A module of a project, parsed by the TypeScript compiler: its names are resolved by scope, not by text.
 *
 * @module
 */
import ts from "typescript";

/** A function with a body. */
export type FunctionNode = ts.FunctionDeclaration | ts.ArrowFunction | ts.FunctionExpression | ts.MethodDeclaration;

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
    ts.isMethodDeclaration(node);
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

/** A parsed module. */
export class SourceModule {
  /** The path, absolute. */
  readonly path: string;
  /** The text, without a byte order mark. */
  readonly text: string;
  readonly file: ts.SourceFile;
  readonly #checker: ts.TypeChecker;
  #references: Map<ts.Symbol, ts.Identifier[]> | undefined;

  constructor(path: string, text: string) {
    this.path = path;
    this.text = text;
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
        if (found) references.set(found, [...references.get(found) ?? [], node]);
      }
      this.#references = references;
    }
    return this.#references.get(symbol) ?? [];
  }

  /** Returns the uses of a symbol: its references without declarations. */
  usesOf(symbol: ts.Symbol): readonly ts.Identifier[] {
    return this.referencesTo(symbol).filter(({ parent }) => !(symbol.declarations ?? []).includes(parent as never));
  }

  /** Returns every node below `root`, in the order of the text. */
  *nodes(root: ts.Node = this.file): Generator<ts.Node> {
    const children: ts.Node[] = [];
    root.forEachChild((child) => void children.push(child));
    for (const child of children) {
      yield child;
      yield* this.nodes(child);
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
    if (declaration === undefined) return undefined;
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
