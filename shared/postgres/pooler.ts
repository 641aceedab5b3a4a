/**
 * Whether a pooler in transaction mode stands between us and Postgres.
 *
 * @module
 */
import type { PostgresConfig } from "./config.ts";
import type { Session } from "./session.ts";

/** Where Supavisor, and PgBouncer on Supabase, listen in transaction mode. */
const TRANSACTION_MODE_PORT = 6543;

/**
 * Finds out, once, whether the sessions of a server are ours alone.
 *
 * A pooler tells its clients a process id of its own making. So where the
 * backend that answers has another one than we were told at the start, there is
 * a pooler. Which mode it is in cannot be seen; the stricter one is assumed.
 */
export class PoolerDetector {
  #owned: boolean | undefined;

  constructor({ poolMode, port }: Pick<PostgresConfig, "poolMode" | "port">) {
    if (poolMode === "session") this.#owned = true;
    else if (poolMode === "transaction" || port === TRANSACTION_MODE_PORT) this.#owned = false;
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
