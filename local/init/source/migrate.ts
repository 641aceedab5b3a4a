/**
 * Rewrites a function's module to `withPooledSupabase`, where the result is certain. All else is left as it is.
 *
 * @module
 */
import ts from "typescript";
import { callsOf, type ClientKind, creationsOf, restrictedUse, variableOf } from "./clients.ts";
import { corsBranchOf, isRecordOfTexts } from "./cors_branch.ts";
import { applyEdits, type Edit, indentAt, wholeLines } from "./edits.ts";
import { entriesOf, type Entry } from "./entry.ts";
import { factoryCallsOf } from "./factories.ts";
import { ModuleGraph } from "./graph.ts";
import { type FunctionNode, isCallOf, type SourceModule, unwrap } from "./source_module.ts";

/** A line of a module, and the reason why it is as it is. */
export interface Note {
  readonly line: number;
  readonly text: string;
}

/** The result of a migration. */
export interface Migration {
  /** The new text; `undefined` if nothing was rewritten. */
  readonly text: string | undefined;
  readonly rewritten: readonly Note[];
  /** Lines that stay, to be changed by hand or not at all. */
  readonly left: readonly Note[];
  /** Differences that the rewritten function has. */
  readonly differences: readonly string[];
}

/** An expression that creates a client, and the client that replaces it. */
interface Site {
  readonly node: ts.CallExpression;
  readonly kind: ClientKind;
  readonly types: string;
  readonly shown: string;
  /** The variable that holds the client. */
  readonly variable: ts.VariableDeclaration | undefined;
}

/** The modes for functions that also serve callers without a user. */
const USER_MODES: readonly string[] = ["user", "publishable", "none"];

const MEMBER: Readonly<Record<ClientKind, string>> = {
  user: "supabase",
  anonymous: "supabase",
  admin: "supabaseAdmin",
};

/** Migrates the module of one function. */
export class Migrator {
  readonly #module: SourceModule;
  readonly #graph: ModuleGraph;
  readonly #packageName: string;
  readonly #edits: Edit[] = [];
  readonly #rewritten: Note[] = [];
  readonly #left: Note[] = [];
  readonly #differences = new Set<string>();
  /** The functions besides the handler that receive the context as their first argument. */
  readonly #threaded = new Set<FunctionNode>();
  /** Uses of names that the edits remove. */
  readonly #removed = new Set<ts.Identifier>();
  readonly #context: string;

  /** @param packageName The specifier that the rewritten module imports. */
  constructor(module: SourceModule, graph: ModuleGraph, packageName: string) {
    this.#module = module;
    this.#graph = graph;
    this.#packageName = packageName;
    const names = new Set<string>();
    for (const node of module.nodes()) if (ts.isIdentifier(node)) names.add(node.text);
    this.#context = ["ctx", "pooled", "pooledContext"].find((name) => !names.has(name)) ?? "pooledSupabaseContext";
  }

  /** Runs the migration. */
  run(): Migration {
    const module = this.#module;
    const error = module.syntaxError;
    if (error) return this.#nothing(error.line, `The file does not parse: ${error.message}`);
    const withSupabase = this.#migrateWithSupabase();
    if (withSupabase) return withSupabase;
    const entries = entriesOf(module);
    const [entry] = entries;
    if (!entry) return this.#nothing(1, "No Deno.serve, serve or default export with fetch: nothing to wrap");
    if (entries.length > 1) return this.#nothing(module.lineOf(entry.value), "It serves more than one handler");
    const reason = this.#whyNotWrapped(entry);
    if (reason || !entry.handler) {
      return this.#nothing(module.lineOf(entry.value), reason ?? "The handler is not in this file");
    }
    const sites = this.#sites(entry.handler);
    if (sites.length === 0) return this.#result(undefined);
    return this.#rewrite(entry, entry.handler, sites);
  }

