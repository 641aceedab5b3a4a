/**
 * A Postgres of a test's own, with the roles of a Supabase project.
 *
 * @module
 */
import postgres from "postgres";
import { generateKeys } from "../../local/keys.ts";
import { type LocalPostgres, startPostgres } from "../../local/postgres/mod.ts";
import { prepareDatabase } from "../../local/postgres/platform/mod.ts";
import { ResourcePool } from "../../shared/pool/mod.ts";
import type { BackendKey } from "../../shared/postgres/connection/cancel.ts";
import { parsePostgresConfig, poolOptions } from "../../shared/postgres/config/config.ts";
import { StatementObservers } from "../../shared/postgres/query/statement_observer.ts";
import { Executor } from "../../shared/postgres/query/executor.ts";
import { type PostgresConfig, type PostgresConnection, PostgresConnectionManager } from "../../shared/postgres/mod.ts";
import { RoleSettingsCache } from "../../shared/postgres/caller/role_settings.ts";
import { PoolerDetector } from "../../shared/postgres/connection/pooler.ts";
import { ConnectionFactory } from "../../shared/postgres/connection/connection_factory.ts";
import { PipelineSharing } from "../../shared/postgres/query/shared_query.ts";
import { nextPool } from "../../shared/postgres/transaction/current_transaction.ts";
import { TransactionCounters } from "../../shared/postgres/transaction/transaction_scope.ts";
import type { RunnerSettings } from "../../shared/postgres/query/statement_runner.ts";
import { Deadlines, systemClock } from "../../shared/resilience/mod.ts";
import { templateOptions } from "./template.ts";

/** A login role. */
export type Login = "superuser" | "authenticator" | "postgres";

/** A server, and managers that end with it. */
export class TestDatabase implements AsyncDisposable {
  readonly server: LocalPostgres;
  readonly #passwords: Readonly<Record<Exclude<Login, "superuser">, string>>;
  readonly #managers: PostgresConnectionManager[] = [];

  private constructor(server: LocalPostgres, passwords: Record<Exclude<Login, "superuser">, string>) {
    this.server = server;
    this.#passwords = passwords;
  }

  /**
   * Starts a server.
   *
   * @param onLine Called with every line of its log. Default: none.
   */
  static async start(onLine?: (line: string) => void): Promise<TestDatabase> {
    // As on the hosted platform. With another level the server warns about the platform's publication.
    const server = await startPostgres({ onLine, settings: { wal_level: "logical" }, ...templateOptions() });
    const keys = generateKeys();
    const sql = postgres(server.url, { max: 1, onnotice: () => {} });
    await prepareDatabase(sql, keys);
    await sql.end();
    return new TestDatabase(server, { authenticator: keys.authenticatorPassword, postgres: keys.databasePassword });
  }

