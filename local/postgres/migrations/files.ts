/**
 * The SQL files of a project.
 *
 * @module
 */
import { matchesPath } from "./match_path.ts";
import type { ProjectConfig } from "../../config/mod.ts";
import { StackError } from "../../stack_error.ts";

/** An SQL file of a project. */
export interface SqlFile {
  /** The path from the folder of the project, such as `supabase/migrations/20260101000000_budgets.sql`. */
  readonly path: string;
  /** The text. */
  readonly text: string;
}

/** A migration. */
export interface Migration extends SqlFile {
  /** The digits that its name begins with. */
  readonly version: string;
  /** The rest of its name. */
  readonly name: string;
}

/** The files that the stack applies. */
export interface SqlFiles {
  /** `supabase/roles.sql`, which comes before the migrations of a new database. */
  readonly roles?: SqlFile;
  /** The migrations, in order. */
  readonly migrations: readonly Migration[];
  /** The seeds, in order. */
  readonly seeds: readonly SqlFile[];
  /** Files that are left out: one line each, with the reason. */
  readonly warnings: readonly string[];
}

const MIGRATION = /^([0-9]+)_(.*)\.sql$/;
/** The CLI wrote these migrations itself before this time, and skips them since. */
const INITIAL = /^([0-9]{14})_init\.sql$/;
const INITIAL_BEFORE = 20211209000000;

/** Returns the version and the name that a file name has; `undefined` if it is not that of a migration. */
export function parseMigrationName(fileName: string): { version: string; name: string } | undefined {
  const [, version, name] = MIGRATION.exec(fileName) ?? [];
  return version === undefined || name === undefined ? undefined : { version, name };
}

const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/**
 * Reads a file.
 *
 * @param path The path from the folder of the project.
 * @param warnings The list that a warning is added to.
 * @throws {StackError} `MIGRATION_FAILED` if it holds what Postgres cannot store: it would be replaced silently.
 */
async function readSql(root: string, path: string, warnings: string[]): Promise<SqlFile> {
  const bytes = await Deno.readFile(`${root}/${path}`);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new StackError("MIGRATION_FAILED", `${path} is not encoded in UTF-8: save it as UTF-8.`);
  }
  if (text.includes("\0")) {
    throw new StackError(
      "MIGRATION_FAILED",
      `${path} contains a NUL character (U+0000), which Postgres cannot store: remove it, or save the file as UTF-8 if ` +
        "it is encoded in UTF-16.",
    );
  }
  if (BYTE_ORDER_MARK.every((byte, index) => bytes[index] === byte)) {
    warnings.push(
      `${path} begins with a byte order mark, on which a migration by the Supabase CLI fails: save it as UTF-8 without one.`,
    );
  }
  return { path, text };
}

async function readIfPresent(root: string, path: string, warnings: string[]): Promise<SqlFile | undefined> {
  try {
    return await readSql(root, path, warnings);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw error;
  }
}

const rootOf = (folder: string) => folder.replace(/\/supabase$/, "");

async function namesIn(folder: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return [];
    throw error;
  }
}

/**
 * Reads the migrations of a project, in the order of their names. Files whose names the CLI does not accept are left
 * out, as the CLI does, with a warning.
 *
 * @param folder The `supabase` folder of the project.
 */
