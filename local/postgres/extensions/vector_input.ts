/**
 * The input of the types of `vector`: what pgvector accepts, in the form that it prints, and its errors.
 *
 * @module
 */

/** A type of `vector`. */
export type VectorType = "vector" | "halfvec" | "sparsevec";

/** The most dimensions of a type. */
const MAX_DIMENSIONS: Readonly<Record<VectorType, number>> = {
  vector: 16_000,
  halfvec: 16_000,
  sparsevec: 1_000_000_000,
};
/** The most elements of a `sparsevec` that are not 0. */
const MAX_ELEMENTS = 16_000;

const NUMBER = "[-+]?(?:(?:\\d+\\.?\\d*|\\.\\d+)(?:e[-+]?\\d+)?|nan|inf(?:inity)?)";
const LIST = `\\s*${NUMBER}\\s*(?:,\\s*${NUMBER}\\s*)*`;
const INTEGER = "[-+]?\\d+";
const ENTRY = `\\s*${INTEGER}\\s*:\\s*${NUMBER}\\s*`;
const ENTRIES = `\\s*(?:${ENTRY}(?:,${ENTRY})*)?`;

/** Returns a statement that raises an error of pgvector. */
function raise(code: string, message: string, values = "", detail = ""): string {
  return `raise exception '${message}'${values === "" ? "" : `, ${values}`} using errcode = '${code}'${
    detail === "" ? "" : `, detail = '${detail}'`
  };`;
}

const invalid = (type: VectorType, detail = "") =>
  raise("22P02", `invalid input syntax for type ${type}: "%"`, "$1", detail);

/** Functions that the types share. */
export const SHARED_INPUT = `
create function @extschema@.real_of(item text, type text) returns real language plpgsql immutable strict parallel safe as $$
declare
  exponent integer := coalesce(left(substring(item from '[eE]([-+]?\\d+)'), 8), '0');
begin
  if lower(item) ~ 'nan' then
    ${raise("22000", "NaN not allowed in %", "type")}
  elsif lower(item) ~ 'inf' then
    ${raise("22000", "infinite value not allowed in %", "type")}
  elsif exponent < -1000 or (exponent < 1000 and abs(item::numeric) <= 7.006492321624085e-46) then
    return 0;
  elsif exponent > 1000 or abs(item::numeric) >= 3.4028235677973366e38
    or (type = 'halfvec' and abs(item::real) >= 65520) then
    ${raise("22003", '"%" is out of range for type %', "btrim(item), type")}
  end if;
  return item::real;
end $$;
create function @extschema@.half_of(double precision) returns double precision language plpgsql immutable strict parallel safe as $$
declare
  exponent integer;
  unit double precision;
begin
  if $1 = 0 or $1 in ('NaN', 'Infinity', '-Infinity') then
    return $1;
  end if;
  exponent := floor(ln(abs($1)) / ln(2::double precision));
  -- The quotient of logarithms is not exact next to a power of two.
  if abs($1) < power(2::double precision, exponent) then
    exponent := exponent - 1;
  elsif abs($1) >= power(2::double precision, exponent + 1) then
    exponent := exponent + 1;
  end if;
  unit := power(2::double precision, greatest(exponent, -14) - 10);
  return round($1 / unit) * unit;
end $$;
create function @extschema@.dimensions_of(modifiers text, type text, most integer) returns integer
language plpgsql immutable strict parallel safe as $$
begin
  if modifiers ~ ',' then
    ${raise("22023", "invalid type modifier")}
  elsif modifiers::integer < 1 then
    ${raise("22023", "dimensions for type % must be at least 1", "type")}
  elsif modifiers::integer > most then
    ${raise("22023", "dimensions for type % cannot exceed %", "type, most")}
  end if;
  return modifiers::integer;
end $$;
`;

/** Returns the check of the number of dimensions of a value. */
function checkDimensions(type: VectorType, dimensions: string): string {
  return `
  if ${dimensions} < 1 then
    ${raise("22000", `${type} must have at least 1 dimension`)}
  elsif ${dimensions} > ${MAX_DIMENSIONS[type]} then
    ${raise("54000", `${type} cannot have more than ${MAX_DIMENSIONS[type]} dimensions`)}
  end if;`;
}

