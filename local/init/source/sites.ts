/**
 * The clients of a module that the context's clients can replace.
 *
 * @module
 */
import ts from "typescript";
import { authorizationComparison } from "./authorization.ts";
import { BackgroundFinder } from "./background.ts";
import { type ClientKind, creationsOf, restrictedUse, straysOf } from "./clients.ts";
import { factoryCallsOf } from "./factories.ts";
import { ClientFlow } from "./flow.ts";
import type { ModuleGraph } from "./graph.ts";
import type { Note } from "./migration.ts";
import { type FunctionNode, isJavaScript, type SourceModule } from "./source_module.ts";
import { callsOf } from "./values.ts";

/** An expression that creates a client, and the client that replaces it. */
export interface Site {
  readonly node: ts.CallExpression;
  readonly kind: ClientKind;
  readonly types: string;
  readonly shown: string;
  /** The type that the context's client is given; empty for its own. */
  readonly cast: string;
  /** The variable that holds the client. */
  readonly variable: ts.VariableDeclaration | undefined;
}

/** Returns whether a function reads `arguments`, which a new parameter changes. */
export function usesArguments(module: SourceModule, owner: FunctionNode): boolean {
  for (const node of owner.body ? module.nodes(owner.body) : []) {
    if (ts.isIdentifier(node) && node.text === "arguments" && !ts.isPropertyAccessExpression(node.parent)) return true;
  }
  return false;
}

/** Finds the clients that can be replaced, and the reasons why others stay. */
export class SiteFinder {
  readonly #module: SourceModule;
  readonly #graph: ModuleGraph;
  /** The functions besides the handler that receive the context as their first argument. */
  readonly threaded: Set<FunctionNode> = new Set();
  /** The clients that stay. */
  readonly left: Note[] = [];

  constructor(module: SourceModule, graph: ModuleGraph) {
    this.#module = module;
    this.#graph = graph;
  }

