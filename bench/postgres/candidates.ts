/**
 * The candidates of the Postgres benchmark. Each does the same work, as documented by its authors.
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
import { CONNECTIONS, ONE, type OpenCandidate, type SqlCandidate, TWENTY, type Work } from "./work.ts";

type PgQuery = (text: string, values: unknown[]) => Promise<{ rows: unknown[] }>;

async function pgTransaction(query: PgQuery, id: number): Promise<number> {
  await query("begin", []);
  let rows = 0;
  for (let n = 0; n < 3; n++) rows += (await query(ONE, [id + n])).rows.length;
  await query("commit", []);
  return rows;
}

const perRequest: SqlCandidate = {
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

const pgPool: SqlCandidate = {
  id: "pg_pool",
  title: "pg Pool",
  open(login, name) {
    const pool = new pg.Pool({ ...login, application_name: name, max: CONNECTIONS });
    // Its end resolves before the sockets are closed, and the server may stop meanwhile.
    pool.on("error", () => {});
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

const postgresPool: SqlCandidate = {
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

/** The pool core on each driver without our batches, to compare the drivers. */
const coreOnPg: SqlCandidate = {
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
    const lease = async <T>(work: (client: pg.Client) => Promise<T>) => {
      using held = await pool.lease();
      return await work(held.resource);
    };
    return {
      one: (id) => lease(async (client) => (await client.query(ONE, [id])).rows.length),
      twenty: (id) => lease(async (client) => (await client.query(TWENTY, [id])).rows.length),
      transaction: (id) => lease((client) => pgTransaction((text, values) => client.query(text, values), id)),
      close: () => pool.shutdown(),
    };
  },
};

const coreOnPostgres: SqlCandidate = {
  id: "core_postgres",
  title: "our pool core on postgres.js",
  open(login, name) {
    const pool = new ResourcePool<postgres.Sql>({
      create: () => postgresJs(login, name, 1),
      destroy: (sql) => sql.end({ timeout: 5 }),
    }, POOL);
    const lease = async <T>(work: (sql: Work) => Promise<T>) => {
      using held = await pool.lease();
      return await work(postgresWork(held.resource));
    };
    return {
      one: (id) => lease((sql) => sql.one(id)),
      twenty: (id) => lease((sql) => sql.twenty(id)),
      transaction: (id) => lease((sql) => sql.transaction(id)),
      close: () => pool.shutdown(),
    };
  },
};

/** Creates a manager for a benchmark. */
export function openManager(
  login: Login,
  applicationName: string,
  options: Partial<PostgresConfig> = {},
): PostgresConnectionManager {
  return new PostgresConnectionManager({ ...POOL, ...login, ...options, applicationName, healthCheckIntervalMs: 0 });
}

/** Creates a candidate that uses a manager with statements as text. */
export function ourCandidate(id: string, title: string, options: Partial<PostgresConfig> = {}): SqlCandidate {
  return {
    id,
    title,
    open(login, name): OpenCandidate {
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

/** All candidates, in table order. */
export const CANDIDATES: readonly SqlCandidate[] = [
  perRequest,
  pgPool,
  postgresPool,
  coreOnPg,
  coreOnPostgres,
  ourCandidate("ours_alone", "ours, no connection shared", { maxStatementsInFlight: 1 }),
  ourCandidate("ours", "ours"),
];
