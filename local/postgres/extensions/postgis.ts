/**
 * `postgis`, for points: they are most of what applications keep.
 *
 * @module
 */
import type { SqlExtension } from "./extension.ts";

const TYPES = ["geometry", "geography"] as const;

/*
 * A value is kept as its text, such as SRID=4326;POINT(13.4 52.5). Types of columns lose their parameters, and indexes
 * on them are left out: see `rewrite.ts` and `runner.ts`. Distances of `geography` are those on a sphere.
 */
const SQL = `
${
  TYPES.map((type) => `
create type @extschema@.${type};
create function @extschema@.${type}_in(cstring) returns @extschema@.${type} language internal immutable strict parallel safe as 'textin';
create function @extschema@.${type}_out(@extschema@.${type}) returns cstring language internal immutable strict parallel safe as 'textout';
create type @extschema@.${type} (input = @extschema@.${type}_in, output = @extschema@.${type}_out, storage = extended);
create function @extschema@.local_coordinates(@extschema@.${type}) returns float8[] language plpgsql immutable strict parallel safe as $$
declare
  found text[] := regexp_match($1::text, '^\\s*(?:SRID=\\d+;)?\\s*POINT\\s*Z?\\s*\\(\\s*(\\S+)\\s+([^\\s)]+)', 'i');
begin
  if found is null then
    raise exception 'the extension "postgis" is a stand-in in the local stack, for points only: %', left($1::text, 40)
      using errcode = '0A000';
  end if;
  return found::float8[];
end $$;
create function @extschema@.st_srid(@extschema@.${type}) returns integer language sql immutable strict parallel safe as $$
  select coalesce(substring($1::text from 'SRID=(\\d+)')::integer, ${type === "geography" ? 4326 : 0})
$$;
create function @extschema@.st_astext(@extschema@.${type}) returns text language sql immutable strict parallel safe as $$
  select regexp_replace($1::text, '^\\s*SRID=\\d+;', '')
$$;
create function @extschema@.st_asewkt(@extschema@.${type}) returns text language sql immutable strict parallel safe as 'select $1::text';
create function @extschema@.st_asgeojson(@extschema@.${type}, maxdecimaldigits integer default 9, options integer default 8)
returns text language sql immutable strict parallel safe as $$
  select json_build_object('type', 'Point', 'coordinates', @extschema@.local_coordinates($1))::text
