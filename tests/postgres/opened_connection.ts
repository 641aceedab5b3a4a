/**
 * A connection of a test's own.
 *
 * @module
 */
import { parsePostgresConfig } from "../../shared/postgres/mod.ts";
import { BackendConnection } from "../../shared/postgres/connection/backend_connection.ts";
import { driverOptions } from "../../shared/postgres/connection/connection_factory.ts";
import { systemClock } from "../../shared/resilience/mod.ts";
import type { TestDatabase } from "./support.ts";

/** An open connection. */
export interface Opened extends AsyncDisposable {
  readonly connection: BackendConnection;
  /** The reasons of its death: one at most. */
  readonly deaths: Error[];
}

/** Opens a connection. */
export async function open(database: TestDatabase, maxPreparedStatements = 100): Promise<Opened> {
  const deaths: Error[] = [];
  const options = driverOptions(parsePostgresConfig(database.options()));
  const connection = await BackendConnection.open(
    options,
    systemClock,
    new AbortController().signal,
    { onDeath: (reason) => deaths.push(reason) },
  );
  connection.enableSessionState(maxPreparedStatements, 1);
  return { connection, deaths, [Symbol.asyncDispose]: () => connection.close() };
}

/** Runs a statement, and returns its rows. */
export async function rows(connection: BackendConnection, text: string, values: unknown[] = []): Promise<unknown[]> {
  const [result] = await connection.run([{ text, values }]);
  return result?.rows ?? [];
}