  #nothing(line: number, text: string): Migration {
    this.#left.push({ line, text });
    return this.#result(undefined);
  }

  #result(text: string | undefined): Migration {
    const byLine = (notes: readonly Note[]) => [...notes].sort((a, b) => a.line - b.line);
    return {
      text,
      rewritten: text === undefined ? [] : byLine(this.#rewritten),
      left: byLine(this.#left),
      differences: text === undefined ? [] : [...this.#differences],
    };
  }

  #note(node: ts.Node, text: string): void {
    this.#rewritten.push({ line: this.#module.lineOf(node), text });
  }

  #leave(node: ts.Node, text: string): void {
    this.#left.push({ line: this.#module.lineOf(node), text });
  }

  #replace(node: ts.Node, text: string): void {
    this.#edits.push({ start: node.getStart(this.#module.file), end: node.end, text });
    for (const inner of [node, ...this.#module.nodes(node)]) if (ts.isIdentifier(inner)) this.#removed.add(inner);
  }

  #insert(at: number, text: string): void {
    this.#edits.push({ start: at, end: at, text });
  }

  /** Removes a statement with its line, and with the blank line after it if `gap`. Comments before it stay. */
  #remove(node: ts.Node, gap = false): void {
    const { start, end: lineEnd } = wholeLines(this.#module.text, node.getStart(this.#module.file), node.end);
    const blank = gap ? /^[ \t]*\r?\n/.exec(this.#module.text.slice(lineEnd))?.[0].length ?? 0 : 0;
    const end = lineEnd + blank;
    this.#edits.push({ start, end, text: "" });
    for (const inner of this.#module.nodes(node)) if (ts.isIdentifier(inner)) this.#removed.add(inner);
  }

  /** Returns why the handler cannot be wrapped; `undefined` if it can. */
  #whyNotWrapped({ form, call, value, handler }: Entry): string | undefined {
    const module = this.#module;
    if (!handler) {
      return /\.fetch$/.test(value.getText(module.file))
        ? "The handler is an app's fetch: with Hono, use pooledSupabase of the package's /hono"
        : "The handler is not a function of this file: wrap it by hand";
    }
    if (handler.parameters.length > 1) return "The handler takes a second argument, where the context would be";
    const [parameter] = handler.parameters;
    if (parameter && (!ts.isIdentifier(parameter.name) || parameter.dotDotDotToken || parameter.initializer)) {
      return "The handler takes its request apart in its parameter";
    }
    if (handler.asteriskToken) return "The handler is a generator";
    if (form === "std serve" && call && call.arguments.length > 1) {
      return "serve has options: move to Deno.serve by hand";
    }
    if (ts.isIdentifier(value)) {
      const name = module.nameOf(handler);
      const symbol = name && module.symbolOf(name);
      const uses = symbol ? module.usesOf(symbol).filter((use) => use !== name) : [];
      if (uses.length > 1) return `${value.text} is also called elsewhere: its second parameter would be missing there`;
      const statement = ts.isFunctionDeclaration(handler) ? handler : ts.findAncestor(handler, ts.isVariableStatement);
      if (statement?.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) {
        return `${value.text} is exported: its second parameter would be missing in other files`;
      }
      if (ts.isVariableDeclaration(handler.parent) && handler.parent.type) {
        return `${value.text} has a type of its own, which has no second parameter`;
      }
    }
    for (const node of module.nodes()) {
      if (isCallOf(node, "Deno.upgradeWebSocket")) return "It serves WebSockets, which outlive the request";
    }
    return undefined;
  }

  /** Returns the clients that the context's can replace, and notes why others stay. */
  #sites(handler: FunctionNode): Site[] {
    const module = this.#module;
    const parameter = handler.parameters[0]?.name;
    const request = parameter && module.symbolOf(parameter);
    const found = [
      ...creationsOf(module, request).map(({ call, kind, reason, types }) => ({
        node: call,
        kind,
        types,
        reason,
        shown: "createClient",
      })),
      ...factoryCallsOf(module, this.#graph).map(({ call, creation, name }) => ({
        node: call,
        kind: creation.kind,
        types: "",
        reason: creation.reason ?? this.#whyNotCalled(call, creation.kind, request),
        shown: `${name}()`,
      })),
    ].sort((a, b) => a.node.pos - b.node.pos);
    const reachable = this.#graph.reachable(module);
    const restricted = reachable.map((one) => ({ one, use: restrictedUse(one) })).find(({ use }) => use);
    const sites: Site[] = [];
    for (const { node, kind, types, reason, shown } of found) {
      const variable = this.#variableOf(node);
      const site: Site = { node, kind, types, shown, variable };
      const threaded = new Set(this.#threaded);
      const why = reason ?? (restricted?.use && this.#restrictedHere(site, restricted.use.name)) ??
        this.#whyOutOfReach(handler, site);
      if (why === undefined) {
        sites.push(site);
        continue;
      }
      this.#threaded.clear();
      for (const owner of threaded) this.#threaded.add(owner);
      this.#leave(node, `${shown} stays: ${why}`);
    }
    return this.#withOneIdentity(this.#withoutForeignChecks(sites, reachable));
  }

  /** Leaves clients that are passed on, if a function checks a token of its own with a client that it was passed. */
  #withoutForeignChecks(sites: readonly Site[], reachable: readonly SourceModule[]): Site[] {
    const own = new Set(sites.flatMap((site) => this.#tokenChecks(site)).map(({ parent }) => parent.parent.parent));
    const foreign = reachable.some((module) =>
      module.nodes().some((node) =>
        ts.isCallExpression(node) && node.arguments.length > 0 && !own.has(node) &&
        ts.isPropertyAccessExpression(node.expression) && /^get(User|Claims)$/.test(node.expression.name.text) &&
        ts.isPropertyAccessExpression(node.expression.expression) && node.expression.expression.name.text === "auth"
      )
    );
    return sites.filter((site) => {
      const stays = foreign && site.kind !== "admin" &&
        (!site.variable || this.#usesOf(site.variable).some(({ parent }) => !ts.isPropertyAccessExpression(parent)));
      if (stays) {
        this.#leave(site.node, `${site.shown} stays: it is passed on to a check of a token, which only admin has`);
      }
      return !stays;
    });
  }

  /** Returns why the factory's argument keeps its call from being replaced. */
  #whyNotCalled(call: ts.CallExpression, kind: ClientKind, request: ts.Symbol | undefined): string | undefined {
    if (kind !== "user") return call.arguments.length === 0 ? undefined : "the factory takes no arguments";
    const [argument] = call.arguments;
    const isRequest = argument && ts.isIdentifier(argument) && request && this.#module.symbolOf(argument) === request;
    return isRequest ? undefined : "its argument is not evidently the handler's request";
  }

  #variableOf(node: ts.CallExpression): ts.VariableDeclaration | undefined {
    let at: ts.Node = node.parent;
    while (ts.isParenthesizedExpression(at) || ts.isAsExpression(at) || ts.isAwaitExpression(at)) at = at.parent;
    return ts.isVariableDeclaration(at) && ts.isIdentifier(at.name) ? at : undefined;
  }

  /** Returns why a client stays because it, or a client that is passed on, does what the context's reject. */
  #restrictedHere(site: Site, name: string): string {
    const { variable } = site;
    const reason = `${name} outlives a request, which the context's clients reject`;
    return variable ? `${reason}; create a client of your own for it` : reason;
  }

  /** Returns why the context does not reach a client; marks the functions that must receive it. */
  #whyOutOfReach(handler: FunctionNode, { node, variable }: Site): string | undefined {
    const module = this.#module;
    const owner = module.outermostFunction(node);
    if (owner) return this.#thread(owner, handler);
    if (!variable || !(ts.getCombinedNodeFlags(variable) & ts.NodeFlags.Const) || variable.initializer !== node) {
      return "it is created at module level, and not by a constant of its own";
    }
    const statement = ts.findAncestor(variable, ts.isVariableStatement);
    if (!statement || statement.declarationList.declarations.length !== 1) return "its declaration declares more";
    if (statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) {
      return "it is created at module level and exported";
    }
    const symbol = module.symbolOf(variable.name);
    for (const use of symbol ? module.usesOf(symbol) : []) {
      if (use === variable.name) continue;
      const user = module.outermostFunction(use);
      if (!user) return "it is used at module level, where there is no request";
      if (!user.body || !ts.isBlock(user.body)) return "a function that uses it has no block for its declaration";
      const reason = this.#thread(user, handler);
      if (reason) return reason;
    }
    return undefined;
  }

  /** Marks a function as one that receives the context; returns why it cannot. */
  #thread(owner: FunctionNode, handler: FunctionNode, path: readonly FunctionNode[] = []): string | undefined {
    if (owner === handler || this.#threaded.has(owner) || path.includes(owner)) return undefined;
    const module = this.#module;
    const name = module.nameOf(owner)?.text;
    if (name === undefined) return "it is created in a function without a name, such as a method";
    const calls = callsOf(module, owner);
    if (calls === undefined) return `${name} is exported or passed on: its callers have no context to pass`;
    if (calls.length === 0) return `${name} is not called in this file`;
    if (owner.parameters.some(({ name: parameter }) => parameter.getText(module.file) === "this")) {
      return `${name} has a this parameter`;
    }
    if (ts.isVariableDeclaration(owner.parent) && owner.parent.type) return `${name} has a type of its own`;
    for (const call of calls) {
      const caller = module.outermostFunction(call);
      if (!caller) return `${name} is called at module level, where there is no request`;
      const reason = this.#thread(caller, handler, [...path, owner]);
      if (reason) return reason;
    }
    this.#threaded.add(owner);
    return undefined;
  }

  /** Leaves anonymous clients beside clients of the user: the context's one client acts for the user. */
  #withOneIdentity(sites: readonly Site[]): Site[] {
    const isUser = sites.some((site) => site.kind === "user" && !this.#onlyChecksTokens(site));
    const types = new Set(sites.map(({ types }) => types).filter((text) => text !== ""));
    return sites.filter((site) => {
      if (types.size > 1) {
        this.#leave(site.node, `${site.shown} stays: the clients of this file have different types`);
        return false;
      }
      if (isUser && site.kind === "anonymous" && !this.#onlyChecksTokens(site)) {
        this.#leave(site.node, "createClient stays: it is anonymous, and the context's client acts for the user");
        return false;
      }
      return true;
    });
  }

  /** Returns the calls `client.auth.getUser(token)` with a token, by a client. */
  #tokenChecks({ variable, kind }: Site): ts.Identifier[] {
    if (!variable || kind === "admin") return [];
    const symbol = this.#module.symbolOf(variable.name);
    return (symbol ? this.#module.usesOf(symbol) : []).filter((use) => {
      const auth = use.parent;
      if (!ts.isPropertyAccessExpression(auth) || auth.expression !== use || auth.name.text !== "auth") return false;
      const member = auth.parent;
      if (!ts.isPropertyAccessExpression(member) || !/^get(User|Claims)$/.test(member.name.text)) return false;
      return ts.isCallExpression(member.parent) && member.parent.arguments.length > 0;
    });
  }

  #usesOf(variable: ts.VariableDeclaration): ts.Identifier[] {
    const symbol = this.#module.symbolOf(variable.name);
    return (symbol ? this.#module.usesOf(symbol) : []).filter((use) => use !== variable.name);
  }

  /** Returns whether a client serves for nothing but to check tokens. */
  #onlyChecksTokens(site: Site): boolean {
    return site.variable !== undefined && this.#tokenChecks(site).length > 0 &&
      this.#tokenChecks(site).length === this.#usesOf(site.variable).length;
  }

  #rewrite(entry: Entry, handler: FunctionNode, sites: readonly Site[]): Migration {
    let modes: readonly string[] = ["none"];
    for (const site of sites) if (this.#replaceClient(site, handler)) modes = USER_MODES;
    const quoted = modes.map((mode) => this.#quote(mode));
    const auth = quoted.length > 1 ? `[${quoted.join(", ")}]` : quoted.join();
    const [types = ""] = sites.map(({ types }) => types).filter((text) => text !== "");
    this.#threadContext(types);
    this.#wrap(entry, handler, auth, types);
    this.#removeUnused();
    this.#addImport();
    const { text } = this.#module;
    const eol = text.includes("\r\n") ? "\r\n" : "\n";
    const edits = this.#edits.map((edit) => ({ ...edit, text: edit.text.replaceAll("\n", eol) }));
    if (modes.length > 1) {
      this.#differences.add(
        "An invalid token is rejected before the handler runs, with the wrapper's body: see docs/migrating.md.",
      );
    }
    return this.#result(applyEdits(text, edits));
  }

  /** Replaces a client; returns true if the context's client must act for the user. */
  #replaceClient(site: Site, handler: FunctionNode): boolean {
    const { node, kind, variable, shown } = site;
    const member = `${this.#context}.${MEMBER[kind]}`;
    const checks = this.#tokenChecks(site);
    for (const check of checks) this.#replace(check, `${this.#context}.supabaseAdmin`);
    if (this.#onlyChecksTokens(site) && variable) {
      const statement = ts.findAncestor(variable, ts.isVariableStatement);
      if (statement?.declarationList.declarations.length === 1) {
        this.#remove(statement);
        this.#note(node, `${shown} that only checks tokens -> ${this.#context}.supabaseAdmin.auth`);
        return false;
      }
    }
    const isModuleLevel = this.#module.outermostFunction(node) === undefined;
    if (isModuleLevel && variable) this.#moveIntoFunctions(variable, member, handler);
    else this.#replace(node, member);
    this.#note(node, `${shown}${isModuleLevel ? " at module level" : ""} -> ${member}`);
    return kind === "user";
  }

  /** Declares a client of module level in each function that uses it. */
  #moveIntoFunctions(variable: ts.VariableDeclaration, member: string, handler: FunctionNode): void {
    const statement = ts.findAncestor(variable, ts.isVariableStatement);
    if (statement) this.#remove(statement, true);
    const users = new Set(this.#usesOf(variable).map((use) => this.#module.outermostFunction(use)));
    const branch = corsBranchOf(handler)?.statement;
    for (const user of users) {
      if (!user?.body || !ts.isBlock(user.body)) continue;
      const [first] = user.body.statements;
      if (!first) continue;
      const line = `const ${variable.name.getText(this.#module.file)} = ${member};`;
      const start = first === branch ? user.body.statements[1] ?? first : first;
      const at = start.getStart(this.#module.file);
      this.#insert(at, `${line}\n${indentAt(this.#module.text, at)}`);
    }
  }

  /** Passes the context to the functions that need it. */
  #threadContext(types: string): void {
    const module = this.#module;
    const type = /\.[cm]?jsx?$/.test(module.path) ? "" : `: PooledContext${types === "" ? "" : `<${types}>`}`;
    for (const owner of this.#threaded) {
      const open = ts.isArrowFunction(owner) && !module.text.slice(owner.pos, owner.end).match(/^\s*(async\s*)?[(<]/)
        ? undefined
        : owner.parameters.pos;
      const separator = owner.parameters.length > 0 ? ", " : "";
      if (open === undefined) {
        const [parameter] = owner.parameters;
        if (parameter) {
          this.#insert(parameter.getStart(module.file), `(${this.#context}${type}, `);
          this.#insert(parameter.end, ")");
        }
      } else this.#insert(open, `${this.#context}${type}${separator}`);
      for (const call of callsOf(module, owner) ?? []) {
        this.#insert(call.arguments.pos, `${this.#context}${call.arguments.length > 0 ? ", " : ""}`);
      }
      this.#note(owner, `${module.nameOf(owner)?.text} receives ${this.#context}`);
    }
  }

  /** Wraps the handler. */
  #wrap({ form, call, value }: Entry, handler: FunctionNode, auth: string, types: string): void {
    const module = this.#module;
    const cors = this.#cors(handler, value);
    const generic = types === "" || /\.[cm]?jsx?$/.test(module.path) ? "" : `<${types}>`;
    this.#insert(value.getStart(module.file), `withPooledSupabase${generic}({ auth: ${auth}, cors: ${cors} }, `);
    this.#insert(value.end, ")");
    if (form === "std serve" && call) this.#replace(call.expression, "Deno.serve");
    const [parameter] = handler.parameters;
    if (parameter === undefined) {
      const at = ts.isArrowFunction(handler) || ts.isFunctionDeclaration(handler) || ts.isFunctionExpression(handler)
        ? handler.parameters.pos
        : -1;
      this.#insert(
        at,
        `_request${/\.[cm]?jsx?$/.test(module.path) ? "" : ts.isIdentifier(value) ? ": Request" : ""}, ${
          this.#typed(value, types)
        }`,
      );
    } else {
      const isBare = !/^\s*\(/.test(module.text.slice(handler.getStart(module.file)).replace(/^async\b/, "")) &&
        ts.isArrowFunction(handler);
      if (isBare) this.#insert(parameter.getStart(module.file), "(");
      this.#insert(parameter.end, `, ${this.#typed(value, types)}${isBare ? ")" : ""}`);
    }
    this.#note(value, `the handler runs in withPooledSupabase, auth: ${auth}`);
  }

  /** Returns the parameter of the context: typed where the function stands apart from the wrapper. */
  #typed(value: ts.Expression, types: string): string {
    if (!ts.isIdentifier(value) || /\.[cm]?jsx?$/.test(this.#module.path)) return this.#context;
    this.#needsType = true;
    return `${this.#context}: PooledContext${types === "" ? "" : `<${types}>`}`;
  }

  #needsType = false;

  /** Returns the option `cors`, and removes the branch that it replaces. */
  #cors(handler: FunctionNode, value: ts.Expression): string {
    const branch = corsBranchOf(handler);
    if (!branch || !this.#isRecord(branch.headers, value)) return this.#quote("disabled");
    this.#remove(branch.statement, true);
    this.#removed.delete(branch.headers);
    this.#note(branch.statement, `the OPTIONS branch -> cors: { headers: ${branch.headers.text} }`);
    this.#differences.add("Preflights have status 204 and no body, instead of 200.");
    return `{ headers: ${branch.headers.text} }`;
  }

  /** Returns whether a name is an object of texts that exists when the handler is wrapped. */
  #isRecord(name: ts.Identifier, before: ts.Node): boolean {
    const constant = this.#module.constantOf(name);
    if (constant) {
      return constant.end < before.pos && this.#module.functionAround(constant) === undefined &&
        isRecordOfTexts(constant.initializer);
    }
    const imported = this.#module.importOf(name);
    const path = imported && ModuleGraph.resolve(this.#module, imported.from);
    const target = path ? this.#graph.at(path) : undefined;
    const declaration = target && imported ? ModuleGraph.exported(target, imported.name) : undefined;
    return declaration !== undefined && ts.isVariableDeclaration(declaration) &&
      declaration.initializer !== undefined &&
      isRecordOfTexts(declaration.initializer);
  }

  /** Removes constants that read the environment, and imports, if the edits have removed their last use. */
  #removeUnused(): void {
    const module = this.#module;
    const isUnused = (name: ts.Identifier): boolean => {
      const symbol = module.symbolOf(name);
      const uses = symbol ? module.usesOf(symbol).filter((use) => use !== name) : [];
      return uses.length > 0 && uses.every((use) => this.#removed.has(use));
    };
    for (const node of module.nodes()) {
      if (!ts.isVariableStatement(node) || node.declarationList.declarations.length !== 1) continue;
      const [declaration] = node.declarationList.declarations;
      if (!declaration?.initializer || !ts.isIdentifier(declaration.name) || this.#removed.has(declaration.name)) {
        continue;
      }
      if (!isCallOf(unwrap(declaration.initializer), "Deno.env.get") || !isUnused(declaration.name)) continue;
      if (variableOf(module, declaration.initializer) !== undefined) this.#remove(node);
    }
    for (const statement of module.file.statements) {
      if (!ts.isImportDeclaration(statement)) continue;
      const { importClause } = statement;
      const bindings = importClause?.namedBindings;
      if (!importClause || importClause.name || !bindings || !ts.isNamedImports(bindings)) continue;
      const unused = bindings.elements.filter(({ name }) => isUnused(name));
      if (unused.length === 0) continue;
      if (unused.length === bindings.elements.length) this.#remove(statement);
      else {
        const kept = bindings.elements.filter((element) => !unused.includes(element));
        this.#replace(bindings, `{ ${kept.map((element) => element.getText(module.file)).join(", ")} }`);
      }
    }
  }

  /** Returns a text in quotation marks, of the kind that the last import has. */
  #quote(text: string): string {
    const last = this.#module.file.statements.filter(ts.isImportDeclaration).at(-1);
    const mark = last?.moduleSpecifier.getText(this.#module.file).charAt(0) ?? '"';
    return `${mark}${text}${mark}`;
  }

  /** Adds the import of the package, in the style of the imports there. */
  #addImport(): void {
    const module = this.#module;
    const imports = module.file.statements.filter(ts.isImportDeclaration);
    const last = imports.at(-1);
    const semicolon = !last || last.getText(module.file).endsWith(";") ? ";" : "";
    const hasType = !/\.[cm]?jsx?$/.test(module.path) && (this.#threaded.size > 0 || this.#needsType);
    const names = hasType ? "type PooledContext, withPooledSupabase" : "withPooledSupabase";
    const line = `import { ${names} } from ${this.#quote(this.#packageName)}${semicolon}`;
    // Before the first import: its line may be one that is removed.
    const [first] = imports;
    if (first) this.#insert(wholeLines(module.text, first.getStart(module.file), first.end).start, `${line}\n`);
    else this.#insert(module.file.statements[0]?.getStart(module.file) ?? 0, `${line}\n\n`);
  }

  /** Replaces `withSupabase` of `@supabase/server`; `undefined` if the module does not import it. */
  #migrateWithSupabase(): Migration | undefined {
    const module = this.#module;
    for (const statement of module.file.statements) {
      if (!ts.isImportDeclaration(statement) || !ts.isStringLiteral(statement.moduleSpecifier)) continue;
      if (!/(^|[/:])@supabase\/server(@[^/]*)?$/.test(statement.moduleSpecifier.text)) continue;
      const bindings = statement.importClause?.namedBindings;
      if (!bindings || !ts.isNamedImports(bindings)) continue;
      const specifier = bindings.elements.find((one) => (one.propertyName ?? one.name).text === "withSupabase");
      if (!specifier) continue;
      const symbol = module.symbolOf(specifier.name);
      const uses = (symbol ? module.usesOf(symbol) : []).filter((use) => use !== specifier.name);
      for (const use of uses) {
        if (!ts.isCallExpression(use.parent) || use.parent.expression !== use || use.parent.arguments.length !== 2) {
          return this.#nothing(
            module.lineOf(use),
            "withSupabase is used without a handler, which withPooledSupabase needs",
          );
        }
      }
      const restricted = restrictedUse(module);
      if (restricted) {
        return this.#nothing(
          module.lineOf(restricted.node),
          `${restricted.name} outlives a request: create a client for it`,
        );
      }
      const quote = statement.moduleSpecifier.getText(module.file).charAt(0);
      const others = bindings.elements.filter((one) => one !== specifier);
      const line = `import { withPooledSupabase } from ${quote}${this.#packageName}${quote}`;
      if (others.length === 0) {
        this.#replace(bindings, "{ withPooledSupabase }");
        this.#replace(statement.moduleSpecifier, `${quote}${this.#packageName}${quote}`);
      } else {
        this.#replace(bindings, `{ ${others.map((one) => one.getText(module.file)).join(", ")} }`);
        const semicolon = statement.getText(module.file).endsWith(";") ? ";" : "";
        const eol = module.text.includes("\r\n") ? "\r\n" : "\n";
        this.#insert(statement.getStart(module.file), `${line}${semicolon}${eol}`);
      }
      for (const use of uses) {
        this.#replace(use, "withPooledSupabase");
        this.#note(use, "withSupabase -> withPooledSupabase");
      }
      return this.#result(applyEdits(module.text, this.#edits));
    }
    return undefined;
  }
}
