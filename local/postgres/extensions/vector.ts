/**
 * `vector` (pgvector), with its distances in SQL.
 *
 * @module
 */
import type { SqlExtension } from "./extension.ts";
import { SPARSEVEC } from "./sparsevec.ts";
import { createType, SHARED_INPUT } from "./vector_input.ts";

/*
 * A value is kept as text, in the form that pgvector prints. The access methods `hnsw` and `ivfflat` are hash indexes: a
 * search never uses them, so that its results are exact. `create index` passes no storage parameters, since hash indexes
 * have others; see `rewrite.ts`.
 */
function typeOf(type: "vector" | "halfvec"): string {
  const array = (value: string) => `@extschema@.${type}_to_float8(${value})`;
  const [name, self] = [`@extschema@.${type}`, `@extschema@.`];
  const combine = (fn: string, expression: string) => `
create function ${self}${fn}(${name}, ${name}) returns ${name} language sql immutable strict parallel safe as $$
  select ${self}${type}_of(array(select ${expression} from ${self}pairs(${array("$1")}, ${array("$2")}) as pair (x, y)))
$$;`;
  const distance = (fn: string, expression: string) => `
create function ${self}${fn}(${name}, ${name}) returns double precision language sql immutable strict parallel safe as $$
  select ${expression} from ${self}pairs(${array("$1")}, ${array("$2")}) as pair (x, y)
$$;`;
  const compare = [["lt", "<"], ["le", "<="], ["eq", "="], ["ne", "<>"], ["ge", ">="], ["gt", ">"]];
  return `${createType(type)}
create function ${self}${type}_dims(${name}) returns integer language sql immutable strict parallel safe as $$
  select length($1::text) - length(replace($1::text, ',', '')) + 1
$$;
create function ${self}${type}_to_float8(${name}) returns float8[] language sql immutable strict parallel safe as $$
  select string_to_array(btrim($1::text, '[]'), ',')::float8[]
$$;
create function ${self}${type}_to_float4(${name}, integer, boolean) returns real[] language sql immutable strict parallel safe as $$
  select ${array("$1")}::real[]
$$;
create cast (${name} as real[]) with function ${self}${type}_to_float4(${name}, integer, boolean) as ${
    type === "vector" ? "implicit" : "assignment"
  };
${distance("l2_distance", "sqrt(sum((x - y) ^ 2))")}
${distance("l1_distance", "sum(abs(x - y))")}
${distance("inner_product", "sum(x * y)")}
${distance(`${type}_negative_inner_product`, "-sum(x * y)")}
${
    distance(
      "cosine_distance",
      "case when sum(x * x) = 0 or sum(y * y) = 0 then 'NaN'::float8 else " +
        "1 - greatest(-1, least(1, sum(x * y) / sqrt(sum(x * x) * sum(y * y)))) end",
    )
  }
${
    type === "vector"
      ? `create function ${self}vector_norm(${name}) returns double precision language sql immutable strict parallel safe as $$
  select sqrt(sum(x * x)) from unnest(${array("$1")}) as x
$$;`
      : `create function ${self}l2_norm(${name}) returns double precision language sql immutable strict parallel safe as $$
  select sqrt(sum(x * x)) from unnest(${array("$1")}) as x
$$;
create function ${self}vector_dims(${name}) returns integer language sql immutable strict parallel safe as $$
  select ${self}${type}_dims($1)
$$;`
  }
create function ${self}l2_normalize(${name}) returns ${name} language sql immutable strict parallel safe as $$
  select ${self}${type}_of(array(
    select case when norm = 0 then 0 else x / norm end
    from unnest(${array("$1")}) with ordinality as item (x, at),
      (select sqrt(sum(v * v)) as norm from unnest(${array("$1")}) as v) as length
    order by at))
$$;
create function ${self}subvector(${name}, integer, integer) returns ${name} language sql immutable strict parallel safe as $$
  select ${self}${type}_of((${array("$1")})[$2 : $2 + $3 - 1])
$$;
${combine(`${type}_add`, "x + y")}
${combine(`${type}_sub`, "x - y")}
${combine(`${type}_mul`, "x * y")}
create function ${self}${type}_concat(${name}, ${name}) returns ${name} language sql immutable strict parallel safe as $$
  select ${self}${type}_of(${array("$1")} || ${array("$2")})
$$;
create operator ${self}<-> (leftarg = ${name}, rightarg = ${name}, function = ${self}l2_distance, commutator = '<->');
create operator ${self}<#> (leftarg = ${name}, rightarg = ${name}, function = ${self}${type}_negative_inner_product, commutator = '<#>');
create operator ${self}<=> (leftarg = ${name}, rightarg = ${name}, function = ${self}cosine_distance, commutator = '<=>');
create operator ${self}<+> (leftarg = ${name}, rightarg = ${name}, function = ${self}l1_distance, commutator = '<+>');
create operator ${self}+ (leftarg = ${name}, rightarg = ${name}, function = ${self}${type}_add, commutator = +);
create operator ${self}- (leftarg = ${name}, rightarg = ${name}, function = ${self}${type}_sub);
create operator ${self}* (leftarg = ${name}, rightarg = ${name}, function = ${self}${type}_mul, commutator = *);
create operator ${self}|| (leftarg = ${name}, rightarg = ${name}, function = ${self}${type}_concat);
${
    compare.map(([fn, sign]) => `
create function ${self}${type}_${fn}(${name}, ${name}) returns boolean language sql immutable strict parallel safe as $$
  select ${array("$1")} ${sign} ${array("$2")}
$$;`).join("")
  }
create operator ${self}= (leftarg = ${name}, rightarg = ${name}, function = ${self}${type}_eq, commutator = =, negator = <>, hashes, merges);
create operator ${self}<> (leftarg = ${name}, rightarg = ${name}, function = ${self}${type}_ne, commutator = <>, negator = =);
create operator ${self}< (leftarg = ${name}, rightarg = ${name}, function = ${self}${type}_lt, commutator = >, negator = >=);
create operator ${self}<= (leftarg = ${name}, rightarg = ${name}, function = ${self}${type}_le, commutator = >=, negator = >);
create operator ${self}> (leftarg = ${name}, rightarg = ${name}, function = ${self}${type}_gt, commutator = <, negator = <=);
create operator ${self}>= (leftarg = ${name}, rightarg = ${name}, function = ${self}${type}_ge, commutator = <=, negator = <);
create function ${self}${type}_cmp(${name}, ${name}) returns integer language sql immutable strict parallel safe as $$
  select btarraycmp(${array("$1")}, ${array("$2")})
$$;
create function ${self}${type}_hash(${name}) returns integer language sql immutable strict parallel safe as $$
  select hash_array(${array("$1")})
$$;
create operator class ${self}${type}_ops default for type ${name} using btree as
  operator 1 ${self}<, operator 2 ${self}<=, operator 3 ${self}=, operator 4 ${self}>=, operator 5 ${self}>,
  function 1 ${self}${type}_cmp(${name}, ${name});
create operator class ${self}${type}_hash_ops default for type ${name} using hash as
  operator 1 ${self}=, function 1 ${self}${type}_hash(${name});
${
    ["l2", "ip", "cosine", "l1"].flatMap((kind) =>
      ["hnsw", ...(kind === "l1" ? [] : ["ivfflat"])].map((method) => `
create operator class ${self}${type}_${kind}_ops ${
        kind === "l2" && method === "ivfflat" ? "default" : ""
      } for type ${name} using ${method} as
  operator 1 ${self}=, function 1 ${self}${type}_hash(${name});`)
    ).join("")
  }
create function ${self}${type}_accum(float8[], ${name}) returns float8[] language sql immutable parallel safe as $$
  select case when $2 is null then $1
    when cardinality($1) = 0 then array[1::float8] || ${array("$2")}
    else array[$1[1] + 1] || array(select x + y from ${self}pairs($1[2:], ${array("$2")}) as pair (x, y)) end
$$;
create function ${self}${type}_avg(float8[]) returns ${name} language sql immutable strict parallel safe as $$
  select case when cardinality($1) = 0 then null else ${self}${type}_of(array(select x / $1[1] from unnest($1[2:]) as x)) end
$$;
create function ${self}${type}_sum(float8[]) returns ${name} language sql immutable strict parallel safe as $$
  select case when cardinality($1) = 0 then null else ${self}${type}_of($1[2:]) end
$$;
create aggregate ${self}avg(${name}) (sfunc = ${self}${type}_accum, stype = float8[], initcond = '{}', finalfunc = ${self}${type}_avg);
create aggregate ${self}sum(${name}) (sfunc = ${self}${type}_accum, stype = float8[], initcond = '{}', finalfunc = ${self}${type}_sum);
`;
}

