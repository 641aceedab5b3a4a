/**
 * Migrations and seed. Each is applied once and recorded as the Supabase CLI
 * records it, so that the commands of the CLI agree with this database.
 *
 * @module
 */
import postgres, { type Sql, type TransactionSql } from "postgres";
import { messageOf } from "../../shared/resilience/mod.ts";
import { StackError } from "../stack_error.ts";

/** The result of {@linkcode migrate}. */
export interface MigrationReport {
  /** The names of the files that were applied, in order. */
  readonly applied: readonly string[];
  /** Files that no longer match the database: one line each, with the fix. */
  readonly warnings: readonly string[];
}

/** An SQL file of a project. */
export interface SqlFile {
  /** The name, such as `20260101000000_budgets.sql`. */
  readonly name: string;
  /** The text. */
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
const RESET_HINT = "run with --reset to create the database again";

/**
 * Reads the migrations of a project, in the order of their names. Files whose names
 * do not begin with a version are ignored, as by the CLI.
 *
 * @param folder The `supabase` folder of the project.
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

/** Reads the seed of a project, if it has one. */
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

/** Creates the error for a file, with the line that Postgres reports. */
function sqlError(path: string, text: string, error: unknown): StackError {
  let location = path;
  if (error instanceof postgres.PostgresError && error.position) {
    location += `, line ${text.slice(0, Number(error.position) - 1).split("\n").length}`;
  }
  return new StackError(
    "MIGRATION_FAILED",
    `${location}: ${messageOf(error)}. The file was not applied: fix it, then start again.`,
    {
      cause: error,
    },
  );
}

/** Runs a file and records it in one transaction. */
async function apply(
  sql: Sql,
  path: string,
  text: string,
  record: (sql: TransactionSql) => Promise<unknown>,
): Promise<void> {
  try {
    await sql.begin(async (transaction) => {
      // Settings of a file must not affect later files.
      await transaction.unsafe(text).simple();
      await transaction.unsafe("reset all; reset role");
      await record(transaction);
    });
  } catch (error) {
    throw sqlError(path, text, error);
  }
}

/**
 * Applies the migrations that the database does not have, then the seed if none has
 * been applied. A file that changed after it was applied is not applied again, and
 * reported.
 *
 * @param sql A connection of the role that owns what the files create.
 * @throws {StackError} `MIGRATION_FAILED`, with the file, the line and the reason.
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
        `supabase/migrations/${name} was edited after it was applied: move the change to a new migration, or ${RESET_HINT}.`,
      );
    }
  }
  for (const version of known.keys()) {
    warnings.push(`Migration ${version} was applied, but its file is missing: restore it, or ${RESET_HINT}.`);
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
      warnings.push(`${SEED_PATH} was changed after it was applied: ${RESET_HINT}.`);
    }
  }
  return { applied, warnings };
}
