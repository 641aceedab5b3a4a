/**
 * The course of `init`: plan, show, ask, write, report.
 *
 * @module
 */
import { dirname, join, relative } from "node:path";
import { nearestName } from "../../shared/environment/mod.ts";
import { commandOf } from "../invocation.ts";
import { PACKAGE_NAME, packageSpecifier } from "../package/identity.ts";
import { StackError } from "../stack_error.ts";
import type { InitArguments } from "./arguments.ts";
import { Files } from "./files.ts";
import { uncommittedChanges } from "./git.ts";
import { importsOf } from "./json_edit.ts";
import { type Layout, readLayout } from "./layout.ts";
import { planPreparation } from "./prepare.ts";
import { type FunctionReport, reportOf, reportText } from "./report.ts";
import { ModuleGraph } from "./source/graph.ts";
import { migrate } from "./source/migrate.ts";
import { nothing } from "./source/migration.ts";
import { planVendor, VENDOR_FOLDER } from "./vendor.ts";

function checkNames(layout: Layout, only: readonly string[]): void {
  const names = layout.functions.map(({ name }) => name);
  for (const name of only) {
    if (names.includes(name)) continue;
    const nearest = nearestName(name, names, 3);
    const hint = nearest ? `did you mean ${nearest}?` : `the project has ${names.join(", ") || "none"}.`;
    throw new StackError("USAGE", `Function ${JSON.stringify(name)} not found: ${hint}`);
  }
}

/** Returns the modules as the import map of a function resolves them; functions that share one share the modules. */
function graphsOf(files: Files): (importMap: string) => ModuleGraph {
  const graphs = new Map<string, ModuleGraph>();
  return (importMap) => {
    const known = graphs.get(importMap);
    if (known) return known;
    const text = files.read(importMap);
    const imports = Object.entries(text === undefined ? {} : importsOf(text)).map(([name, value]) => {
      const isPath = /^\.{1,2}\//.test(value);
      return [name, isPath ? join(dirname(importMap), value) : value];
    });
    const graph = new ModuleGraph((path) => files.read(path), Object.fromEntries(imports));
    graphs.set(importMap, graph);
    return graph;
  };
}

/** Plans the rewriting of functions, and reports on all of them. */
function planMigration(layout: Layout, options: InitArguments, files: Files): FunctionReport[] {
  const graphOf = graphsOf(files);
  return layout.functions.map((one) => {
    const graph = graphOf(one.inherited ?? one.importMap);
    const module = graph.at(one.entrypoint);
    if (!module) {
      return {
        name: one.name,
        entrypoint: one.entrypoint,
        findings: [],
        migration: nothing(1, "The file is not UTF-8 text, or cannot be parsed"),
      };
    }
    const report = reportOf(one, module, graph);
    const isChosen = options.migrate && (options.only.length === 0 || options.only.includes(one.name));
    if (!isChosen || module.specifiers.includes(PACKAGE_NAME)) return report;
    const migration = migrate(module, graph, PACKAGE_NAME);
    if (migration.text !== undefined) files.plan(one.entrypoint, migration.text);
    return { ...report, migration };
  });
}

async function mayWrite({ root }: Layout, options: InitArguments, paths: readonly string[]): Promise<boolean> {
  if (options.dryRun || (options.json && !options.yes)) return false;
  const uncommitted = options.force ? undefined : await uncommittedChanges(root, paths);
  if (uncommitted && uncommitted.length > 0) {
    const shown = uncommitted.slice(0, 3).join(", ") +
      (uncommitted.length > 3 ? ` and ${uncommitted.length - 3} more` : "");
    throw new StackError(
      "NOT_WRITABLE",
      `Uncommitted changes in ${shown}: commit or stash them first, or pass --force.`,
    );
  }
  if (options.yes) return true;
  if (!Deno.stdin.isTerminal()) {
    throw new StackError(
      "USAGE",
      "No terminal to ask on: pass --yes to write these changes, or --dry-run to only show them.",
    );
  }
  return confirm("Write these changes?");
}

/**
 * Prepares a project.
 *
 * @returns The exit status.
 * @throws {StackError} for what the user can fix.
 */
export async function init(options: InitArguments): Promise<number> {
  const files = new Files();
  const layout = await readLayout(options.project, files);
  checkNames(layout, options.only);
  const target = options.vendor ? `./${VENDOR_FOLDER}/mod.js` : options.target ?? packageSpecifier();
  const functions = planMigration(layout, options, files);
  const notes = [...layout.notes, ...planPreparation(layout, { name: PACKAGE_NAME, target }, files)];
  const { changes } = files;
  const vendored = options.vendor ? await planVendor(layout.root) : undefined;
  const copies = vendored?.count ?? 0;
  const isUnchanged = changes.length + copies === 0;
  if (!options.json) {
    if (isUnchanged) console.log("Nothing to change: the project is prepared.\n");
    else {
      if (changes.length > 0) console.log(files.diff(layout.root));
      if (copies > 0) console.log(`The library is copied to ${VENDOR_FOLDER} (${copies} files).\n`);
    }
  }
  const writes = !isUnchanged && await mayWrite(layout, options, changes.map(({ path }) => path));
  if (writes) {
    if (copies > 0) await vendored?.write();
    files.write();
  }
  if (options.json) {
    const { root } = layout;
    const shown = changes.map(({ path, before }) => ({
      path: relative(root, path),
      change: before === undefined ? "created" : "changed",
    }));
    console.log(
      JSON.stringify(
        { project: root, written: writes, changes: shown, diff: files.diff(root), functions, notes },
        undefined,
        2,
      ),
    );
    return 0;
  }
  console.log(reportText(layout.root, functions, notes));
  if (isUnchanged) return 0;
  const total = changes.length + copies;
  const count = `${total} file${total === 1 ? "" : "s"}`;
  if (writes) {
    console.log(
      `Wrote ${count}. Next: ${
        commandOf("dev", "--project", options.project)
      }, and docs/migrating.md for what is listed above.`,
    );
  } else console.log(`Nothing was written: ${count} would change.`);
  return writes || options.dryRun ? 0 : 1;
}
