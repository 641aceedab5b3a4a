/**
 * The form of an extension that the local stack brings in SQL.
 *
 * @module
 */

/** An extension without binaries for the local Postgres. */
export interface SqlExtension {
  /** The name, as in `create extension`. */
  readonly name: string;
  /** The version that hosted projects have. */
  readonly version: string;
  /** The extensions that it needs. Default: none. */
  readonly requires?: readonly string[];
  /** The schema that it must be in, which `create extension` creates. Default: any. */
  readonly schema?: string;
  /** The script of the extension. `@extschema@` stands for its schema. */
  readonly sql: string;
  /** The difference from the real one, for the warning; `undefined` if there is none that an application notices. */
  readonly note?: string;
}

/** Returns an extension whose creation fails with a message that says why and what to do. */
export function refused(name: string, version: string, advice: string): SqlExtension {
  const quote = (text: string) => `'${text.replaceAll("'", "''")}'`;
  return {
    name,
    version,
    sql: `do $$ begin raise exception using errcode = '0A000',
  message = ${quote(`the extension "${name}" is not part of the local stack`)},
  hint = ${quote(advice)};
end $$;`,
  };
}

/** Returns an extension that can be created and has no effect. */
export function inert(name: string, version: string, note: string): SqlExtension {
  return { name, version, sql: "select 1;", note };
}
