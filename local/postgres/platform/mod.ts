/**
 * The content of a Supabase database before the first migration: roles, schemas of the services, extensions.
 *
 * @module
 */
import type { Sql } from "postgres";
import type { Keys } from "../../keys.ts";
import { StackError } from "../../stack_error.ts";
import { SUPERUSER } from "../server.ts";
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

/**
 * The version of what {@linkcode prepareDatabase} creates. A change that the services of the stack need, such as a role
 * or a table, increments it: data with a lower version is refused.
 */
export const PLATFORM_VERSION = 1;

/** The scripts of {@linkcode prepareDatabase}, in order. */
export const PLATFORM_SCRIPTS: readonly string[] = [
  ROLES,
  AUTH_TABLES,
  AUTH_RIGHTS,
  STORAGE,
  REALTIME,
  SERVICES,
  EXTENSIONS,
];

const MARK = "local stack, platform version ";

/** Records the version in the comment on the superuser, whom no project uses. */
const RECORD_VERSION = `comment on role ${SUPERUSER} is '${MARK}${PLATFORM_VERSION}';`;

/**
 * Returns the version of the data; `undefined` for a new database.
 *
 * Data without a version has the first one, or is from before there was a role for each service.
 */
async function findVersion(sql: Sql): Promise<number | undefined> {
  const [row] = await sql<{ prepared: boolean; services: boolean; mark: string | null }[]>`
    select exists (select from pg_roles where rolname = 'authenticator') as prepared,
      exists (select from pg_roles where rolname = 'supabase_auth_admin') as services,
      shobj_description(${SUPERUSER}::regrole, 'pg_authid') as mark`;
  if (!row?.prepared) return undefined;
  if (row.mark?.startsWith(MARK)) return Number(row.mark.slice(MARK.length));
  return row.services ? 1 : 0;
}

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
 * @throws {StackError} `DATA_OUTDATED` if another version of the stack created the database.
 */
export async function prepareDatabase(sql: Sql, keys: Keys, options: PlatformOptions = {}): Promise<boolean> {
  const version = await findVersion(sql);
  if (version === PLATFORM_VERSION) return false;
  if (version !== undefined) {
    const relation = version < PLATFORM_VERSION ? "an earlier" : "a later";
    throw new StackError(
      "DATA_OUTDATED",
      `The local data was created by ${relation} version of the local stack, with other roles and schemas: run with ` +
        "--reset to create the database again from the migrations and seeds. Rows that only it has are deleted: start " +
        "that version to save them.",
    );
  }
  const { autoExposeNewTables = true } = options;
  await sql.begin(async (transaction) => {
    await transaction.unsafe([
      ...PLATFORM_SCRIPTS,
      // Generated passwords are base64url: they need no escaping.
      `alter role postgres password '${keys.databasePassword}';`,
      `alter role authenticator password '${keys.authenticatorPassword}';`,
      RECORD_VERSION,
      autoExposeNewTables ? "" : REVOKE_API_DEFAULTS,
    ].join("\n")).simple();
  });
  return true;
}
