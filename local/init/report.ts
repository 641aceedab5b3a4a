/**
 * The report on the functions of a project.
 *
 * @module
 */
import { relative } from "node:path";
import { type Finding, findingsOf } from "./findings.ts";
import type { ProjectFunction } from "./layout.ts";
import type { ModuleGraph } from "./source/graph.ts";
import type { Migration } from "./source/migration.ts";
import type { SourceModule } from "./source/source_module.ts";

/** The report on a function. */
export interface FunctionReport {
  readonly name: string;
  /** Absolute. */
  readonly entrypoint: string;
  /** Findings in its own modules and in those that it imports by relative paths. */
  readonly findings: readonly Finding[];
  /** The result of its migration, if it was asked for. */
  readonly migration?: Migration;
}

/** Reports on one function. */
export function reportOf(
  { name, entrypoint }: ProjectFunction,
  module: SourceModule,
  graph: ModuleGraph,
): FunctionReport {
  return { name, entrypoint, findings: graph.reachable(module).flatMap((one) => findingsOf(one, graph)) };
}

/** Returns the report as text: functions first, then modules that several of them share. */
export function reportText(root: string, functions: readonly FunctionReport[], notes: readonly string[]): string {
  const uses = new Map<string, Set<string>>();
  for (const { name, findings } of functions) {
    for (const { path } of findings) uses.set(path, (uses.get(path) ?? new Set()).add(name));
  }
  const isShared = (path: string) => (uses.get(path)?.size ?? 0) > 1;
  const at = (path: string, line: number) => `${relative(root, path)}:${line}`;
  const lines: string[] = [];
  const shared = new Map<string, Finding>();
  for (const { name, entrypoint, findings, migration } of functions) {
    const own = findings.filter(({ path }) => !isShared(path));
    for (const finding of findings) {
      if (isShared(finding.path)) shared.set(`${at(finding.path, finding.line)} ${finding.kind}`, finding);
    }
    lines.push("", migration?.text === undefined ? name : `${name} (rewritten)`);
    if (migration) {
      for (const { line, text } of migration.rewritten) lines.push(`  ${at(entrypoint, line)}  ${text}`);
      for (const { line, text } of migration.left) lines.push(`  ${at(entrypoint, line)}  by hand: ${text}`);
      for (const text of migration.differences) lines.push(`  note: ${text}`);
    }
    // Where the module was rewritten, only what stays is of interest.
    const shown = migration?.text === undefined
      ? own
      : own.filter(({ kind, path }) => path !== entrypoint || /^(wait-until|stream|restricted)$/.test(kind));
    for (const { path, line, message } of shown) lines.push(`  ${at(path, line)}  ${message}`);
    if (shown.length === 0 && !migration) lines.push("  nothing to change");
  }
  if (shared.size > 0) {
    lines.push("", "Modules that several functions import");
    for (const { path, line, message } of shared.values()) lines.push(`  ${at(path, line)}  ${message}`);
  }
  if (notes.length > 0) lines.push("", ...notes.map((note) => `Note: ${note}`));
  const migrated = functions.filter(({ migration }) => migration);
  if (migrated.length > 0) {
    const rewritten = migrated.filter(({ migration }) => migration?.text !== undefined);
    const whole = rewritten.filter(({ migration }) => migration?.left.length === 0);
    lines.push(
      "",
      `${rewritten.length} of ${migrated.length} functions rewritten, ${whole.length} of them without lines left.`,
    );
  }
  return `${lines.join("\n").trimStart()}\n`;
}
