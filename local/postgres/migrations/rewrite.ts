/**
 * Changes to statements whose extension is a stand-in.
 *
 * @module
 */
import { SQL_EXTENSIONS } from "../extensions/catalog.ts";
import { firstWord, hasRows, partsOf, skipComments } from "./split.ts";

const EXTENSIONS = new Map(SQL_EXTENSIONS.map((extension) => [extension.name, extension]));
const CREATE = /(\bcreate\s+extension\s+(?:if\s+not\s+exists\s+)?"?([\w-]+)"?)([^;]*)/gi;
const VERSION = /\bversion\s+('[^']*'|"[^"]*"|[\w.]+)/i;
const STORAGE = /(\busing\s+"?(?:hnsw|ivfflat)"?\s*\((?:[^()]|\([^()]*\))*\)\s*)(with\s*\([^)]*\))/gi;

const SHAPES =
  /(\b(?:geometry|geography)"?)\s*\(\s*['"]?(?:geometry|geography|point|line|polygon|multi|triangle|tin|curve)\w*['"]?\s*(?:,\s*['"]?\d+['"]?\s*)?\)/gi;

/** Returns SQL whose types of `postgis` have no parameters. */
const plainShapes = (sql: string) => sql.replaceAll(SHAPES, (_all, type: string) => type);

/** Returns as many line breaks as `text` has, so that the lines after it keep their numbers. */
const linesOf = (text: string) => text.replaceAll(/[^\n]/g, "");

/**
 * Returns the statement as the stand-ins can execute it: without the version of an extension, of which there is one,
 * without the parameters of the indexes of `vector`, and of the types of `postgis`. The schema of an extension that has one of its own is created,
 * because a hosted project has it.
 */
export function rewriteStatement(text: string): string {
  // The strings of other statements are code: those that blocks and functions execute.
  if (hasRows(text) || firstWord(text) === "comment") {
    if (!/geometry|geography/i.test(text)) return text;
    return partsOf(text).map(({ kind, text }) => kind === "code" ? plainShapes(text) : text).join("");
  }
  const created = text.replaceAll(CREATE, (all: string, start: string, name: string, rest: string) => {
    const extension = EXTENSIONS.get(name.toLowerCase());
    if (extension === undefined) return all;
    const schema = extension.schema === undefined ? "" : `create schema if not exists ${extension.schema}; `;
    return schema + start + rest.replace(VERSION, linesOf);
  });
  return plainShapes(
    created.replaceAll(STORAGE, (_all, before: string, parameters: string) => before + linesOf(parameters)),
  );
}

const SPATIAL_INDEX = /^create\s+index\b/i;
const SPATIAL = /\busing\s+"?(gist|spgist|brin)\b/i;

/** Returns whether a statement creates an index that the stand-in of `postgis` cannot have. */
export function mayBeSpatialIndex(text: string): boolean {
  const statement = text.slice(skipComments(text));
  return SPATIAL_INDEX.test(statement) && SPATIAL.test(statement);
}

const GRANT = /^(grant|revoke|alter\s+function)\b/i;
const STAND_IN = /"?(array_to_)?(vector|halfvec|sparsevec|hnsw|ivfflat|l1_|l2_|http|urlencode|bytea_to_text)/i;
const STAND_IN_MATH =
  /\b(inner_product|cosine_distance|hamming_distance|jaccard_distance|binary_quantize|subvector)\b/i;

/**
 * Returns whether a statement gives rights on a function that a stand-in may lack. Dumps of hosted projects have one for
 * each function of an extension in the schema `public`.
 */
export function mayNameMissingFunction(text: string): boolean {
  const statement = text.slice(skipComments(text));
  return GRANT.test(statement) && /\bfunction\b/i.test(statement) &&
    (STAND_IN.test(statement) || STAND_IN_MATH.test(statement));
}
