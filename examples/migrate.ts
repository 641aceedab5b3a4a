/**
 * Applies the migrations of a folder with the connections of administration: `DB_ADMIN_USER` and `DB_ADMIN_PASSWORD` may
 * create tables, while the functions log in as a role that may not.
 *
 *     DB_HOST=… DB_ADMIN_USER=postgres DB_ADMIN_PASSWORD=… deno run -A examples/migrate.ts supabase/migrations
 *
 * @module
 */
import { type PostgresPool, PostgresPools } from "../shared/postgres/mod.ts";

/** A file of statements. */
export interface Migration {
  /** Its name, which decides the order. */
  readonly name: string;
  /** Its statements. */
  readonly text: string;
}

/** Any number: deployments that run at the same time wait for each other. */
const LOCK = 20_260_105;

/** Reads the `.sql` files of a folder, in the order of their names. */
export async function readMigrations(folder: string): Promise<Migration[]> {
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  return await Promise.all(
    names.filter((name) => name.endsWith(".sql")).sort()
      .map(async (name) => ({ name, text: await Deno.readTextFile(`${folder}/${name}`) })),
  );
}

/**
 * Applies the migrations that have not been applied, each in a transaction with its record, and returns their names. One
 * that fails is rolled back, and none behind it runs.
 */
export async function migrate(pool: PostgresPool, migrations: readonly Migration[]): Promise<string[]> {
  await pool.transaction(async (tx) => {
    await tx.sql`select pg_advisory_xact_lock(${LOCK})`; // `if not exists` alone fails when two run at once
    await tx.sql`create table if not exists applied_migration (name text primary key, at timestamptz default now())`;
  });
  const applied: string[] = [];
  for (const { name, text } of migrations) {
    await pool.transaction(async (tx) => {
      await tx.sql`select pg_advisory_xact_lock(${LOCK})`;
      const record = tx.sql`insert into applied_migration (name) values (${name}) on conflict do nothing`;
      if ((await record).rowCount === 0) return;
      // One statement of a text may be sent at a time; EXECUTE runs a whole file.
      await tx.sql`select set_config('migration.text', ${text}, true)`;
      await tx.sql`do $$ begin execute current_setting('migration.text'); end $$`;
      applied.push(name);
    }, { timeoutMs: 600_000 });
  }
  return applied;
}

if (import.meta.main) {
  await using pools = PostgresPools.fromEnv();
  const applied = await migrate(pools.getPool("admin"), await readMigrations(Deno.args[0] ?? "supabase/migrations"));
  console.log(applied.length === 0 ? "Nothing to apply" : `Applied ${applied.join(", ")}`);
}
