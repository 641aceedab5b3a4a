/**
 * The migration of the fleet, which isolates need to report to Postgres.
 *
 * @module
 */
import { join, relative } from "node:path";
import { fromFileUrl } from "../paths.ts";
import { parseMigrationName } from "../postgres/migrations/files.ts";
import { StackError } from "../stack_error.ts";
import type { Files } from "./files.ts";
import type { Layout } from "./layout.ts";

/** The name of the file in the repository. */
const NAME = "20260109090000_fleet.sql";

/** The folders that it is in: that of the repository, and that of the package, which contains no project. */
const SOURCES: readonly URL[] = ["../../supabase/migrations/", "./"].map((folder) => new URL(folder, import.meta.url));

/** A function that the migration creates: a migration that names it is the fleet's, under any file name. */
const MARK = "pool_fleet_report";

function readMigration(): string {
  for (const folder of SOURCES) {
    try {
      return Deno.readTextFileSync(fromFileUrl(new URL(NAME, folder)));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  throw new StackError("SERVICE_FAILED", `Cannot find ${NAME}: install the package, or clone the repository, again.`);
}

function migrationsIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.endsWith(".sql")).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return [];
    throw error;
  }
}

/** Returns a name that comes after `latest`: `supabase db push` applies no migration that is older than the newest one. */
function nameAfter(latest: string | undefined): string {
  const { version } = (latest === undefined ? undefined : parseMigrationName(latest)) ?? {};
  const [own = ""] = NAME.split("_", 1);
  if (version === undefined || version < own) return NAME;
  return NAME.replace(own, String(BigInt(version) + 1n).padStart(version.length, "0"));
}

/**
 * Plans a copy of the migration, if no migration of the project is one.
 *
 * @returns Notes, one line each.
 * @throws {StackError} `SERVICE_FAILED` if the migration is missing here.
 */
export function planFleetMigration({ root }: Pick<Layout, "root">, files: Files): string[] {
  const folder = join(root, "supabase/migrations");
  if (!files.isInside(root, folder)) {
    return [`${NAME} is left out: supabase/migrations is a link to a folder outside the project. Copy it by hand.`];
  }
  const names = migrationsIn(folder);
  if (names.some((name) => files.read(join(folder, name))?.includes(MARK))) return [];
  const path = join(folder, nameAfter(names.filter((name) => parseMigrationName(name)).at(-1)));
  files.plan(path, readMigration());
  return [
    `${relative(root, path)} lets isolates report to the fleet: apply it with npx supabase db push. The local stack ` +
    "applies it when it starts.",
  ];
}
