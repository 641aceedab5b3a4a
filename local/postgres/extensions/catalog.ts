/**
 * The extensions of a hosted project that the local stack brings in SQL, and the rights on those that Postgres has.
 *
 * @module
 */
import { PG_CRON } from "./cron.ts";
import type { SqlExtension } from "./extension.ts";
import { HTTP, PG_NET } from "./net.ts";
import { OTHERS } from "./others.ts";
import { PGMQ } from "./pgmq.ts";
import { POSTGIS } from "./postgis.ts";
import { PGJWT, PGSODIUM, SUPABASE_VAULT } from "./vault.ts";
import { VECTOR } from "./vector.ts";

/** The extensions that the local stack brings. */
export const SQL_EXTENSIONS: readonly SqlExtension[] = [
  PG_CRON,
  PG_NET,
  HTTP,
  SUPABASE_VAULT,
  PGSODIUM,
  PGJWT,
  PGMQ,
  VECTOR,
  POSTGIS,
  ...OTHERS,
];

/** The extensions of Postgres that `postgres` may create on the hosted platform, but that only superusers may by default. */
export const PRIVILEGED_EXTENSIONS: readonly string[] = [
  "autoinc",
  "bloom",
  "dblink",
  "dict_xsyn",
  "earthdistance",
  "insert_username",
  "moddatetime",
  "pg_prewarm",
  "pg_stat_statements",
  "pg_walinspect",
  "pgrowlocks",
  "pgstattuple",
  "postgres_fdw",
  "refint",
  "sslinfo",
];

/** Statements that end the script of an extension of Postgres, with the rights that the hosted platform gives. */
export const EXTRA_RIGHTS: Readonly<Record<string, string>> = {
  postgres_fdw: "grant usage on foreign data wrapper postgres_fdw to postgres;",
  dblink: "grant usage on foreign data wrapper dblink_fdw to postgres;",
};
