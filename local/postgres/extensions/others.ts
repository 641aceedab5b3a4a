/**
 * Extensions that the local stack refuses, or whose creation has no effect.
 *
 * @module
 */
import { inert, refused, type SqlExtension } from "./extension.ts";

const ELSEWHERE = "Comment the statement out for local runs, or run this project with the Supabase CLI and Docker.";
const POSTGIS = "Geometry types need binaries that the local stack does not have. " + ELSEWHERE;

const PG_GRAPHQL: SqlExtension = {
  name: "pg_graphql",
  version: "1.5.11",
  schema: "graphql",
  sql: `
create function graphql.resolve(
  query text, variables jsonb default '{}', "operationName" text default null, extensions jsonb default null
) returns jsonb language sql as $$
  select '{"errors": [{"message": "GraphQL is not part of the local stack: use the Data API."}]}'::jsonb
$$;
grant usage on schema graphql to postgres, anon, authenticated, service_role;
grant execute on all functions in schema graphql to postgres, anon, authenticated, service_role;
`,
};

const PG_JSONSCHEMA: SqlExtension = {
  name: "pg_jsonschema",
  version: "0.3.3",
  note: "documents are accepted without a check against their schema",
  sql: `
create function @extschema@.json_matches_schema(schema json, instance json) returns boolean language sql immutable strict as
  'select true';
create function @extschema@.jsonb_matches_schema(schema json, instance jsonb) returns boolean language sql immutable strict as
  'select true';
create function @extschema@.jsonschema_is_valid(schema json) returns boolean language sql immutable strict as
  'select json_typeof(schema) in (''object'', ''boolean'')';
create function @extschema@.jsonschema_validation_errors(schema json, instance json) returns text[]
language sql immutable strict as 'select array[]::text[]';
`,
};

const HYPOPG: SqlExtension = {
  name: "hypopg",
  version: "1.4.1",
  note: "hypothetical indexes are not created",
  sql: `
create function @extschema@.hypopg_create_index(sql_order text, out indexrelid oid, out indexname text) returns setof record
language sql as 'select null::oid, null::text where false';
create function @extschema@.hypopg_reset() returns void language sql as '';
create function @extschema@.hypopg_drop_index(indexid oid) returns boolean language sql as 'select false';
`,
};

const INDEX_ADVISOR: SqlExtension = {
  name: "index_advisor",
  version: "0.2.0",
  requires: ["hypopg"],
  note: "it recommends no indexes",
  sql: `
create function @extschema@.index_advisor(query text) returns table (
  startup_cost_before jsonb, startup_cost_after jsonb, total_cost_before jsonb, total_cost_after jsonb,
  index_statements text[], errors text[]
) language sql as $$
  select null::jsonb, null::jsonb, null::jsonb, null::jsonb, array[]::text[],
    array['index_advisor is a stand-in in the local stack']
$$;
`,
};

/** The extensions. */
export const OTHERS: readonly SqlExtension[] = [
  PG_GRAPHQL,
  PG_JSONSCHEMA,
  HYPOPG,
  INDEX_ADVISOR,
  inert("pgaudit", "17.0", "statements are not audited"),
  inert("pg_repack", "1.5.2", "it has no effect"),
  inert("pg_stat_monitor", "2.1", "statements are not monitored: use pg_stat_statements"),
  inert("pg_tle", "1.4.0", "extensions in trusted languages cannot be installed"),
  inert("plpgsql_check", "2.7", "functions are not checked"),
  inert("pg_hashids", "1.3", "its functions are missing"),
  inert("pg_partman", "5.2.4", "partitions are not maintained"),
  refused("postgis_raster", "3.3.7", POSTGIS),
  refused("postgis_sfcgal", "3.3.7", POSTGIS),
  refused("postgis_topology", "3.3.7", POSTGIS),
  refused("postgis_tiger_geocoder", "3.3.7", POSTGIS),
  refused("address_standardizer", "3.3.7", POSTGIS),
  refused("address_standardizer_data_us", "3.3.7", POSTGIS),
  refused("pgrouting", "3.4.1", POSTGIS),
  refused("plv8", "3.1.10", `Functions in JavaScript need binaries that the local stack does not have. ${ELSEWHERE}`),
  refused("wrappers", "0.5.0", `Foreign data wrappers need binaries that the local stack does not have. ${ELSEWHERE}`),
  refused("timescaledb", "2.16.1", `Hypertables need binaries that the local stack does not have. ${ELSEWHERE}`),
  refused("pgroonga", "3.2.5", `Its indexes need binaries that the local stack does not have. ${ELSEWHERE}`),
  refused("pgroonga_database", "3.2.5", `Its indexes need binaries that the local stack does not have. ${ELSEWHERE}`),
  refused("rum", "1.3", `Its indexes need binaries that the local stack does not have: use GIN locally. ${ELSEWHERE}`),
  refused("pgtap", "1.3.3", `Tests of the database need binaries that the local stack does not have. ${ELSEWHERE}`),
];
