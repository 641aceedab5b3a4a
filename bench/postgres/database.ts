/**
 * The server of the Postgres benchmark.
 *
 * @module
 */
// @ts-types="../../shared/postgres/wire/pg.d.ts"
import pg from "pg";
import { type LocalPostgres, startPostgres } from "../../local/postgres/mod.ts";

/** The address and credentials of a login. */
export interface Login {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

const AUTHENTICATOR_PASSWORD = "measured-on-loopback-only";

const SETUP = `
create table item (id int primary key, name text, price numeric, made timestamptz default now(), ok bool default true);
insert into item select i, 'name ' || i, i * 1.5 from generate_series(1, 1000) i;
analyze item;
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role authenticator login noinherit password '${AUTHENTICATOR_PASSWORD}';
grant anon, authenticated to authenticator;
grant select on item to authenticated;
alter table item enable row level security;
create policy read on item for select to authenticated using (true);
`;

/** A connection that logs in has no name yet (since PostgreSQL 18); only one candidate works at a time. */
const COUNT = `select count(*)::int as n from pg_stat_activity
  where application_name = $1 or (backend_type = 'client backend' and state = 'starting')`;

/** A server with a table of a thousand rows. */
export class BenchDatabase implements AsyncDisposable {
  readonly #server: LocalPostgres;
  readonly #watcher: pg.Client;
  #watched: { readonly prefix: string; peak: number; stopped: boolean; readonly done: Promise<void> } | undefined;

  private constructor(server: LocalPostgres, watcher: pg.Client) {
    this.#server = server;
    this.#watcher = watcher;
  }

  /** Starts a server and creates its table and roles. */
  static async start(): Promise<BenchDatabase> {
    const server = await startPostgres();
    const watcher = new pg.Client(server.url);
    await watcher.connect();
    await watcher.query(SETUP);
    return new BenchDatabase(server, watcher);
  }

  /** The login of the owner of the table. */
  get owner(): Login {
    const { hostname, port, username, password } = new URL(this.#server.url);
    return { host: hostname, port: Number(port), database: "postgres", user: username, password };
  }

  /** The login that acts for callers. */
  get authenticator(): Login {
    return { ...this.owner, user: "authenticator", password: AUTHENTICATOR_PASSWORD };
  }

  /** Returns the version of the server: `18.4`. */
  async version(): Promise<string> {
    return (await this.#watcher.query("show server_version")).rows[0].server_version;
  }

  /** Counts the connections whose `application_name` is `name`, until {@linkcode peak} is called. */
  watch(name: string): void {
    const watched = { prefix: name, peak: 0, stopped: false, done: Promise.resolve() };
    watched.done = (async () => {
      while (!watched.stopped) {
        const { rows } = await this.#watcher.query(
          COUNT,
          [name],
        );
        watched.peak = Math.max(watched.peak, rows[0].n);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    this.#watched = watched;
  }

  /** Returns the maximum count since {@linkcode watch}. */
  async peak(): Promise<number> {
    const watched = this.#watched;
    if (!watched) return NaN;
    this.#watched = undefined;
    watched.stopped = true;
    await watched.done;
    return watched.peak;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.peak();
    await this.#watcher.end();
    await this.#server[Symbol.asyncDispose]();
  }
}