  /** Returns options to log in. */
  options(login: Login = "superuser"): Partial<PostgresConfig> & { host: string; port: number; password: string } {
    const { hostname, port, username, password } = new URL(this.server.url);
    const own = login === "superuser"
      ? { user: username, password }
      : { user: login, password: this.#passwords[login] };
    return { host: hostname, port: Number(port), database: "postgres", ...own };
  }

  /** A small manager, to which nothing happens by itself. */
  manager(config: Partial<PostgresConfig> = {}, login: Login = "superuser"): PostgresConnectionManager {
    // On a loaded machine, the login of a hundred connections at once takes longer than the default of 2 s.
    const quiet = { minConnections: 0, maxConnections: 4, healthCheckIntervalMs: 0, connectionTimeoutMs: 20_000 };
    const manager = new PostgresConnectionManager({ ...this.options(login), ...quiet, ...config });
    this.#managers.push(manager);
    return manager;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#managers.map((manager) => manager.shutdown(0)));
    await this.server[Symbol.asyncDispose]();
  }
}

/** Returns the error that `work` throws, which must be of class `kind`. */
export async function thrownBy<E extends Error>(
  work: () => Promise<unknown>,
  // deno-lint-ignore no-explicit-any -- any constructor will do
  kind: abstract new (...args: any[]) => E,
): Promise<E> {
  try {
    await work();
  } catch (error) {
    if (error instanceof kind) return error;
    throw error;
  }
  throw new Error(`nothing was thrown where a ${kind.name} was expected`);
}

/** An executor on one connection, with cancel requests of the test's own. */
export interface LoneExecutor extends AsyncDisposable {
  readonly executor: Executor;
  /** Takes its connection. */
  lease(): Promise<PostgresConnection>;
}

/**
 * Makes an executor on one connection.
 *
 * @param pass Passes a cancel request on, whenever it likes; resolves to whether it came through.
 */
export function loneExecutor(database: TestDatabase, pass: (key: BackendKey) => Promise<boolean>): LoneExecutor {
  const config = parsePostgresConfig({ ...database.options(), maxConnections: 1, minConnections: 0 });
  const factory = new ConnectionFactory(config, new PoolerDetector(config), systemClock);
  const pool = new ResourcePool(factory, poolOptions(config));
  const deadlines = new Deadlines(systemClock);
  const runner: RunnerSettings = {
    clock: systemClock,
    deadlines,
    cancelTimeoutMs: 5_000,
    requestCancel: (key) => ({ passedOn: pass(key), abort: () => {} }),
  };
  const executor = new Executor({
    observers: new StatementObservers(),
    pool,
    poolNumber: nextPool(),
    sharing: new PipelineSharing(pool, runner),
    runner,
    roleSettings: new RoleSettingsCache(systemClock, () => {}),
    host: {
      config,
      getStats: () => ({ ...pool.getStats(), transactions: new TransactionCounters().snapshot(), poolMode: undefined }),
      healthCheck: () => Promise.reject(new Error("not needed here")),
      onTransactionEnd: () => {},
    },
  });
  return {
    executor,
    lease: () => executor.lease(),
    async [Symbol.asyncDispose]() {
      deadlines.stop();
      await pool.shutdown();
    },
  };
}

/** The claims of a user. */
export function claimsOf(sub: string, claims: Record<string, unknown> = {}): { claims: Record<string, unknown> } {
  return { claims: { sub, role: "authenticated", exp: Math.floor(Date.now() / 1_000) + 3_600, ...claims } };
}

/** A manager of one connection whose round trips are counted. */
export interface CountedConnection extends AsyncDisposable {
  readonly manager: PostgresConnectionManager;
  /** Returns the number of round trips since {@linkcode reset}. */
  turns(): number;
  reset(): void;
}

/** A manager behind a relay that counts how often the sender changed from us to the server. */
export function countedConnection(database: TestDatabase, login: Login): CountedConnection {
  const { host, port } = database.options();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let turns = 0;
  let ours = false;
  const relays: Promise<void>[] = [];
  const accept = (async () => {
    for await (const near of listener) {
      const far = await Deno.connect({ hostname: host, port });
      const copy = async (from: Deno.Conn, to: Deno.Conn, sending: boolean) => {
        const buffer = new Uint8Array(65_536);
        for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
          if (sending && !ours) turns++;
          ours = sending;
          for (let at = 0; at < n;) at += await to.write(buffer.subarray(at, n));
        }
        await to.closeWrite();
      };
      relays.push(
        Promise.allSettled([copy(near, far, true), copy(far, near, false)]).then(() => {
          near.close();
          far.close();
        }),
      );
    }
  })();
  const manager = new PostgresConnectionManager({
    ...database.options(login),
    host: "127.0.0.1",
    port: (listener.addr as Deno.NetAddr).port,
    minConnections: 0,
    maxConnections: 1,
    healthCheckIntervalMs: 0,
  });
  return {
    manager,
    turns: () => turns,
    reset: () => {
      turns = 0;
      ours = false;
    },
    async [Symbol.asyncDispose]() {
      await manager.shutdown(0);
      listener.close();
      await accept;
      await Promise.all(relays);
    },
  };
}
