/**
 * Those who are compared. Each does the same work, as its documentation says to do it.
 *
 * @module
 */
// @ts-types="../../shared/postgres/wire/pg.d.ts"
import pg from "pg";
import pLimit from "p-limit";
import postgres from "postgres";
import { ResourcePool } from "../../shared/pool/mod.ts";
import { type PostgresConfig, PostgresConnectionManager } from "../../shared/postgres/mod.ts";
import type { Login } from "./database.ts";

/** How many connections each may have. */
export const CONNECTIONS = 10;

/** How many callers contend for them. */
export const CALLERS = 100;

/** A row by its key. */
export const ONE = "select id, name, ok from item where id = $1";

/** Twenty rows of five columns. */
export const TWENTY = "select id, name, price, made, ok from item where id >= $1 order by id limit 20";

/** What everybody does. Each resolves to how many rows came. */
export interface Work {
  one(id: number): Promise<number>;
  twenty(id: number): Promise<number>;
  /** BEGIN, three times one row, COMMIT. */
  transaction(id: number): Promise<number>;
}

/** One of those that are compared, connected. */
export interface Session extends Work {
  close(): Promise<void>;
}

/** One of those that are compared. */
export interface Contender {
  readonly id: string;
  readonly title: string;
  /** @param name What it calls itself at the server. */
  open(login: Login, name: string): Session;
}

type PgQuery = (text: string, values: unknown[]) => Promise<{ rows: unknown[] }>;

async function pgTransaction(query: PgQuery, id: number): Promise<number> {
  await query("begin", []);
  let rows = 0;
  for (let n = 0; n < 3; n++) rows += (await query(ONE, [id + n])).rows.length;
  await query("commit", []);
  return rows;
}

const perRequest: Contender = {
  id: "per_request",
  title: "a connection per request (pg)",
  open(login, name) {
    const limit = pLimit(CONNECTIONS);
    const withClient = <T>(work: (query: PgQuery) => Promise<T>) =>
      limit(async () => {
        const client = new pg.Client({ ...login, application_name: name });
        await client.connect();
        try {
          return await work((text, values) => client.query(text, values));
        } finally {
          await client.end();
        }
      });
    return {
      one: (id) => withClient(async (query) => (await query(ONE, [id])).rows.length),
      twenty: (id) => withClient(async (query) => (await query(TWENTY, [id])).rows.length),
      transaction: (id) => withClient((query) => pgTransaction(query, id)),
      close: () => Promise.resolve(),
    };
  },
};

const pgPool: Contender = {
  id: "pg_pool",
  title: "pg Pool",
  open(login, name) {
    const pool = new pg.Pool({ ...login, application_name: name, max: CONNECTIONS });
    return {
      one: async (id) => (await pool.query(ONE, [id])).rows.length,
      twenty: async (id) => (await pool.query(TWENTY, [id])).rows.length,
      async transaction(id) {
        const client = await pool.connect();
        try {
          return await pgTransaction((text, values) => client.query(text, values), id);
        } finally {
          client.release();
        }
      },
      close: () => pool.end(),
    };
  },
};

function postgresJs(options: Login, name: string, max: number) {
  const { user: username, ...rest } = options;
  return postgres({ ...rest, username, max, connection: { application_name: name }, onnotice: () => {} });
}

function postgresWork(sql: postgres.Sql): Work {
  return {
    one: async (id) => (await sql`select id, name, ok from item where id = ${id}`).length,
    twenty: async (id) =>
      (await sql`select id, name, price, made, ok from item where id >= ${id} order by id limit 20`).length,
    transaction: (id) =>
      sql.begin(async (tx) => {
        let rows = 0;
        for (let n = 0; n < 3; n++) rows += (await tx`select id, name, ok from item where id = ${id + n}`).length;
        return rows;
      }) as Promise<number>,
  };
}

const postgresPool: Contender = {
  id: "postgres",
  title: "postgres.js",
  open(login, name) {
    const sql = postgresJs(login, name, CONNECTIONS);
    return { ...postgresWork(sql), close: () => sql.end({ timeout: 5 }) };
  },
};

const POOL = {
  maxConnections: CONNECTIONS,
  minConnections: CONNECTIONS,
  maxWaiters: 100_000,
  acquireTimeoutMs: 60_000,
};

/** The pool core on each driver as it comes: what the choice of the driver is made by. */
const coreOnPg: Contender = {
  id: "core_pg",
  title: "our pool core on pg",
  open(login, name) {
    const pool = new ResourcePool<pg.Client>({
      async create() {
        const client = new pg.Client({ ...login, application_name: name });
        client.on("error", () => {});
        await client.connect();
        return client;
      },
      destroy: (client) => client.end(),
    }, POOL);
    const lend = async <T>(work: (client: pg.Client) => Promise<T>) => {
      using lease = await pool.lease();
      return await work(lease.resource);
    };
    return {
      one: (id) => lend(async (client) => (await client.query(ONE, [id])).rows.length),
      twenty: (id) => lend(async (client) => (await client.query(TWENTY, [id])).rows.length),
      transaction: (id) => lend((client) => pgTransaction((text, values) => client.query(text, values), id)),
      close: () => pool.shutdown(),
    };
  },
};

const coreOnPostgres: Contender = {
  id: "core_postgres",
  title: "our pool core on postgres.js",
  open(login, name) {
    const pool = new ResourcePool<postgres.Sql>({
      create: () => postgresJs(login, name, 1),
      destroy: (sql) => sql.end({ timeout: 5 }),
    }, POOL);
    const lend = async <T>(work: (sql: Work) => Promise<T>) => {
      using lease = await pool.lease();
      return await work(postgresWork(lease.resource));
    };
    return {
      one: (id) => lend((sql) => sql.one(id)),
      twenty: (id) => lend((sql) => sql.twenty(id)),
      transaction: (id) => lend((sql) => sql.transaction(id)),
      close: () => pool.shutdown(),
    };
  },
};

/** Makes our manager for a benchmark. */
export function openManager(
  login: Login,
  applicationName: string,
  options: Partial<PostgresConfig> = {},
): PostgresConnectionManager {
  return new PostgresConnectionManager({ ...POOL, ...login, ...options, applicationName, healthCheckIntervalMs: 0 });
}

function ourContender(id: string, title: string, options: Partial<PostgresConfig> = {}): Contender {
  return {
    id,
    title,
    open(login, name) {
      const manager = openManager(login, name, options);
      return {
        one: async (id) => (await manager.query(ONE, [id])).rows.length,
        twenty: async (id) => (await manager.query(TWENTY, [id])).rows.length,
        transaction: (id) =>
          manager.transaction(async (tx) => {
            let rows = 0;
            for (let n = 0; n < 3; n++) rows += (await tx.query(ONE, [id + n])).rows.length;
            return rows;
          }),
        close: () => manager.shutdown(),
      };
    },
  };
}

/** All contenders, in the order of the tables. */
export const CONTENDERS: readonly Contender[] = [
  perRequest,
  pgPool,
  postgresPool,
  coreOnPg,
  coreOnPostgres,
  ourContender("ours_alone", "ours, no connection shared", { maxStatementsInFlight: 1 }),
  ourContender("ours", "ours"),
];
