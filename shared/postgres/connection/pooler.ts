/**
 * Whether a pooler in transaction mode stands between us and Postgres.
 *
 * @module
 */
import type { PostgresConfig } from "../config/config.ts";
import type { Session } from "./session.ts";

/** Where Supavisor, and PgBouncer on Supabase, listen in transaction mode. */
const TRANSACTION_MODE_PORT = 6543;

/** Supavisor, which listens in session mode on 5432 (Supabase, "Connect to your database"). */
const SUPAVISOR = /\.pooler\.supabase\.(com|co)$/i;
const SUPAVISOR_SESSION_MODE_PORT = 5432;

/**
 * Finds out, once, whether the sessions of a server are ours alone.
 *
 * A pooler tells its clients a process id of its own making. So where the
 * backend that answers has another one than we were told at the start, there is
 * a pooler. Which mode it is in cannot be seen: a pooler in transaction mode that
 * has little to do gives each of our transactions the same backend, as one in
 * session mode does. So the stricter mode is assumed, which costs the
 * preparing of statements; `poolMode: "session"` declares the other one.
 */
export class PoolerDetector {
  #owned: boolean | undefined;

  constructor({ poolMode, host, port }: Pick<PostgresConfig, "poolMode" | "host" | "port">) {
    if (poolMode === "session") this.#owned = true;
    else if (poolMode === "transaction" || port === TRANSACTION_MODE_PORT) this.#owned = false;
    else if (port === SUPAVISOR_SESSION_MODE_PORT && SUPAVISOR.test(host)) this.#owned = true;
  }

  /** What was found: `session` for a session of our own; `undefined` before the first connection. */
  get mode(): "session" | "transaction" | undefined {
    return this.#owned === undefined ? undefined : this.#owned ? "session" : "transaction";
  }

  /** Whether the session is ours alone. Asks the server the first time. */
  async isOwned(session: Session): Promise<boolean> {
    if (this.#owned !== undefined) return this.#owned;
    const [result] = await session.run([{ text: "SELECT pg_backend_pid() AS pid" }]);
    return this.#owned = result?.rows[0]?.["pid"] === session.backend?.processId;
  }
}
