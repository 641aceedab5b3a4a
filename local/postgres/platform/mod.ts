/**
 * The content of a Supabase database before the first migration: roles, schemas of the services, extensions.
 *
 * @module
 */
import type { Sql } from "postgres";
import type { Keys } from "../../keys.ts";
import { AUTH_RIGHTS, AUTH_TABLES } from "./auth.ts";
import { REALTIME } from "./realtime.ts";
import { REVOKE_API_DEFAULTS, ROLES } from "./roles.ts";
import { SERVICES } from "./services.ts";
import { STORAGE } from "./storage.ts";

/*
 * The extensions that a new project has. They belong to `postgres`, who may comment on them and drop them.
 */
const EXTENSIONS = `
set local session authorization postgres;
create extension "uuid-ossp" schema extensions;
create extension pgcrypto schema extensions;
create extension pg_stat_statements schema extensions;
create extension supabase_vault;
create extension pg_graphql;
set local session authorization default;
`;

/** Options for {@linkcode prepareDatabase}. */
export interface PlatformOptions {
  /** `true`: the API roles may use what `postgres` creates in `public`. Default: `true`. */
  readonly autoExposeNewTables?: boolean;
}

/**
 * Creates the roles, schemas and extensions of a hosted project in a new database, and sets the passwords of the roles.
 * Does nothing in a database that has them.
 *
 * @param sql A connection of the superuser.
 * @returns Whether the database was new.
 */
export async function prepareDatabase(sql: Sql, keys: Keys, options: PlatformOptions = {}): Promise<boolean> {
  const [found] = await sql`select 1 from pg_roles where rolname = 'authenticator'`;
  if (found) return false;
  const { autoExposeNewTables = true } = options;
  await sql.begin(async (transaction) => {
    await transaction.unsafe([
      ROLES,
      // Generated passwords are base64url: they need no escaping.
      `alter role postgres password '${keys.databasePassword}';`,
      `alter role authenticator password '${keys.authenticatorPassword}';`,
      AUTH_TABLES,
      AUTH_RIGHTS,
      STORAGE,
      REALTIME,
      SERVICES,
      EXTENSIONS,
      autoExposeNewTables ? "" : REVOKE_API_DEFAULTS,
    ].join("\n")).simple();
  });
  return true;
}