function checkExpected(modifier: string, dimensions: string): string {
  return `
  if ${modifier} > 0 and ${modifier} <> ${dimensions} then
    ${raise("22000", "expected % dimensions, not %", `${modifier}, ${dimensions}`)}
  end if;`;
}

function parseList(type: VectorType): string {
  const rounded = type === "halfvec"
    ? "array(select @extschema@.half_of(x) from unnest(numbers) as x)::real[]"
    : "numbers";
  return `
declare
  -- The Data API of the local stack sends an array of JSON as 1,2,3 or as {1,2,3}.
  literal text := case
    when $1 ~ '^\\s*\\{.*\\}\\s*$' then translate($1, '{}', '[]')
    when current_setting('request.jwt.claims', true) <> '' and $1 ~* '^${LIST}$' then '[' || $1 || ']'
    else $1
  end;
  items text[];
  numbers real[];
begin
  if literal !~* '^\\s*\\[${LIST}\\]\\s*$' then
    if literal !~ '^\\s*\\[' then
      ${invalid(type, 'Vector contents must start with "[".')}
    elsif literal ~ '^\\s*\\[\\s*\\]' then
      ${raise("22000", `${type} must have at least 1 dimension`)}
    elsif literal ~* '^\\s*\\[${LIST}\\]' then
      ${invalid(type, "Junk after closing right brace.")}
    end if;
    ${invalid(type)}
  end if;
  items := string_to_array(btrim(literal, E' \\t\\n\\r\\v\\f[]'), ',');
  ${checkDimensions(type, "cardinality(items)")}
  if ${type === "vector" ? "literal ~* '[einf]|\\d{30}'" : "true"} then
    numbers := array(select @extschema@.real_of(item, '${type}') from unnest(items) with ordinality as list (item, at) order by at);
  else
    numbers := items::real[];
  end if;
  ${checkExpected("$2", "cardinality(numbers)")}
  return '[' || array_to_string(${rounded}, ',') || ']';
end`;
}

const PARSE_ENTRIES = `
declare
  type constant text := 'sparsevec';
  dimensions bigint;
  indices bigint[];
  numbers real[];
begin
  if $1 !~* '^\\s*\\{${ENTRIES}\\}\\s*/\\s*${INTEGER}\\s*$' then
    if $1 !~ '^\\s*\\{' then
      ${invalid("sparsevec", 'Vector contents must start with "{".')}
    elsif $1 ~* '^\\s*\\{${ENTRIES}\\}\\s*$' then
      ${invalid("sparsevec", "Unexpected end of input.")}
    elsif $1 ~* '^\\s*\\{${ENTRIES}\\}\\s*/\\s*${INTEGER}' then
      ${invalid("sparsevec", "Junk after closing.")}
    end if;
    ${invalid("sparsevec")}
  end if;
  dimensions := least(substring($1 from '/\\s*([-+]?\\d+)')::numeric, 2147483647);
  select array_agg(index order by index), array_agg(value order by index) into indices, numbers
  from (
    select split_part(entry, ':', 1)::numeric as index, @extschema@.real_of(split_part(entry, ':', 2), type) as value
    from unnest(string_to_array(nullif(btrim(substring($1 from '\\{(.*)\\}')), ''), ',')) as entry
  ) as entries
  where value <> 0;
  ${checkDimensions("sparsevec", "dimensions")}
  ${checkExpected("$2", "dimensions")}
  if cardinality(indices) > ${MAX_ELEMENTS} then
    ${raise("54000", `sparsevec cannot have more than ${MAX_ELEMENTS} non-zero elements`)}
  elsif indices[1] < 1 or indices[cardinality(indices)] > dimensions then
    ${raise("22000", "sparsevec index out of bounds")}
  elsif cardinality(indices) <> (select count(distinct index) from unnest(indices) as index) then
    ${raise("22000", "sparsevec indices must not contain duplicates")}
  end if;
  return '{' || coalesce((select string_agg(index || ':' || value, ',' order by index)
    from unnest(indices, numbers) as entries (index, value)), '') || '}/' || dimensions;
end`;

