/**
 * The database of the tests of Kysely.
 *
 * @module
 */
import type { PostgresConnectionManager } from "../../../shared/postgres/mod.ts";
import { TestDatabase } from "../../postgres/support.ts";

export interface Tables {
  note: { id: number; owner: string | null; text: string };
}

const SETUP = [
  "create table note (id int primary key, owner uuid default auth.uid(), text text not null)",
  "alter table note enable row level security",
  "create policy own on note to authenticated using (owner = auth.uid()) with check (owner = auth.uid())",
  "grant all on note to authenticated",
];

/** Starts a database with the table `note`, and returns it with a manager of its owner. */
export async function startDatabase(): Promise<{ database: TestDatabase; admin: PostgresConnectionManager }> {
  const database = await TestDatabase.start();
  const admin = database.manager();
  for (const statement of SETUP) await admin.query(statement);
  return { database, admin };
}

export async function clear(manager: PostgresConnectionManager): Promise<void> {
  await manager.query("truncate note");
}

/** Returns the number of leases of `work`. */
export async function leases(manager: PostgresConnectionManager, work: () => Promise<unknown>): Promise<number> {
  const before = manager.getStats().totalAcquired;
  await work();
  return manager.getStats().totalAcquired - before;
}
