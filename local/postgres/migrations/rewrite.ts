/**
 * Changes to statements whose extension is a stand-in.
 *
 * @module
 */
import { SQL_EXTENSIONS } from "../extensions/catalog.ts";

const names = SQL_EXTENSIONS.map(({ name }) => name).join("|");
const VERSION = new RegExp(
  String
    .raw`(\bcreate\s+extension\s+(?:if\s+not\s+exists\s+)?"?(?:${names})"?(?:\s+(?:with|cascade|schema\s+"?\w+"?))*?)` +
    String.raw`(\s+version\s+(?:'[^']*'|"[^"]*"|[\w.]+))`,
  "gi",
);
const STORAGE = /(\busing\s+(?:hnsw|ivfflat)\s*\((?:[^()]|\([^()]*\))*\)\s*)(with\s*\([^)]*\))/gi;

/** Returns as many line breaks as `text` has, so that the lines after it keep their numbers. */
const linesOf = (text: string) => text.replaceAll(/[^\n]/g, "");

/**
 * Returns the statement as the stand-ins can execute it: without the version of an extension, of which there is one,
 * and without the parameters of the indexes of `vector`.
 */
export function rewriteStatement(text: string): string {
  return text
    .replaceAll(VERSION, (_all, before: string, version: string) => before + linesOf(version))
    .replaceAll(STORAGE, (_all, before: string, parameters: string) => before + linesOf(parameters));
}
