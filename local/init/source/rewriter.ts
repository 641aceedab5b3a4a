/**
 * The rewriting of a module whose clients the context's replace.
 *
 * @module
 */
import ts from "typescript";
import type { ClientKind } from "./clients.ts";
import { corsBranchOf, isRecordOfTexts } from "./cors_branch.ts";
import { indentAt } from "./edits.ts";
import type { Entry } from "./entry.ts";
import type { ModuleGraph } from "./graph.ts";
import type { Migration } from "./migration.ts";
import { ModuleEdits } from "./module_edits.ts";
import { ownRejectionOf } from "./own_rejection.ts";
import type { Site, SiteFinder } from "./sites.ts";
import { type FunctionNode, isJavaScript, type SourceModule } from "./source_module.ts";
import { callsOf } from "./values.ts";
import { addPackageImport, quote, removeUnused } from "./tidy.ts";

/** The modes for functions that also serve callers without a user. */
const USER_MODES: readonly string[] = ["user", "publishable", "none"];

const MEMBER: Readonly<Record<ClientKind, string>> = {
  user: "supabase",
  anonymous: "supabase",
  admin: "supabaseAdmin",
};

function isChanged(module: SourceModule, name: ts.Node): boolean {
  const symbol = module.symbolOf(name);
  return symbol === undefined || module.isChanged(symbol);
}

/** Returns the opening parenthesis of a function's parameters; `undefined` if there is none: `x => x`. */
function hasParentheses(module: SourceModule, node: FunctionNode): boolean {
  return node.getChildren(module.file).some(({ kind }) => kind === ts.SyntaxKind.OpenParenToken);
}

/** The module to rewrite. */
export interface RewriterInit {
  readonly module: SourceModule;
  readonly graph: ModuleGraph;
  /** The specifier that the module imports. */
  readonly packageName: string;
  readonly entry: Entry;
  readonly handler: FunctionNode;
  readonly finder: SiteFinder;
}

/** Rewrites one module. */
export class Rewriter {
  readonly #module: SourceModule;
  readonly #graph: ModuleGraph;
  readonly #packageName: string;
  readonly #entry: Entry;
  readonly #handler: FunctionNode;
  readonly #finder: SiteFinder;
  readonly #edits: ModuleEdits;
  readonly #differences = new Set<string>();
  /** The name of the context. */
  readonly #context: string;
  /** The type of the context. */
  #type = "PooledContext";
  #needsType = false;

  constructor({ module, graph, packageName, entry, handler, finder }: RewriterInit) {
    this.#module = module;
    this.#graph = graph;
    this.#packageName = packageName;
    this.#entry = entry;
    this.#handler = handler;
    this.#finder = finder;
    this.#edits = new ModuleEdits(module);
    const names = new Set<string>();
    for (const node of module.nodes()) if (ts.isIdentifier(node)) names.add(node.text);
    this.#context = ["ctx", "pooled", "pooledContext"].find((name) => !names.has(name)) ?? "pooledSupabaseContext";
  }

