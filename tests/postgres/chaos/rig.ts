/**
 * A Postgres behind a proxy, and managers that reach it through that.
 *
 * @module
 */
import { type PostgresConfig, PostgresConnectionManager } from "../../../shared/postgres/mod.ts";
import { TcpProxy } from "../../support/tcp_proxy.ts";
export { until } from "../../support/until.ts";
import { type Login, TestDatabase } from "../support.ts";

/** Waits. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Counts round trips: changes from the server to the client as the sender. */
export function countRoundTrips(proxy: TcpProxy): () => number {
  let trips = 0;
  let last: "client" | "server" = "server";
  proxy.tap = (from) => {
    if (from === "client" && last === "server") trips++;
    last = from;
  };
  return () => trips;
}

/** See the module. */
export class Rig implements AsyncDisposable {
  readonly database: TestDatabase;
  readonly proxy: TcpProxy;
  readonly #owned: AsyncDisposable | undefined;
  readonly #managers: PostgresConnectionManager[] = [];

  private constructor(database: TestDatabase, proxy: TcpProxy, owned: AsyncDisposable | undefined) {
    this.database = database;
    this.proxy = proxy;
    this.#owned = owned;
  }

  /** Puts a proxy before a server; before one of its own where none is given. */
  static async start(given?: TestDatabase): Promise<Rig> {
    const database = given ?? await TestDatabase.start();
    const { host, port } = database.options();
    return new Rig(database, await TcpProxy.start({ host, port }), given ? undefined : database);
  }

  /** A small manager through the proxy, which gives up soon. */
  manager(config: Partial<PostgresConfig> = {}, login: Login = "superuser"): PostgresConnectionManager {
    const manager = new PostgresConnectionManager({
      ...this.database.options(login),
      port: this.proxy.port,
      minConnections: 0,
      maxConnections: 4,
      healthCheckIntervalMs: 0,
      connectionTimeoutMs: 5_000,
      connectRetryMs: 60_000,
      cancelTimeoutMs: 150,
      destroyTimeoutMs: 300,
      ...config,
    });
    this.#managers.push(manager);
    return manager;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.proxy.resume();
    await Promise.all(this.#managers.map((manager) => manager.shutdown(0)));
    await this.proxy[Symbol.asyncDispose]();
    await this.#owned?.[Symbol.asyncDispose]();
  }
}

/** Takes every connection there may be at once, and gives them back: none has been lost. */
export async function useEverySlot(manager: PostgresConnectionManager): Promise<void> {
  const { maxConnections } = manager.config;
  const leases = await Promise.all(
    Array.from({ length: maxConnections }, () => manager.lease({ acquireTimeoutMs: 30_000 })),
  );
  try {
    await Promise.all(leases.map((lease) => lease.query("select 1")));
    const { activeConnections, totalConnections, waitingForConnection } = manager.getStats();
    if (activeConnections !== maxConnections || totalConnections !== maxConnections || waitingForConnection !== 0) {
      throw new Error(`${activeConnections} active of ${totalConnections}, ${waitingForConnection} waiting`);
    }
  } finally {
    for (const lease of leases) lease.release();
  }
}
