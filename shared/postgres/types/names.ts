/**
 * Names of built-in types.
 *
 * @module
 */
import { ALIASES, BUILTIN_RANGES, BUILTIN_TYPES } from "./builtin.ts";

/** A type by its name, with the oid of its array type. */
interface Named {
  readonly oid: number;
  readonly array: number;
}

let names: Map<string, Named> | undefined;

function namesOf(): Map<string, Named> {
  const all = new Map<string, Named>();
  for (const type of BUILTIN_TYPES) all.set(type.typname, type);
  for (const range of BUILTIN_RANGES) {
    all.set(range.name, range);
    all.set(range.multirange.name, range.multirange);
  }
  // A bare `char` is `character`, and `"char"` the type of that name.
  const oneByte = all.get("char");
  for (const [alias, typname] of Object.entries(ALIASES)) {
    const type = alias === '"char"' ? oneByte : all.get(typname);
    if (type) all.set(alias, type);
  }
  return all;
}

const MODIFIER = /(?<!\s)\s*\(\s*\d+\s*(,\s*-?\d+\s*)?\)/;
const DIMENSIONS = /^(?:\[\s*(?:\d+\s*)?\]\s*)+$/;

/**
 * Returns the oid of a built-in type by its name: `int4`, `integer`, `text[]`, `numeric(10,2)`,
 * `pg_catalog.timestamptz`. Returns `undefined` for other names, which the server has to look up.
 */
export function builtinOid(name: string): number | undefined {
  names ??= namesOf();
  const bare = name.trim().toLowerCase().replace(/^pg_catalog\s*\.\s*/, "").replace(MODIFIER, "");
  const bracket = bare.indexOf("[");
  const base = bracket >= 0 && DIMENSIONS.test(bare.slice(bracket)) ? bare.slice(0, bracket) : bare;
  const type = names.get(base.replace(/\s+/g, " ").trim());
  return type && ((base === bare ? type.oid : type.array) || undefined);
}
