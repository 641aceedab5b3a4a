/**
 * The type `sparsevec` of `vector`.
 *
 * @module
 */
import { createType } from "./vector_input.ts";

const NAME = "@extschema@.sparsevec";

const distance = (name: string, expression: string) => `
create function @extschema@.${name}(${NAME}, ${NAME}) returns double precision language sql immutable strict parallel safe as $$
  select ${expression} from @extschema@.sparse_pairs($1, $2) as pair (x, y)
$$;`;

const operator = (sign: string, name: string) => `
create operator @extschema@.${sign} (leftarg = ${NAME}, rightarg = ${NAME}, function = @extschema@.${name}, commutator = '${sign}');`;

/** The statements that create the type, its distances and its casts. A text stands for one value: they compare as text. */
export const SPARSEVEC = `${createType("sparsevec")}
create function ${NAME}_dims(${NAME}) returns integer language sql immutable strict parallel safe as $$
  select split_part($1::text, '/', 2)::integer
$$;
create function @extschema@.sparse_entries(${NAME}) returns table (index integer, value double precision)
language sql immutable strict parallel safe as $$
  select split_part(entry, ':', 1)::integer, split_part(entry, ':', 2)::double precision
  from unnest(string_to_array(nullif(substring($1::text from '\\{(.*)\\}'), ''), ',')) as entry
$$;
create function @extschema@.sparse_pairs(${NAME}, ${NAME}) returns table (x double precision, y double precision)
language plpgsql immutable strict parallel safe as $$
begin
  if ${NAME}_dims($1) <> ${NAME}_dims($2) then
    raise exception 'different sparsevec dimensions % and %', ${NAME}_dims($1), ${NAME}_dims($2) using errcode = '22000';
  end if;
  return query select coalesce(one.value, 0), coalesce(other.value, 0)
    from @extschema@.sparse_entries($1) as one full join @extschema@.sparse_entries($2) as other using (index);
end $$;
create function ${NAME}_to_float8(${NAME}) returns double precision[] language sql immutable strict parallel safe as $$
  select array(select coalesce(value, 0) from generate_series(1, ${NAME}_dims($1)) as at
    left join @extschema@.sparse_entries($1) as entries on index = at order by at)
$$;
${distance("l2_distance", "coalesce(sqrt(sum((x - y) ^ 2)), 0)")}
${distance("l1_distance", "coalesce(sum(abs(x - y)), 0)")}
${distance("inner_product", "coalesce(sum(x * y), 0)")}
${distance("sparsevec_negative_inner_product", "coalesce(-sum(x * y), 0)")}
${
  distance(
    "cosine_distance",
    "case when coalesce(sum(x * x), 0) = 0 or coalesce(sum(y * y), 0) = 0 then 'NaN'::float8 else " +
      "1 - greatest(-1, least(1, sum(x * y) / sqrt(sum(x * x) * sum(y * y)))) end",
  )
}
create function @extschema@.l2_norm(${NAME}) returns double precision language sql immutable strict parallel safe as $$
  select coalesce(sqrt(sum(value * value)), 0) from @extschema@.sparse_entries($1)
$$;
create function ${NAME}_eq(${NAME}, ${NAME}) returns boolean language sql immutable strict parallel safe as
  'select $1::text = $2::text';
create function ${NAME}_ne(${NAME}, ${NAME}) returns boolean language sql immutable strict parallel safe as
  'select $1::text <> $2::text';
create function ${NAME}_hash(${NAME}) returns integer language sql immutable strict parallel safe as
  'select hashtext($1::text)';
${operator("<->", "l2_distance")}${operator("<#>", "sparsevec_negative_inner_product")}
${operator("<=>", "cosine_distance")}${operator("<+>", "l1_distance")}
create operator @extschema@.= (leftarg = ${NAME}, rightarg = ${NAME}, function = ${NAME}_eq, commutator = =, negator = <>, hashes);
create operator @extschema@.<> (leftarg = ${NAME}, rightarg = ${NAME}, function = ${NAME}_ne, commutator = <>, negator = =);
create operator class ${NAME}_hash_ops default for type ${NAME} using hash as
  operator 1 @extschema@.=, function 1 ${NAME}_hash(${NAME});
${
  ["l2", "ip", "cosine", "l1"].map((kind) => `
create operator class ${NAME}_${kind}_ops for type ${NAME} using hnsw as
  operator 1 @extschema@.=, function 1 ${NAME}_hash(${NAME});`).join("")
}
${
  ["vector", "halfvec"].map((type) => `
create function @extschema@.${type}_to_sparsevec(@extschema@.${type}, integer, boolean) returns ${NAME}
language sql immutable strict parallel safe as $$
  select ${NAME}_of_array(@extschema@.${type}_to_float8($1), $2)
$$;
create cast (@extschema@.${type} as ${NAME})
  with function @extschema@.${type}_to_sparsevec(@extschema@.${type}, integer, boolean) as implicit;
create function ${NAME}_to_${type}(${NAME}, integer, boolean) returns @extschema@.${type}
language sql immutable strict parallel safe as $$
  select @extschema@.${type}_of_array(${NAME}_to_float8($1), $2)
$$;
create cast (${NAME} as @extschema@.${type})
  with function ${NAME}_to_${type}(${NAME}, integer, boolean) as assignment;`).join("")
}
`;
