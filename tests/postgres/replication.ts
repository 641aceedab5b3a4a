/**
 * A primary and its standbys, with streaming replication.
 *
 * @module
 */
import postgres from "postgres";
import { type LocalPostgres, startPostgres } from "../../local/postgres/mod.ts";
import type { PostgresConfig } from "../../shared/postgres/mod.ts";
import { until } from "../support/until.ts";
import { type Login, TestDatabase } from "./support.ts";

/** Options for {@linkcode ReplicatedDatabase.start}. */
export interface ReplicationOptions {
  /** The number of standbys. Default: 1. */
  readonly standbys?: number;
  /** Settings of the standbys. Default: none. */
  readonly standbySettings?: Readonly<Record<string, string>>;
}

/** Returns the process of a server and its children. */
function processesOf(server: LocalPostgres): number[] {
  const [pid] = Deno.readTextFileSync(`${server.template.data}/postmaster.pid`).split("\n").map(Number);
  if (!pid) throw new Error("the server does not run");
  const children = [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const [, parent] = Deno.readTextFileSync(`/proc/${name}/stat`).replace(/^.*\) /s, "").split(" ");
      return Number(parent) === pid ? [Number(name)] : [];
    } catch {
      return []; // it has ended
    }
  });
  return [pid, ...children];
}

/** A primary and its standbys, which end together. */
export class ReplicatedDatabase implements AsyncDisposable {
  readonly #first: TestDatabase;
  /** The primary first, then the standbys, as they were at the start. */
  readonly servers: readonly LocalPostgres[];
  /** The lines of the log of each server that report an error. */
  readonly errors: readonly string[][];

  private constructor(first: TestDatabase, servers: readonly LocalPostgres[], errors: readonly string[][]) {
    this.#first = first;
    this.servers = servers;
    this.errors = errors;
  }

  /** Starts a primary, and standbys from a cold copy of its data. */
  static async start({ standbys = 1, standbySettings = {} }: ReplicationOptions = {}): Promise<ReplicatedDatabase> {
    const errors = Array.from({ length: standbys + 1 }, () => [] as string[]);
    const keep = (index: number) => (line: string) => {
      if (/\b(ERROR|FATAL):/.test(line)) errors[index]?.push(line);
    };
    const first = await TestDatabase.start(keep(0));
    const { server } = first;
    const servers = [server];
    try {
      const { hostname, port, username, password } = new URL(server.url);
      const primary_conninfo = `host=${hostname} port=${port} user=${username} password=${password}`;
      const settings = {
        wal_level: "logical",
        primary_conninfo,
        wal_retrieve_retry_interval: "50ms",
        ...standbySettings,
      };
      await server.stop();
      // It is in the copy, and not in the data of the primary when that starts again.
      const signal = `${server.template.data}/standby.signal`;
      await Deno.writeTextFile(signal, "");
      for (let each = 1; each <= standbys; each++) {
        servers.push(await startPostgres({ template: server.template, settings, onLine: keep(each) }));
      }
      await Deno.remove(signal);
      await server.start();
      const database = new ReplicatedDatabase(first, servers, errors);
      await database.attached(standbys);
      return database;
    } catch (error) {
      await Promise.all(servers.slice(1).map((each) => each[Symbol.asyncDispose]()));
      await first[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Returns options to log in to one of the servers. */
  options(index: number, login: Login = "superuser"): Partial<PostgresConfig> & { host: string; port: number } {
    return { ...this.#first.options(login), port: Number(new URL(this.#serverAt(index).url).port) };
  }

  /** Runs SQL as the superuser on one of the servers. */
  async sql(index: number, text: string): Promise<readonly Record<string, unknown>[]> {
    const sql = postgres(this.#serverAt(index).url, { max: 1, onnotice: () => {} });
    try {
      return await sql.unsafe(text).simple();
    } finally {
      await sql.end({ timeout: 1 });
    }
  }

  /** Waits until standbys stream from a server. */
  async attached(count: number, index = 0): Promise<void> {
    const text = "select count(*)::int as count from pg_stat_replication where state = 'streaming'";
    await until("the standbys stream", async () => (await this.sql(index, text))[0]?.["count"] === count, 30_000, 20);
  }

  /** Makes commits of the primary wait until a standby has them: `on` (on its disk), or `remote_apply` (visible there). */
  async synchronous(level: "on" | "remote_apply" = "on"): Promise<void> {
    await this.sql(0, "alter system set synchronous_standby_names = '*'");
    await this.sql(0, `alter system set synchronous_commit = '${level}'`);
    await this.sql(0, "select pg_reload_conf()");
    const text = "select count(*)::int as count from pg_stat_replication where sync_state = 'sync'";
    await until("the standby is synchronous", async () => (await this.sql(0, text))[0]?.["count"] === 1, 30_000, 20);
  }

  /** Promotes a standby, and waits until it is a primary. */
  async promote(index: number): Promise<void> {
    await this.sql(index, "select pg_promote()");
  }

  /** Stops all processes of a server where they are, as a machine that hangs. Disposing of the result lets them go on. */
  pause(index: number): Disposable {
    const processes = processesOf(this.#serverAt(index));
    for (const pid of processes) Deno.kill(pid, "SIGSTOP");
    return {
      [Symbol.dispose]: () => {
        for (const pid of processes) {
          try {
            Deno.kill(pid, "SIGCONT");
          } catch {
            // It has ended.
          }
        }
      },
    };
  }

  /** Starts a server that was stopped as a standby of another one. */
  async startAsStandbyOf(index: number, primary: number): Promise<void> {
    const server = this.#serverAt(index);
    const { hostname, port, username, password } = new URL(this.#serverAt(primary).url);
    const conninfo = `primary_conninfo = 'host=${hostname} port=${port} user=${username} password=${password}'\n`;
    await Deno.writeTextFile(`${server.template.data}/standby.signal`, "");
    await Deno.writeTextFile(`${server.template.data}/postgresql.auto.conf`, conninfo, { append: true });
    await server.start();
  }

  #serverAt(index: number): LocalPostgres {
    const server = this.servers[index];
    if (!server) throw new Error(`there is no server ${index}`);
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.slice(1).map((each) => each[Symbol.asyncDispose]()));
    await this.#first[Symbol.asyncDispose]();
  }
}
