/**
 * The files of a project: read as they are, and written all or none.
 *
 * @module
 */
import { dirname, relative, resolve } from "node:path";
import { messageOf } from "../../shared/resilience/mod.ts";
import { StackError } from "../stack_error.ts";
import { unifiedDiff } from "./diff.ts";

/** A planned change of a file. */
export interface Change {
  /** Absolute. */
  readonly path: string;
  /** The text now; `undefined` for a new file. */
  readonly before: string | undefined;
  readonly after: string;
}

const BOM = "\uFEFF";

function describe(error: unknown): string {
  if (error instanceof Deno.errors.PermissionDenied) {
    return "permission denied: change its owner or mode (chmod, chown)";
  }
  return messageOf(error);
}

/** Reads the files of a project, and collects their changes. */
export class Files {
  readonly #texts = new Map<string, string | undefined>();
  readonly #changes = new Map<string, Change>();
  readonly #marked = new Set<string>();

  /** Returns whether a file exists. */
  exists(path: string): boolean {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  }

  /**
   * Returns the text of a file with the changes so far, without a byte order mark; `undefined` if it does not exist or is
   * not UTF-8.
   *
   * @throws {StackError} `NOT_WRITABLE` if it exists and cannot be read.
   */
  read(path: string): string | undefined {
    const changed = this.#changes.get(path);
    if (changed) return changed.after;
    if (!this.#texts.has(path)) this.#texts.set(path, this.#readFile(path));
    return this.#texts.get(path);
  }

  #readFile(path: string): string | undefined {
    let bytes: Uint8Array;
    try {
      bytes = Deno.readFileSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
        throw new StackError("NOT_WRITABLE", `Cannot read ${path}: ${describe(error)}.`, { cause: error });
      }
      return undefined;
    }
    try {
      const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
      if (!text.startsWith(BOM)) return text;
      this.#marked.add(path);
      return text.slice(1);
    } catch {
      return undefined;
    }
  }

  /** Plans a new text for a file. */
  plan(path: string, after: string): void {
    const before = this.#changes.get(path)?.before ?? this.read(path);
    if (before === after) this.#changes.delete(path);
    else this.#changes.set(path, { path, before, after });
  }

  /** Returns whether a path, links followed, is inside the folder. */
  isInside(root: string, path: string): boolean {
    let at = path;
    for (;;) {
      try {
        at = Deno.realPathSync(at) + path.slice(at.length);
        break;
      } catch {
        const parent = dirname(at);
        if (parent === at) return false;
        at = parent;
      }
    }
    const inside = relative(root, at);
    return inside === "" || (!inside.startsWith("..") && !inside.startsWith("/"));
  }

  /** Returns the file that a deno.json names as its import map, else the file itself. */
  importMapBehind(path: string): string {
    const named = /^\s*"importMap"\s*:\s*"([^"]+)"/m.exec(this.read(path) ?? "")?.[1];
    if (named === undefined || /^[a-z]+:/.test(named)) return path;
    const target = resolve(dirname(path), named);
    return this.exists(target) ? target : path;
  }

  /** The changes, by path. */
  get changes(): Change[] {
    return [...this.#changes.values()].sort((a, b) => a.path < b.path ? -1 : 1);
  }

  /** Returns the unified diff of all changes. */
  diff(root: string): string {
    return this.changes.map(({ path, before, after }) => unifiedDiff(relative(root, path), before, after)).join("");
  }

  /**
   * Writes the changes. All files are checked first; if a write fails, those before it are restored.
   *
   * @throws {StackError} `NOT_WRITABLE`.
   */
  write(): void {
    const { changes } = this;
    for (const { path, before } of changes) {
      if (before === undefined) continue;
      try {
        Deno.openSync(path, { write: true }).close();
      } catch (error) {
        throw new StackError("NOT_WRITABLE", `Cannot write ${path}: ${describe(error)}. Nothing was changed.`, {
          cause: error,
        });
      }
    }
    const written: Change[] = [];
    try {
      for (const change of changes) {
        const { path, after } = change;
        Deno.mkdirSync(dirname(path), { recursive: true });
        Deno.writeTextFileSync(path, (this.#marked.has(path) ? BOM : "") + after);
        written.push(change);
      }
    } catch (error) {
      for (const { path, before } of written) {
        if (before === undefined) Deno.removeSync(path);
        else Deno.writeTextFileSync(path, (this.#marked.has(path) ? BOM : "") + before);
      }
      const failed = changes[written.length]?.path ?? "a file";
      throw new StackError(
        "NOT_WRITABLE",
        `Cannot write ${failed}: ${describe(error)}. The other files are as before.`,
        {
          cause: error,
        },
      );
    }
  }
}