  /** Rewrites the module. */
  rewrite(sites: readonly Site[]): Migration {
    let modes: readonly string[] = ["none"];
    for (const site of sites) if (this.#replaceClient(site)) modes = USER_MODES;
    const [types = ""] = sites.map(({ types }) => types).filter((text) => text !== "");
    this.#type = `PooledContext${types === "" ? "" : `<${types}>`}`;
    this.#threadContext();
    this.#wrap(modes, types);
    removeUnused(this.#module, this.#edits);
    addPackageImport(this.#module, this.#edits, this.#packageName, this.#needsType);
    return {
      text: this.#edits.apply(),
      rewritten: [...this.#edits.notes].sort((a, b) => a.line - b.line),
      left: this.#finder.left,
      differences: [...this.#differences],
    };
  }

  /** Replaces a client; returns true if the context's client must act for the user. */
  #replaceClient(site: Site): boolean {
    const { node, kind, variable, shown, cast } = site;
    const member = cast === ""
      ? `${this.#context}.${MEMBER[kind]}`
      : `(${this.#context}.${MEMBER[kind]} as unknown as ${cast})`;
    const checks = this.#finder.tokenChecks(site);
    for (const check of checks) this.#edits.replace(check, `${this.#context}.supabaseAdmin`);
    if (this.#finder.onlyChecksTokens(site) && variable) {
      const statement = ts.findAncestor(variable, ts.isVariableStatement);
      if (statement?.declarationList.declarations.length === 1) {
        this.#edits.remove(statement);
        this.#edits.note(node, `${shown} that only checks tokens -> ${this.#context}.supabaseAdmin.auth`);
        return false;
      }
    }
    const isModuleLevel = this.#module.outermostFunction(node) === undefined;
    if (isModuleLevel && variable) this.#moveIntoFunctions(variable, member);
    else this.#edits.replace(node, member, cast !== "");
    this.#edits.note(node, `${shown}${isModuleLevel ? " at module level" : ""} -> ${member}`);
    return kind === "user";
  }

  /** Declares a client of module level in each function that uses it. */
  #moveIntoFunctions(variable: ts.VariableDeclaration, member: string): void {
    const statement = ts.findAncestor(variable, ts.isVariableStatement);
    if (statement) this.#edits.remove(statement, true);
    const users = new Set(this.#finder.usesOf(variable).map((use) => this.#module.outermostFunction(use)));
    const branch = corsBranchOf(this.#handler)?.statement;
    for (const user of users) {
      if (!user?.body || !ts.isBlock(user.body)) continue;
      const [first] = user.body.statements;
      if (!first) continue;
      const line = `const ${variable.name.getText(this.#module.file)} = ${member};`;
      const start = first === branch ? user.body.statements[1] ?? first : first;
      const at = start.getStart(this.#module.file);
      this.#edits.insert(at, `${line}\n${indentAt(this.#module.text, at)}`);
    }
  }

  /** Passes the context to the functions that need it. */
  #threadContext(): void {
    const module = this.#module;
    const type = isJavaScript(module) ? "" : `: ${this.#type}`;
    if (this.#finder.threaded.size > 0 && !isJavaScript(module)) this.#needsType = true;
    for (const owner of this.#finder.threaded) {
      const open = hasParentheses(module, owner) ? owner.parameters.pos : undefined;
      const separator = owner.parameters.length > 0 ? ", " : "";
      if (open === undefined) {
        const [parameter] = owner.parameters;
        if (parameter) {
          this.#edits.insert(parameter.getStart(module.file), `(${this.#context}${type}, `);
          this.#edits.insert(parameter.end, ")");
        }
      } else this.#edits.insert(open, `${this.#context}${type}${separator}`);
      for (const call of callsOf(module, owner) ?? []) {
        this.#edits.insert(call.arguments.pos, `${this.#context}${call.arguments.length > 0 ? ", " : ""}`);
      }
      this.#edits.note(owner, `${module.nameOf(owner)?.text} receives ${this.#context}`);
    }
  }

  /** Wraps the handler. */
  #wrap(modes: readonly string[], types: string): void {
    const module = this.#module;
    const { form, call, value } = this.#entry;
    const handler = this.#handler;
    const quoted = modes.map((mode) => quote(module, mode));
    const auth = quoted.length > 1 ? `[${quoted.join(", ")}]` : quoted.join();
    const options = [`auth: ${auth}`, `cors: ${this.#cors()}`];
    if (modes.length > 1) options.push(...this.#rejection());
    const generic = types === "" || isJavaScript(module) ? "" : `<${types}>`;
    this.#edits.insert(value.getStart(module.file), `withPooledSupabase${generic}({ ${options.join(", ")} }, `);
    this.#edits.insert(value.end, ")");
    if (form === "std serve" && call) this.#edits.replace(call.expression, "Deno.serve");
    this.#addParameter(handler, value);
    this.#edits.note(value, `the handler runs in withPooledSupabase, auth: ${auth}`);
  }

  /** Adds the context to the handler's parameters: with its type where the function stands apart from the wrapper. */
  #addParameter(handler: FunctionNode, value: ts.Expression): void {
    const module = this.#module;
    const isTyped = ts.isIdentifier(value) && !isJavaScript(module);
    if (isTyped) this.#needsType = true;
    const context = this.#context + (isTyped ? `: ${this.#type}` : "");
    const [parameter] = handler.parameters;
    if (parameter === undefined) {
      this.#edits.insert(handler.parameters.pos, `_request${isTyped ? ": Request" : ""}, ${context}`);
      return;
    }
    const isBare = !hasParentheses(module, handler);
    if (isBare) this.#edits.insert(parameter.getStart(module.file), "(");
    this.#edits.insert(parameter.end, `, ${context}${isBare ? ")" : ""}`);
  }

  /** Returns the option `onRejected` with the response that the handler itself gives without a user. */
  #rejection(): string[] {
    this.#differences.add("Callers without a token act anonymously, where the client sent an empty or invalid one.");
    this.#differences.add(
      "Tokens are verified before the handler runs: of users only, and a project that signs with HS256 needs the secret JWT_SECRET (doctor says whether yours does).",
    );
    const own = ownRejectionOf(this.#module, this.#handler, (name) => this.#isReplaced(name));
    if (own === undefined) {
      this.#differences.add(
        "An invalid token gets the wrapper's 401 before the handler runs: pass onRejected for a response of your own.",
      );
      return [];
    }
    return [`onRejected: () => ${own.getText(this.#module.file)}`];
  }

  /** Returns whether a name does not mean the same after the rewriting. */
  #isReplaced(name: ts.Identifier): boolean {
    if (this.#edits.removed.has(name)) return true;
    const symbol = this.#module.symbolOf(name);
    const declarations = symbol?.declarations ?? [];
    if (declarations.some((one) => [...this.#edits.removed].some((removed) => removed.parent === one))) return true;
    return [...this.#finder.threaded].some((owner) => {
      const own = this.#module.nameOf(owner);
      return own !== undefined && this.#module.symbolOf(own) === symbol;
    });
  }

  /** Returns the option `cors`, and removes the branch that it replaces. */
  #cors(): string {
    const { value } = this.#entry;
    const branch = corsBranchOf(this.#handler);
    if (!branch || !this.#isRecord(branch.headers, value)) return quote(this.#module, "disabled");
    this.#edits.remove(branch.statement, true);
    // The option uses it.
    this.#edits.removed.delete(branch.headers);
    this.#edits.note(branch.statement, `the OPTIONS branch -> cors: { headers: ${branch.headers.text} }`);
    this.#differences.add("Preflights have status 204 and no body, instead of 200.");
    return `{ headers: ${branch.headers.text} }`;
  }

  /** Returns whether a name is an object of texts that exists when the handler is wrapped. */
  #isRecord(name: ts.Identifier, before: ts.Node): boolean {
    const constant = this.#module.constantOf(name);
    if (constant) {
      return constant.end < before.pos && !isChanged(this.#module, name) &&
        this.#module.functionAround(constant) === undefined &&
        isRecordOfTexts(constant.initializer);
    }
    const imported = this.#module.importOf(name);
    const found = imported && this.#graph.declarationOf(this.#module, imported);
    if (!found || !ts.isVariableDeclaration(found.node) || !found.node.initializer) return false;
    return isRecordOfTexts(found.node.initializer) && !isChanged(found.module, found.node.name) &&
      !isChanged(this.#module, name);
  }
}