/** Functions and operators on `bit`, for vectors of one bit for each dimension. */
const BITS = `
create function @extschema@.binary_quantize(@extschema@.vector) returns bit language plpgsql immutable strict parallel safe as $$
begin
  return (select string_agg(case when x > 0 then '1' else '0' end, '' order by at)
    from unnest(@extschema@.vector_to_float8($1)) with ordinality as list (x, at));
end $$;
create function @extschema@.binary_quantize(@extschema@.halfvec) returns bit language plpgsql immutable strict parallel safe as $$
begin
  return @extschema@.binary_quantize($1::@extschema@.vector);
end $$;
create function @extschema@.hamming_distance(bit, bit) returns double precision language sql immutable strict parallel safe as $$
  select bit_count($1 # $2)::double precision
$$;
create function @extschema@.jaccard_distance(bit, bit) returns double precision language sql immutable strict parallel safe as $$
  select case when bit_count($1 & $2) = 0 then 1 else 1 - bit_count($1 & $2)::double precision / bit_count($1 | $2) end
$$;
create function @extschema@.bit_hash(bit) returns integer language sql immutable strict parallel safe as 'select hashtext($1::text)';
create operator @extschema@.<~> (leftarg = bit, rightarg = bit, function = @extschema@.hamming_distance, commutator = '<~>');
create operator @extschema@.<%> (leftarg = bit, rightarg = bit, function = @extschema@.jaccard_distance, commutator = '<%>');
create operator class @extschema@.bit_hamming_ops for type bit using hnsw as operator 1 =, function 1 @extschema@.bit_hash(bit);
create operator class @extschema@.bit_hamming_ops for type bit using ivfflat as operator 1 =, function 1 @extschema@.bit_hash(bit);
create operator class @extschema@.bit_jaccard_ops for type bit using hnsw as operator 1 =, function 1 @extschema@.bit_hash(bit);
`;

