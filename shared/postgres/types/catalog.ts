/**
 * Types of a database, as `pg_type` describes them.
 *
 * @module
 */

/** A row of {@linkcode CATALOG_QUERY}. */
export interface TypeRow {
  readonly oid: number;
  /** The name as the server prints it: with its schema, unless `search_path` finds it. */
  readonly name: string;
  readonly schema: string;
  readonly typname: string;
  /** `typtype`: `b` base, `c` composite, `d` domain, `e` enum, `p` pseudo, `r` range, `m` multirange. */
  readonly kind: string;
  /** The type that it is built from: the elements of an array, the base of a domain, the bound of a range, the range of a multirange. 0 for none. */
  readonly inner: number;
  /** True for an array type. */
  readonly is_array: boolean;
  /** The character between elements. */
  readonly delimiter: string;
  /** True for a domain with a modifier, such as `numeric(5,2)`. */
  readonly has_modifier: boolean;
  /** The attributes of a composite; null for other types. */
  readonly attribute_names: readonly string[] | null;
  readonly attribute_types: readonly number[] | null;
}

/**
 * Loads types, and all types that they contain, at any depth. `$1` is an `oid[]`. Any role may run it. It works under
 * any `search_path`, from PostgreSQL 14 on.
 */
export const CATALOG_QUERY: string = `
WITH RECURSIVE needed (oid) AS (
  SELECT pg_catalog.unnest($1::pg_catalog.oid[])
  UNION
  SELECT inside.oid
  FROM needed
  JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) needed.oid
  CROSS JOIN LATERAL (
    SELECT t.typelem WHERE t.typsubscript OPERATOR(pg_catalog.=) 'pg_catalog.array_subscript_handler'::pg_catalog.regproc
    UNION ALL
    SELECT t.typbasetype
    UNION ALL
    SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid OPERATOR(pg_catalog.=) t.oid
    UNION ALL
    SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE r.rngmultitypid OPERATOR(pg_catalog.=) t.oid
    UNION ALL
    SELECT a.atttypid FROM pg_catalog.pg_attribute a
    WHERE a.attrelid OPERATOR(pg_catalog.=) t.typrelid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
  ) inside (oid)
)
SELECT
  t.oid,
  pg_catalog.format_type(t.oid, NULL) AS name,
  n.nspname AS schema,
  t.typname,
  t.typtype AS kind,
  CASE
    WHEN t.typtype OPERATOR(pg_catalog.=) 'd' THEN t.typbasetype
    WHEN t.typtype OPERATOR(pg_catalog.=) 'r' THEN
      (SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid OPERATOR(pg_catalog.=) t.oid)
    WHEN t.typtype OPERATOR(pg_catalog.=) 'm' THEN
      (SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE r.rngmultitypid OPERATOR(pg_catalog.=) t.oid)
    ELSE t.typelem
  END AS inner,
  t.typsubscript OPERATOR(pg_catalog.=) 'pg_catalog.array_subscript_handler'::pg_catalog.regproc AS is_array,
  t.typdelim AS delimiter,
  t.typtypmod OPERATOR(pg_catalog.>=) 0 AS has_modifier,
  a.names AS attribute_names,
  a.types AS attribute_types
FROM needed
JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) needed.oid
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
LEFT JOIN LATERAL (
  SELECT
    pg_catalog.array_agg(a.attname::pg_catalog.text ORDER BY a.attnum) AS names,
    pg_catalog.array_agg(a.atttypid ORDER BY a.attnum) AS types
  FROM pg_catalog.pg_attribute a
  WHERE a.attrelid OPERATOR(pg_catalog.=) t.typrelid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
) a ON t.typtype OPERATOR(pg_catalog.=) 'c'`;
