/**
 * A Postgres server without the rest of the stack.
 *
 * @module
 */
import { generateKeys } from "../keys.ts";
import { temporaryLocation } from "./data_location.ts";
import { PostgresServer, SUPERUSER } from "./server.ts";

/** A data folder that `initdb` has run in, for servers that start from a copy of it. */
export interface PostgresTemplate {
  /** The folder; no server uses it. */
  readonly data: string;
  readonly superuserPassword: string;
}

/** Options for {@linkcode startPostgres}. */
export interface StartPostgresOptions {
  /** The port; 0 for a free one. Default: 0. */
  readonly port?: number;
  /** Flushes each commit to disk, so that it survives a crash of the machine. Default: `false`. */
  readonly fsync?: boolean;
  /** Called with every line of the server's log. Default: none. */
  readonly onLine?: ((line: string) => void) | undefined;
  /** More settings of the server. Default: none. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Data of the same version to copy, which is faster than `initdb`. Default: none. */
  readonly template?: PostgresTemplate | undefined;
}

/** A Postgres server whose data is deleted when it is disposed of. */
export interface LocalPostgres extends AsyncDisposable {
  /** The URL of the database `postgres`, which is empty, for the superuser `supabase_admin`. */
  readonly url: string;
  /** Its data, which others may start from while it is stopped. */
  readonly template: PostgresTemplate;
  /** Stops it; its data is kept until it is disposed of. */
  stop(): Promise<void>;
  /** Stops it as a crash would. */
  kill(): Promise<void>;
  /** Starts it again, on the same port. */
  start(): Promise<void>;
}

/**
 * Starts an empty Postgres server on loopback.
 *
 * @throws {StackError} A message of one line that says what to do.
 */
export async function startPostgres(options: StartPostgresOptions = {}): Promise<LocalPostgres> {
  const { superuserPassword } = options.template ?? generateKeys();
  const location = await temporaryLocation();
  const server = await PostgresServer.open({
    location,
    template: options.template?.data,
    port: options.port ?? 0,
    fsync: options.fsync ?? false,
    superuserPassword,
    log: () => {},
    onLine: options.onLine,
    settings: options.settings ?? {},
  });
  return {
    url: server.url(SUPERUSER, superuserPassword),
    template: { data: location.data, superuserPassword },
    stop: () => server.stop(),
    kill: () => server.kill(),
    start: () => server.start(),
    [Symbol.asyncDispose]: () => server.close(),
  };
}