const SQL = `${SHARED_INPUT}
create function @extschema@.pairs(float8[], float8[]) returns table (x float8, y float8)
language plpgsql immutable strict parallel safe as $$
begin
  if cardinality($1) <> cardinality($2) then
    raise exception 'different vector dimensions % and %', cardinality($1), cardinality($2) using errcode = '22000';
  end if;
  return query select * from unnest($1, $2);
end $$;
create function @extschema@.hnswhandler(internal) returns index_am_handler language internal as 'hashhandler';
create function @extschema@.ivfflathandler(internal) returns index_am_handler language internal as 'hashhandler';
create access method hnsw type index handler @extschema@.hnswhandler;
create access method ivfflat type index handler @extschema@.ivfflathandler;
${typeOf("vector")}
${typeOf("halfvec")}
create function @extschema@.vector_to_halfvec(@extschema@.vector, integer, boolean) returns @extschema@.halfvec
language sql immutable strict parallel safe as 'select @extschema@.halfvec(($1::text)::@extschema@.halfvec, $2, $3)';
create cast (@extschema@.vector as @extschema@.halfvec)
  with function @extschema@.vector_to_halfvec(@extschema@.vector, integer, boolean) as assignment;
create function @extschema@.halfvec_to_vector(@extschema@.halfvec, integer, boolean) returns @extschema@.vector
language sql immutable strict parallel safe as 'select @extschema@.vector(($1::text)::@extschema@.vector, $2, $3)';
create cast (@extschema@.halfvec as @extschema@.vector)
  with function @extschema@.halfvec_to_vector(@extschema@.halfvec, integer, boolean) as implicit;
${SPARSEVEC}
${BITS}
`;

/** `vector`. */
export const VECTOR: SqlExtension = {
  name: "vector",
  version: "0.8.0",
  sql: SQL,
  note:
    "distances are computed in SQL, and its indexes do not speed up a search: results are exact, but slow on many rows",
};
