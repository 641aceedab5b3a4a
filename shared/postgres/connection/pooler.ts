/**
 * Detects a pooler in transaction mode between us and Postgres.
 *
 * @module
 */
import type { PostgresConfig } from "../config/options.ts";
import type { BackendConnection } from "./backend_connection.ts";

/** The port of transaction mode of Supavisor, and of PgBouncer on Supabase. */
const TRANSACTION_MODE_PORT = 6543;

/** Hosts of Supavisor, whose session mode has port 5432 (Supabase, "Connect to your database"). */
const SUPAVISOR = /\.pooler\.supabase\.(com|co)$/i;
const SUPAVISOR_SESSION_MODE_PORT = 5432;

/**
 * Finds out, once, whether sessions at the server belong to their connections alone.
 *
 * A pooler reports a process id of its own to its clients. So a backend whose process id differs from the reported one
 * is behind a pooler. Its mode cannot be seen: without load, transaction mode gives each of our transactions the same
 * backend, as session mode does. So the stricter mode is assumed, at the cost of prepared statements;
 * `poolMode: "session"` declares the other one.
 */
export class PoolerDetector {
  #ownsSession: boolean | undefined;

  constructor({ poolMode, host, port }: Pick<PostgresConfig, "poolMode" | "host" | "port">) {
    if (poolMode === "session") this.#ownsSession = true;
    else if (poolMode === "transaction" || port === TRANSACTION_MODE_PORT) this.#ownsSession = false;
    else if (port === SUPAVISOR_SESSION_MODE_PORT && SUPAVISOR.test(host)) this.#ownsSession = true;
  }

  /** The mode found; `undefined` before the first connection. */
  get mode(): "session" | "transaction" | undefined {
    return this.#ownsSession === undefined ? undefined : this.#ownsSession ? "session" : "transaction";
  }

  /** Returns whether the session belongs to its connection alone. Queries the server the first time. */
  async ownsSession(connection: BackendConnection): Promise<boolean> {
    if (this.#ownsSession !== undefined) return this.#ownsSession;
    const [result] = await connection.run([{ text: "SELECT pg_backend_pid() AS pid" }]);
    return this.#ownsSession = result?.rows[0]?.["pid"] === connection.backendKey?.processId;
  }
}
