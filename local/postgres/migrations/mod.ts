/**
 * Migrations and seeds. Each is applied once and recorded as the Supabase CLI records it, so that the commands of the
 * CLI agree with this database.
 *
 * @module
 */
import type { Sql } from "postgres";
import { StackError } from "../../stack_error.ts";
import { SQL_EXTENSIONS } from "../extensions/catalog.ts";
import { RESET_HINT } from "./errors.ts";
import type { Migration, SqlFile, SqlFiles } from "./files.ts";
import { impliedExtensions } from "./implied.ts";
import { runFile } from "./runner.ts";
import { splitStatements, type Statement } from "./split.ts";

export { readSqlFiles, type SqlFiles } from "./files.ts";

/** The result of {@linkcode migrate}. */
export interface MigrationReport {
  /** The names of the files that were applied, in order. */
  readonly applied: readonly string[];
  /** Files that no longer match the database, and extensions that are stand-ins: one line each. */
  readonly warnings: readonly string[];
}

// The first two are those of the CLI.
const RECORDS = `
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (
  version text not null primary key, statements text[], name text
);
create table if not exists supabase_migrations.seed_files (path text not null primary key, hash text not null);
create table if not exists supabase_migrations.applied_in_part (path text not null primary key, statements text[] not null);
`;

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const fileName = (path: string) => path.slice(path.lastIndexOf("/") + 1);

function sameTexts(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, index) => text === other[index]);
}

/** Rejects two migrations with one version: the CLI records one of them only. */
function checkVersions(migrations: readonly Migration[]): void {
  const seen = new Map<string, string>();
  for (const { version, path } of migrations) {
    const other = seen.get(version);
    if (other !== undefined) {
      throw new StackError(
        "MIGRATION_FAILED",
        `${other} and ${fileName(path)} have the same version, ${version}: give one of them another.`,
      );
    }
    seen.set(version, path);
  }
}

/** Applies files to one database. */
class Migrator {
  readonly applied: string[] = [];
  readonly warnings: string[] = [];
  readonly #sql: Sql;
  readonly #parts = new Map<string, readonly string[]>();

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  async prepare(): Promise<void> {
    await this.#sql.unsafe(`set session authorization postgres; ${RECORDS}`).simple();
    const rows = await this.#sql<{ path: string; statements: string[] }[]>`
      select path, statements from supabase_migrations.applied_in_part`;
    for (const { path, statements } of rows) this.#parts.set(path, statements);
  }

  async apply(file: SqlFile, record: (sql: Sql, statements: string[]) => Promise<unknown>): Promise<void> {
    const statements = splitStatements(file.text);
    await runFile(this.#sql, {
      file,
      statements,
      from: this.#resumeAt(file, statements),
      record: (sql) => record(sql, statements.map(({ text }) => text)),
    });
    this.applied.push(fileName(file.path));
  }

  /** Returns the number of statements that an earlier start committed before one failed. */
  #resumeAt(file: SqlFile, statements: readonly Statement[]): number {
    const part = this.#parts.get(file.path);
    if (part === undefined) return 0;
    if (sameTexts(part, statements.slice(0, part.length).map(({ text }) => text))) return part.length;
    throw new StackError(
      "MIGRATION_FAILED",
      `${file.path} was applied in part, and its first ${part.length} statements were edited since: restore them, or ` +
        `${RESET_HINT}.`,
    );
  }

  async migrations(migrations: readonly Migration[]): Promise<void> {
    checkVersions(migrations);
    const rows = await this.#sql<{ version: string; statements: string[] | null }[]>`
      select version, statements from supabase_migrations.schema_migrations order by version`;
    const recorded = new Map(rows.map(({ version, statements }) => [version, statements]));
    for (const migration of migrations) {
      const { version, name, path, text } = migration;
      if (!recorded.has(version)) {
        await this.apply(
          migration,
          (sql, statements) =>
            sql`insert into supabase_migrations.schema_migrations (version, name, statements)
            values (${version}, ${name}, ${statements})`,
        );
        continue;
      }
      const statements = recorded.get(version);
      recorded.delete(version);
      // The CLI records no statements for a version of `migration repair`; one text is that of an earlier version.
      const same = !statements || statements.join("") === text ||
        sameTexts(statements, splitStatements(text).map((statement) => statement.text));
      if (!same) {
        this.warnings.push(
          `${path} was edited after it was applied: move the change to a new migration, or ${RESET_HINT}.`,
        );
      }
    }
    for (const version of recorded.keys()) {
      this.warnings.push(`Migration ${version} was applied, but its file is missing: restore it, or ${RESET_HINT}.`);
    }
  }

  /** Applies a file without a version, whose hash is recorded. */
  async once(file: SqlFile): Promise<void> {
    const hash = await sha256(file.text);
    const [row] = await this.#sql<{ hash: string }[]>`
      select hash from supabase_migrations.seed_files where path = ${file.path}`;
    if (!row) {
      await this.apply(
        file,
        (sql) => sql`insert into supabase_migrations.seed_files (path, hash) values (${file.path}, ${hash})`,
      );
    } else if (row.hash !== hash) {
      this.warnings.push(`${file.path} was changed after it was applied: ${RESET_HINT}.`);
    }
  }

  /** Creates the extensions that the files use but do not create. */
  async extensions(files: readonly SqlFile[]): Promise<void> {
    for (const name of impliedExtensions(files)) {
      const [found] = await this.#sql`select 1 from pg_extension where extname = ${name}`;
      if (found) continue;
      const schema = SQL_EXTENSIONS.find((extension) => extension.name === name)?.schema;
      await this.#sql.unsafe(
        `set session authorization postgres; create extension "${name}" ${schema ? "" : "schema extensions"} cascade`,
      ).simple();
      this.warnings.push(
        `The extension ${name} is used, but no migration creates it: it was created here, as if it had been enabled in ` +
          `the dashboard. Add a migration with create extension if not exists ${name}.`,
      );
    }
  }

  /** Warns of the extensions that are stand-ins. */
  async standIns(): Promise<void> {
    const rows = await this.#sql<{ extname: string }[]>`select extname from pg_extension`;
    for (const { name, note } of SQL_EXTENSIONS) {
      if (note === undefined || !rows.some(({ extname }) => extname === name)) continue;
      this.warnings.push(`The extension ${name} is a stand-in: ${note}.`);
    }
  }
}

/**
 * Applies what the database does not have: the roles and extensions of a new one, migrations, seeds. A file that changed
 * after it was applied is not applied again, and reported.
 *
 * @param sql A connection of the superuser, with `max: 1`. The files run as `postgres`.
 * @throws {StackError} `MIGRATION_FAILED`, with the file, the line, the statement and the reason.
 */
export async function migrate(sql: Sql, files: SqlFiles): Promise<MigrationReport> {
  const migrator = new Migrator(sql);
  await migrator.prepare();
  if (files.roles !== undefined) await migrator.once(files.roles);
  await migrator.extensions([...files.migrations, ...files.seeds]);
  await migrator.migrations(files.migrations);
  for (const seed of files.seeds) await migrator.once(seed);
  await migrator.standIns();
  return { applied: migrator.applied, warnings: [...files.warnings, ...migrator.warnings] };
}