$$;
`).join("")
}
create cast (@extschema@.geometry as @extschema@.geography) with inout as implicit;
create cast (@extschema@.geography as @extschema@.geometry) with inout;
create cast (text as @extschema@.geometry) with inout as implicit;
create function @extschema@.st_makepoint(float8, float8) returns @extschema@.geometry language sql immutable strict parallel safe as $$
  select format('POINT(%s %s)', $1, $2)::@extschema@.geometry
$$;
create function @extschema@.st_point(float8, float8) returns @extschema@.geometry language sql immutable strict parallel safe as
  'select @extschema@.st_makepoint($1, $2)';
create function @extschema@.st_setsrid(@extschema@.geometry, integer) returns @extschema@.geometry
language sql immutable strict parallel safe as $$
  select format('SRID=%s;%s', $2, @extschema@.st_astext($1))::@extschema@.geometry
$$;
create function @extschema@.st_point(float8, float8, integer) returns @extschema@.geometry language sql immutable strict parallel safe as
  'select @extschema@.st_setsrid(@extschema@.st_makepoint($1, $2), $3)';
create function @extschema@.st_transform(@extschema@.geometry, integer) returns @extschema@.geometry
language sql immutable strict parallel safe as 'select @extschema@.st_setsrid($1, $2)';
create function @extschema@.st_geomfromtext(text) returns @extschema@.geometry language sql immutable strict parallel safe as
  'select $1::@extschema@.geometry';
create function @extschema@.st_geomfromtext(text, integer) returns @extschema@.geometry language sql immutable strict parallel safe as
  'select @extschema@.st_setsrid($1::@extschema@.geometry, $2)';
create function @extschema@.st_geogfromtext(text) returns @extschema@.geography language sql immutable strict parallel safe as
  'select $1::@extschema@.geometry::@extschema@.geography';
create function @extschema@.st_geographyfromtext(text) returns @extschema@.geography language sql immutable strict parallel safe as
  'select $1::@extschema@.geometry::@extschema@.geography';
create function @extschema@.st_geomfromgeojson(text) returns @extschema@.geometry language sql immutable strict parallel safe as $$
  select @extschema@.st_point(($1::json -> 'coordinates' ->> 0)::float8, ($1::json -> 'coordinates' ->> 1)::float8, 4326)
$$;
create function @extschema@.st_geomfromgeojson(jsonb) returns @extschema@.geometry language sql immutable strict parallel safe as
  'select @extschema@.st_geomfromgeojson($1::text)';
create function @extschema@.st_x(@extschema@.geometry) returns float8 language sql immutable strict parallel safe as
  'select (@extschema@.local_coordinates($1))[1]';
create function @extschema@.st_y(@extschema@.geometry) returns float8 language sql immutable strict parallel safe as
  'select (@extschema@.local_coordinates($1))[2]';
create function @extschema@.st_distancesphere(@extschema@.geometry, @extschema@.geometry) returns float8
language sql immutable strict parallel safe as $$
  select 2 * 6371008.7714 * asin(least(1, sqrt(
    sind((b[2] - a[2]) / 2) ^ 2 + cosd(a[2]) * cosd(b[2]) * sind((b[1] - a[1]) / 2) ^ 2)))
  from (select @extschema@.local_coordinates($1) as a, @extschema@.local_coordinates($2) as b) as points
$$;
create function @extschema@.st_distance(@extschema@.geography, @extschema@.geography, use_spheroid boolean default true)
returns float8 language sql immutable strict parallel safe as
  'select @extschema@.st_distancesphere($1::@extschema@.geometry, $2::@extschema@.geometry)';
create function @extschema@.st_distance(@extschema@.geometry, @extschema@.geometry) returns float8
language sql immutable strict parallel safe as $$
  select sqrt((a[1] - b[1]) ^ 2 + (a[2] - b[2]) ^ 2)
  from (select @extschema@.local_coordinates($1) as a, @extschema@.local_coordinates($2) as b) as points
$$;
create function @extschema@.st_dwithin(@extschema@.geography, @extschema@.geography, float8, use_spheroid boolean default true)
returns boolean language sql immutable strict parallel safe as 'select @extschema@.st_distance($1, $2) <= $3';
create function @extschema@.st_dwithin(@extschema@.geometry, @extschema@.geometry, float8) returns boolean
language sql immutable strict parallel safe as 'select @extschema@.st_distance($1, $2) <= $3';
create operator @extschema@.<-> (leftarg = @extschema@.geometry, rightarg = @extschema@.geometry,
  function = @extschema@.st_distance, commutator = '<->');
create function @extschema@.geography_distance(@extschema@.geography, @extschema@.geography) returns float8
language sql immutable strict parallel safe as 'select @extschema@.st_distance($1, $2)';
create operator @extschema@.<-> (leftarg = @extschema@.geography, rightarg = @extschema@.geography,
  function = @extschema@.geography_distance, commutator = '<->');
create function @extschema@.postgis_version() returns text language sql immutable as $$ select '3.3 stand-in' $$;
create table @extschema@.spatial_ref_sys (
  srid integer primary key, auth_name varchar(256), auth_srid integer, srtext varchar(2048), proj4text varchar(2048)
);
insert into @extschema@.spatial_ref_sys values (4326, 'EPSG', 4326, null, '+proj=longlat +datum=WGS84 +no_defs');
grant select on @extschema@.spatial_ref_sys to public;
`;

/** `postgis`. */
export const POSTGIS: SqlExtension = {
  name: "postgis",
  version: "3.3.7",
  sql: SQL,
  note: "points work, with distances on a sphere; other shapes are kept as text, and spatial indexes are left out",
};