export async function readMigrations(folder: string): Promise<{ migrations: Migration[]; warnings: string[] }> {
  const files = (await namesIn(`${folder}/migrations`)).filter((entry) => !entry.isDirectory).map(({ name }) => name);
  files.sort();
  const migrations: Migration[] = [];
  const skipped: string[] = [];
  const warnings: string[] = [];
  for (const [index, fileName] of files.entries()) {
    const [, time] = INITIAL.exec(fileName) ?? [];
    const parsed = parseMigrationName(fileName);
    if (index === 0 && time !== undefined && Number(time) < INITIAL_BEFORE) {
      warnings.push(
        `supabase/migrations/${fileName} is not applied, as by the Supabase CLI: name it other than "init" to apply it.`,
      );
    } else if (parsed) {
      const path = `supabase/migrations/${fileName}`;
      migrations.push({ ...parsed, ...await readSql(rootOf(folder), path, warnings) });
    } else if (/\.sql/i.test(fileName)) skipped.push(fileName);
  }
  if (skipped.length > 0) {
    const [names, them] = [skipped.join(", "), skipped.length === 1 ? "it" : "them"];
    warnings.push(
      `supabase/migrations: ${names} ${
        skipped.length === 1 ? "is" : "are"
      } not applied, as by the Supabase CLI: name ` +
        `${them} <timestamp>_<name>.sql to apply ${them}.`,
    );
  }
  return { migrations, warnings };
}

async function filesBelow(folder: string, below = ""): Promise<string[]> {
  const found: string[] = [];
  for (const { name, isDirectory } of await namesIn(`${folder}/${below}`)) {
    if (isDirectory) {
      if (name !== "node_modules" && name !== ".git") found.push(...await filesBelow(folder, `${below}${name}/`));
    } else found.push(below + name);
  }
  return found.sort();
}

/**
 * Reads the files that `patterns` name, each once, in the order of the patterns and of their names.
 *
 * @param folder The `supabase` folder of the project, which patterns are relative to.
 * @param setting The setting that the patterns are from, for warnings.
 */
export async function readPatterns(
  folder: string,
  patterns: readonly string[],
  setting: string,
): Promise<{ files: SqlFile[]; warnings: string[] }> {
  const files = new Map<string, SqlFile>();
  const warnings: string[] = [];
  for (const pattern of patterns) {
    const parts: string[] = [];
    // Relative to the project, because a pattern may leave the folder `supabase`.
    for (const part of `supabase/${pattern}`.split("/")) {
      if (part === "..") parts.pop();
      else if (part !== "." && part !== "") parts.push(part);
    }
    const root = rootOf(folder);
    const path = parts.join("/");
    const fixed = path.slice(0, path.search(/[*?[\\]|$/));
    const base = fixed.slice(0, fixed.lastIndexOf("/") + 1);
    const names = fixed === path ? [path] : (await filesBelow(root, base)).filter((name) => matchesPath(path, name));
    let matched = 0;
    for (const name of names) {
      if (fixed === path && (await Deno.stat(`${root}/${name}`).catch(() => undefined))?.isDirectory) {
        throw new StackError(
          "CONFIG_INVALID",
          `supabase/config.toml: ${setting} names ${pattern}, which is a folder: name its files, such as ` +
            `${pattern.replace(/\/$/, "")}/*.sql.`,
        );
      }
      const file = files.get(name) ?? await readIfPresent(root, name, warnings);
      if (file === undefined) continue;
      matched++;
      files.set(name, file);
    }
    // The template of the CLI names a seed that need not exist.
    if (matched === 0 && !/^(\.\/)?seed\.sql$/.test(pattern)) {
      warnings.push(`supabase/config.toml: ${setting} names ${pattern}, which matches no file: fix the pattern.`);
    }
  }
  return { files: [...files.values()], warnings };
}

/** Reads the files that `config` enables. */
export async function readSqlFiles(folder: string, config: ProjectConfig["db"]): Promise<SqlFiles> {
  const none = { migrations: [], files: [], warnings: [] };
  const warnings: string[] = [];
  const [roles, migrations, seeds] = await Promise.all([
    readIfPresent(rootOf(folder), "supabase/roles.sql", warnings),
    config.migrations.enabled ? readMigrations(folder) : none,
    config.seed.enabled ? readPatterns(folder, config.seed.sqlPaths, "db.seed.sql_paths") : none,
  ]);
  return {
    ...(roles === undefined ? {} : { roles }),
    migrations: migrations.migrations,
    seeds: seeds.files,
    warnings: [...warnings, ...migrations.warnings, ...seeds.warnings],
  };
}
