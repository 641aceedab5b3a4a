/**
 * The address of the database.
 *
 * @module
 */
import type { PostgresOptions } from "../../shared/postgres/mod.ts";

/** Returns the options of a URL of the database. */
export function loginOf(databaseUrl: string): PostgresOptions {
  const { hostname, port, pathname, username, password } = new URL(databaseUrl);
  return {
    host: hostname,
    port: Number(port),
    database: decodeURIComponent(pathname.slice(1)),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
  };
}