  /** Returns the clients that the context's can replace, and notes why others stay. */
  find(handler: FunctionNode): Site[] {
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
        cast: "",
      })),
      ...factoryCallsOf(module, this.#graph).map(({ call, creation, name, isTyped, reason }) => ({
        node: call,
        kind: creation.kind,
        types: "",
        reason: reason ?? this.#whyNotCalled(call, creation.kind, request),
        shown: `${name}()`,
        cast: isTyped && !isJavaScript(module) ? `ReturnType<typeof ${name}>` : "",
      })),
    ].sort((a, b) => a.node.pos - b.node.pos);
    const reachable = this.#graph.reachable(module);
    const restricted = reachable.map((one) => ({ one, use: restrictedUse(one) })).find(({ use }) => use);
    const comparison = reachable.some((one) => authorizationComparison(one) !== undefined)
      ? "the Authorization header is also compared with a value of its own, which the wrapper would reject"
      : undefined;
    for (const { node, text } of straysOf(module)) this.#leave(node, text);
    const sites: Site[] = [];
    for (const { node, kind, types, reason, shown, cast } of found) {
      const variable = this.#variableOf(node);
      const site: Site = { node, kind, types, shown, cast, variable };
      const threaded = new Set(this.threaded);
      const why = reason ?? (restricted?.use && this.#restrictedHere(site, restricted.use.name)) ??
        (kind === "user" ? comparison : undefined) ?? this.#whyOutOfReach(handler, site) ??
        this.#whyNotFollowed(handler, site);
      if (why === undefined) {
        sites.push(site);
        continue;
      }
      this.threaded.clear();
      for (const owner of threaded) this.threaded.add(owner);
      this.#leave(node, `${shown} stays: ${why}`);
    }
    return this.#withOneIdentity(this.#withoutForeignChecks(sites, reachable));
  }

  /** Leaves clients that are passed on, if a function checks a token of its own with a client that it was passed. */
  #withoutForeignChecks(sites: readonly Site[], reachable: readonly SourceModule[]): Site[] {
    const own = new Set(sites.flatMap((site) => this.tokenChecks(site)).map(({ parent }) => parent.parent.parent));
    const foreign = reachable.some((module) =>
      module.nodes().some((node) =>
        ts.isCallExpression(node) && node.arguments.length > 0 && !own.has(node) &&
        ts.isPropertyAccessExpression(node.expression) && /^get(User|Claims)$/.test(node.expression.name.text) &&
        ts.isPropertyAccessExpression(node.expression.expression) && node.expression.expression.name.text === "auth"
      )
    );
    return sites.filter((site) => {
      const stays = foreign && site.kind !== "admin" &&
        (!site.variable || this.usesOf(site.variable).some(({ parent }) => !ts.isPropertyAccessExpression(parent)));
      if (stays) {
        this.#leave(site.node, `${site.shown} stays: it is passed on to a check of a token, which only admin has`);
      }
      return !stays;
    });
  }

  /** Returns why a client of the context may not take the place of a client, by what happens to it later. */
  #whyNotFollowed(handler: FunctionNode, { node, kind }: Site): string | undefined {
    const flow = new ClientFlow(this.#graph, kind, handler);
    const reason = flow.whyNot(this.#module, node);
    if (reason) return reason;
    for (const [module, nodes] of flow.visited) {
      const finder = new BackgroundFinder(module, handler);
      for (const visited of nodes) {
        const later = finder.find(visited);
        if (later) return later;
      }
    }
    return undefined;
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
      if (user.parameters.some((parameter) => use.pos >= parameter.pos && use.end <= parameter.end)) {
        return "it is the default of a parameter";
      }
      if (!user.body || !ts.isBlock(user.body)) return "a function that uses it has no block for its declaration";
      const reason = this.#thread(user, handler);
      if (reason) return reason;
    }
    return undefined;
  }

  /** Marks a function as one that receives the context; returns why it cannot. */
  #thread(owner: FunctionNode, handler: FunctionNode, path: readonly FunctionNode[] = []): string | undefined {
    if (owner === handler || this.threaded.has(owner) || path.includes(owner)) return undefined;
    const module = this.#module;
    const name = module.nameOf(owner)?.text;
    if (ts.isConstructorDeclaration(owner)) return "it is created in a constructor, which receives no context";
    if (ts.isAccessor(owner)) return "it is created in an accessor, which receives no context";
    if (name === undefined) return "it is created in a function without a name, such as a method";
    const symbol = module.nameOf(owner) && module.symbolOf(module.nameOf(owner) as ts.Identifier);
    if ((symbol?.declarations?.length ?? 1) > 1) return `${name} has overloads`;
    if (usesArguments(module, owner)) return `${name} reads its arguments`;
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
    this.threaded.add(owner);
    return undefined;
  }

  /** Leaves anonymous clients beside clients of the user: the context's one client acts for the user. */
  #withOneIdentity(sites: readonly Site[]): Site[] {
    const isUser = sites.some((site) => site.kind === "user" && !this.onlyChecksTokens(site));
    const own = sites.filter((site) => site.node.typeArguments || site.shown === "createClient");
    const types = new Set(own.map(({ types }) => types));
    return sites.filter((site) => {
      const [argument, ...more] = site.node.typeArguments ?? [];
      if (more.length > 0 || (argument && this.#isInner(argument))) {
        this.#leave(site.node, `${site.shown} stays: the context has no place for its type arguments`);
        return false;
      }
      if (types.size > 1) {
        this.#leave(site.node, `${site.shown} stays: the clients of this file have different types`);
        return false;
      }
      if (isUser && site.kind === "anonymous" && !this.onlyChecksTokens(site)) {
        this.#leave(site.node, "createClient stays: it is anonymous, and the context's client acts for the user");
        return false;
      }
      return true;
    });
  }

  /** Returns whether a type names one that a function declares. */
  #isInner(type: ts.TypeNode): boolean {
    return [type, ...this.#module.nodes(type)].some((node) =>
      ts.isIdentifier(node) &&
      (this.#module.symbolOf(node)?.declarations ?? []).some((declaration) =>
        this.#module.functionAround(declaration) !== undefined
      )
    );
  }

  usesOf(variable: ts.VariableDeclaration): ts.Identifier[] {
    const symbol = this.#module.symbolOf(variable.name);
    return (symbol ? this.#module.usesOf(symbol) : []).filter((use) => use !== variable.name);
  }

  /** Returns the calls `client.auth.getUser(token)` with a token, by a client. */
  tokenChecks({ variable, kind }: Site): ts.Identifier[] {
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

  /** Returns whether a client serves for nothing but to check tokens. */
  onlyChecksTokens(site: Site): boolean {
    return site.variable !== undefined && this.tokenChecks(site).length > 0 &&
      this.tokenChecks(site).length === this.usesOf(site.variable).length;
  }

  #leave(node: ts.Node, text: string): void {
    this.left.push({ line: this.#module.lineOf(node), text });
  }
}