/**
 * Returns the statements that create a type and its input: a value is kept as text, in the form that pgvector prints.
 *
 * `<type>_raw(cstring)` returns a value of a text that is in this form. `create function` refuses SQL functions of a
 * `cstring`, which run nevertheless: the language of the two functions is set in the catalog.
 */
export function createType(type: VectorType): string {
  const name = `@extschema@.${type}`;
  const [input, modifier] = [`${name}_in(cstring, oid, integer)`, `${name}_typmod_in(cstring[])`];
  const inSql = (signature: string, body: string) => `
update pg_catalog.pg_proc set prolang = (select oid from pg_catalog.pg_language where lanname = 'sql'), prosrc = '${body}'
where oid = '${signature}'::regprocedure;`;
  return `
create function ${name}_parse(text, integer) returns text language plpgsql immutable strict parallel safe as $$${
    type === "sparsevec" ? PARSE_ENTRIES : parseList(type)
  } $$;
create type ${name};
create function ${name}_raw(cstring) returns ${name} language internal immutable strict parallel safe as 'textin';
create function ${input} returns ${name} language internal immutable strict parallel safe as 'textin';
create function ${name}_out(${name}) returns cstring language internal immutable strict parallel safe as 'textout';
create function ${modifier} returns integer language internal immutable strict parallel safe as 'varchartypmodin';
create type ${name} (input = ${name}_in, output = ${name}_out, typmod_in = ${name}_typmod_in, storage = external);
${inSql(input, `select ${name}_raw(textout(${name}_parse(textin($1), $3)))`)}
${
    inSql(
      modifier,
      `select @extschema@.dimensions_of(array_to_string($1, '',''), ''${type}'', ${MAX_DIMENSIONS[type]})`,
    )
  }
create function ${name}(${name}, integer, boolean) returns ${name} language plpgsql immutable strict parallel safe as $$
begin
  ${checkExpected("$2", `${name}_dims($1)`)}
  return $1;
end $$;
create function ${name}_of(double precision[]) returns ${name} language plpgsql immutable strict parallel safe as $$
declare
  numbers real[] := ${type === "halfvec" ? "array(select @extschema@.half_of(x) from unnest($1) as x)" : "$1"};
begin
  if numbers && '{Infinity,-Infinity}'::real[] then
    ${raise("22000", `infinite value not allowed in ${type}`)}
  elsif numbers && '{NaN}'::real[] then
    ${raise("22000", `NaN not allowed in ${type}`)}
  end if;
  ${
    type === "sparsevec"
      ? `return ${name}_raw(textout('{' || coalesce((select string_agg(at || ':' || x, ',' order by at)
    from unnest(numbers) with ordinality as list (x, at) where x <> 0), '') || '}/' || cardinality(numbers)));`
      : `${checkDimensions(type, "cardinality(numbers)")}
  return ${name}_raw(textout('[' || array_to_string(numbers, ',') || ']'));`
  }
end $$;
create function ${name}_of_array(double precision[], integer) returns ${name}
language plpgsql immutable strict parallel safe as $$
begin
  if array_ndims($1) > 1 then
    ${raise("22000", "array must be 1-D")}
  elsif array_position($1, null) is not null then
    ${raise("22004", "array must not contain nulls")}
  end if;
  ${checkDimensions(type, "cardinality($1)")}
  ${checkExpected("$2", "cardinality($1)")}
  return ${name}_of($1);
end $$;
${
    ["integer", "real", "double precision", "numeric"].map((element) => `
create function @extschema@.array_to_${type}(${element}[], integer, boolean) returns ${name}
language sql immutable strict parallel safe as $$
  select ${name}_of_array($1::double precision[], $2)
$$;
create cast (${element}[] as ${name}) with function @extschema@.array_to_${type}(${element}[], integer, boolean) as assignment;`)
      .join("")
  }
create cast (${name} as ${name}) with function ${name}(${name}, integer, boolean) as implicit;
`;
}
