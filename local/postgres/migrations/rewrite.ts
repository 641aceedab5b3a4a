/**
 * Changes to statements whose extension is a stand-in.
 *
 * @module
 */
import { SQL_EXTENSIONS } from "../extensions/catalog.ts";

const names = new Set(SQL_EXTENSIONS.map(({ name }) => name));
const CREATE = /(\bcreate\s+extension\s+(?:if\s+not\s+exists\s+)?"?([\w-]+)"?)([^;]*)/gi;
const VERSION = /\bversion\s+('[^']*'|"[^"]*"|[\w.]+)/i;
const STORAGE = /(\busing\s+(?:hnsw|ivfflat)\s*\((?:[^()]|\([^()]*\))*\)\s*)(with\s*\([^)]*\))/gi;

/** Returns as many line breaks as `text` has, so that the lines after it keep their numbers. */
const linesOf = (text: string) => text.replaceAll(/[^\n]/g, "");

/**
 * Returns the statement as the stand-ins can execute it: without the version of an extension, of which there is one,
 * and without the parameters of the indexes of `vector`.
 */
export function rewriteStatement(text: string): string {
  return text
    .replaceAll(
      CREATE,
      (all: string, start: string, name: string, rest: string) =>
        names.has(name.toLowerCase()) ? start + rest.replace(VERSION, linesOf) : all,
    )
    .replaceAll(STORAGE, (_all, before: string, parameters: string) => before + linesOf(parameters));
}
