/**
 * The edits of one module, and notes on them.
 *
 * @module
 */
import ts from "typescript";
import { applyEdits, type Edit, wholeLines } from "./edits.ts";
import type { Note } from "./migration.ts";
import type { SourceModule } from "./source_module.ts";

/** Collects the edits of a module. */
export class ModuleEdits {
  readonly #module: SourceModule;
  readonly #edits: Edit[] = [];
  /** The rewrites, each with its line. */
  readonly notes: Note[] = [];
  /** Uses of names that the edits remove. */
  readonly removed: Set<ts.Identifier> = new Set();

  constructor(module: SourceModule) {
    this.#module = module;
  }

  /** Notes what was rewritten at the line of a node. */
  note(node: ts.Node, text: string): void {
    this.notes.push({ line: this.#module.lineOf(node), text });
  }

  /**
   * Replaces a node.
   *
   * @param usesNames Whether the new text uses the names that the node has. Default: false.
   */
  replace(node: ts.Node, text: string, usesNames: boolean = false): void {
    this.#edits.push({ start: node.getStart(this.#module.file), end: node.end, text });
    if (usesNames) return;
    for (const inner of [node, ...this.#module.nodes(node)]) if (ts.isIdentifier(inner)) this.removed.add(inner);
  }

  /** Inserts text at a position. */
  insert(at: number, text: string): void {
    this.#edits.push({ start: at, end: at, text });
  }

  /** Removes a statement with its line, and with the blank line after it if `gap`. Comments before it stay. */
  remove(node: ts.Node, gap = false): void {
    const { start, end: lineEnd } = wholeLines(this.#module.text, node.getStart(this.#module.file), node.end);
    const blank = gap ? /^[ \t]*\r?\n/.exec(this.#module.text.slice(lineEnd))?.[0].length ?? 0 : 0;
    const end = lineEnd + blank;
    this.#edits.push({ start, end, text: "" });
    for (const inner of this.#module.nodes(node)) if (ts.isIdentifier(inner)) this.removed.add(inner);
  }

  /** Returns the new text, with the line breaks of the module. */
  apply(): string {
    const { text } = this.#module;
    const eol = text.includes("\r\n") ? "\r\n" : "\n";
    return applyEdits(text, this.#edits.map((edit) => ({ ...edit, text: edit.text.replaceAll(/\r?\n/g, eol) })));
  }
}
