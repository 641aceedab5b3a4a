/**
 * A Postgres alone, without the rest of the stack.
 *
 * @module
 */
import { generateKeys } from "../keys.ts";
import { temporaryPlace } from "./place.ts";
import { PostgresServer, SUPERUSER } from "./server.ts";

/** How to run it. */
export interface StartPostgresOptions {
  /** The port; 0: one that is free. Default: 0. */
  readonly port?: number;
  /** Whether a commit survives a crash of the machine. Default: `false`. */
  readonly fsync?: boolean;
}

/** A Postgres whose data goes with it. */
export interface LocalPostgres extends AsyncDisposable {
  /** The database `postgres` as the superuser `supabase_admin`. It holds nothing yet. */
  readonly url: string;
  /** Stops it in order; its data stays until the end. */
  stop(): Promise<void>;
  /** Stops it as a crash would. */
  kill(): Promise<void>;
  /** Starts it again, on the same port. */
  start(): Promise<void>;
}

/**
 * Starts a real, empty Postgres on loopback.
 *
 * @throws {StackFault} in one line, with the remedy.
 */
export async function startPostgres(options: StartPostgresOptions = {}): Promise<LocalPostgres> {
  const { superuserPassword } = generateKeys();
  const server = await PostgresServer.open({
    place: await temporaryPlace(),
    port: options.port ?? 0,
    fsync: options.fsync ?? false,
    superuserPassword,
    log: () => {},
  });
  return {
    url: server.url(SUPERUSER, superuserPassword),
    stop: () => server.stop(),
    kill: () => server.kill(),
    start: () => server.start(),
    [Symbol.asyncDispose]: () => server.close(),
  };
}
