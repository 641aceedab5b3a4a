/**
 * Migrations and seed, applied once each and recorded as the Supabase CLI
 * records them, so that its commands agree with what was done here.
 *
 * @module
 */
import postgres, { type Sql, type TransactionSql } from "postgres";
import { messageOf, StackFault } from "../fault.ts";

/** What {@linkcode migrate} did. */
export interface MigrationReport {
  /** Names of the files applied now, in order. */
  readonly applied: readonly string[];
  /** What no longer agrees with the database, each one line with its remedy. */
  readonly warnings: readonly string[];
}

/** One file of a project. */
export interface SqlFile {
  /** Its name, as in `20260101000000_budgets.sql`. */
  readonly name: string;
  /** Its text. */
  readonly text: string;
}

const RECORDS = `
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (
  version text not null primary key, statements text[], name text
);
create table if not exists supabase_migrations.seed_files (path text not null primary key, hash text not null);
`;

const MIGRATION = /^(\d+)_(.*)\.sql$/;
const SEED_PATH = "supabase/seed.sql";
const REMEDY = "run with --reset to build the database afresh";

/**
 * The project's migrations, in the order of their names.
 *
 * @param folder The project's `supabase` folder.
 * @returns Files whose names do not begin with a version are left out, as the CLI does.
 */
export async function readMigrations(folder: string): Promise<SqlFile[]> {
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(`${folder}/migrations`)) {
      if (!entry.isDirectory && MIGRATION.test(entry.name)) names.push(entry.name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  names.sort();
  return await Promise.all(
    names.map(async (name) => ({ name, text: await Deno.readTextFile(`${folder}/migrations/${name}`) })),
  );
}

/** The project's seed, if it has one. */
export async function readSeed(folder: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(`${folder}/seed.sql`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What failed in a file, with the line that Postgres points at. */
function sqlFault(path: string, text: string, error: unknown): StackFault {
  let place = path;
  if (error instanceof postgres.PostgresError && error.position) {
    place += `, line ${text.slice(0, Number(error.position) - 1).split("\n").length}`;
  }
  return new StackFault(
    "MIGRATION_FAILED",
    `${place}: ${messageOf(error)}; nothing of it was applied: correct it, then start again.`,
    {
      cause: error,
    },
  );
}

/** Runs a file and records it, together or not at all. */
async function apply(
  sql: Sql,
  path: string,
  text: string,
  record: (sql: TransactionSql) => Promise<unknown>,
): Promise<void> {
  try {
    await sql.begin(async (transaction) => {
      // A file may set what a later one must not see.
      await transaction.unsafe(text).simple();
      await transaction.unsafe("reset all; reset role");
      await record(transaction);
    });
  } catch (error) {
    throw sqlFault(path, text, error);
  }
}

/**
 * Applies the migrations that the database has not seen, then the seed if it
 * has not seen one. A file that changed after it was applied is left alone
 * and reported.
 *
 * @param sql A connection as the role that shall own what the files make.
 * @throws {StackFault} `MIGRATION_FAILED`, naming file, line and reason.
 */
export async function migrate(
  sql: Sql,
  migrations: readonly SqlFile[],
  seed: string | undefined,
): Promise<MigrationReport> {
  await sql.unsafe(RECORDS).simple();
  const rows = await sql<{ version: string; statements: string[] | null }[]>`
    select version, statements from supabase_migrations.schema_migrations`;
  const known = new Map(rows.map(({ version, statements }) => [version, statements?.join("") ?? null]));
  const applied: string[] = [];
  const warnings: string[] = [];
  for (const { name, text } of migrations) {
    const [, version = "", title = ""] = MIGRATION.exec(name) ?? [];
    const recorded = known.get(version);
    known.delete(version);
    if (recorded === undefined) {
      await apply(sql, `supabase/migrations/${name}`, text, (transaction) =>
        transaction`
          insert into supabase_migrations.schema_migrations (version, statements, name)
          values (${version}, ${[text]}, ${title})`);
      applied.push(name);
    } else if (recorded !== null && recorded !== text) {
      warnings.push(
        `supabase/migrations/${name} was edited after it was applied: put the change into a new migration, or ${REMEDY}.`,
      );
    }
  }
  for (const version of known.keys()) {
    warnings.push(`Migration ${version} was applied, but its file is gone: bring it back, or ${REMEDY}.`);
  }
  if (seed !== undefined) {
    const hash = await sha256(seed);
    const [row] = await sql<{ hash: string }[]>`
      select hash from supabase_migrations.seed_files where path = ${SEED_PATH}`;
    if (!row) {
      await apply(
        sql,
        SEED_PATH,
        seed,
        (transaction) =>
          transaction`insert into supabase_migrations.seed_files (path, hash) values (${SEED_PATH}, ${hash})`,
      );
      applied.push("seed.sql");
    } else if (row.hash !== hash) {
      warnings.push(`${SEED_PATH} was changed after it was applied: ${REMEDY}.`);
    }
  }
  return { applied, warnings };
}
