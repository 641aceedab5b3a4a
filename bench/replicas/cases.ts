/**
 * The cases of the replicas benchmark.
 *
 * @module
 */
import { PostgresReplicas, type ReplicasOptions } from "../../shared/data/mod.ts";
import { PostgresConnectionManager, type PostgresPool } from "../../shared/postgres/mod.ts";
import { CALLERS, CONNECTIONS } from "../postgres/work.ts";
import type { Case, Measurement } from "../support/case.ts";
import type { ReplicatedDatabase } from "../../tests/postgres/replication.ts";
import { until } from "../../tests/support/until.ts";
import { quantile } from "../support/statistics.ts";

/** The metrics of the cases. */
export type Metric =
  /** Operations per second. */
  | "perSecond"
  /** 99th percentile of the time of an operation, in ms. */
  | "p99Ms";

const INSERT = "insert into written (id) values ($1)";
const READ = "select id, name, price from item where id = $1";

/** The work: what runs on the pool of a caller. */
export const WORK = {
  insert: { title: "insert", run: (pool: PostgresPool, n: number) => pool.query(INSERT, [n]) },
  read: { title: "read", run: (pool: PostgresPool, n: number) => pool.query(READ, [n]) },
  /** The read shows what was written before it. */
  both: {
    title: "insert, then read",
    run: async (pool: PostgresPool, n: number) => {
      await pool.query(INSERT, [n]);
      await pool.query(READ, [n]);
    },
  },
  function: {
    title: "read-only transaction",
    run: (pool: PostgresPool, n: number) => pool.transaction((tx) => tx.query(READ, [n]), { readOnly: true }),
  },
} as const;

/** The ids of all cases. */
export const CASE_IDS: readonly string[] = Object.keys(WORK);

/** A candidate. */
interface Opened {
  readonly id: string;
  readonly title: string;
  /** Returns the pool of one operation. */
  readonly pool: () => PostgresPool;
}

/** Returns the plain manager and groups, with as many connections to each server. */
function open(database: ReplicatedDatabase, resources: AsyncDisposableStack): readonly Opened[] {
  const limits = { minConnections: 0, maxConnections: CONNECTIONS };
  const manager = resources.use(new PostgresConnectionManager({ ...database.options(0), ...limits }));
  const group = (options: Partial<ReplicasOptions> = {}) => {
    const targets = [0, 1].map((index) => ({ ...database.options(index), name: `server ${index}` }));
    return resources.use(new PostgresReplicas({ targets, common: limits, ...options }));
  };
  const [scopes, shared, unordered] = [group(), group(), group({ readYourWrites: false })];
  const only = group({ targets: [{ ...database.options(0), name: "only" }] });
  return [
    { id: "plain", title: "PostgresConnectionManager", pool: () => manager },
    { id: "ours", title: "PostgresReplicas, a scope per operation", pool: () => scopes.scope() },
    { id: "shared", title: "PostgresReplicas, one scope", pool: () => shared },
    { id: "unordered", title: "PostgresReplicas, readYourWrites: false", pool: () => unordered },
    { id: "only", title: "PostgresReplicas of one target", pool: () => only.scope() },
  ];
}

async function loop(ops: number, work: (n: number) => Promise<unknown>): Promise<Measurement<Metric>> {
  const times: number[] = [];
  let left = ops;
  const start = performance.now();
  await Promise.all(Array.from({ length: CALLERS }, async () => {
    while (left-- > 0) {
      const start = performance.now();
      await work(left % 900 + 1);
      times.push(performance.now() - start);
    }
  }));
  return { perSecond: ops / ((performance.now() - start) / 1_000), p99Ms: quantile(times, 0.99) };
}

/** Creates the tables, and waits until the standby has them. */
async function prepare(database: ReplicatedDatabase): Promise<void> {
  await database.sql(
    0,
    `create table item (id int primary key, name text, price numeric);
    insert into item select i, 'name ' || i, i * 1.5 from generate_series(1, 1000) i;
    create table written (id int);
    analyze item;`,
  );
  const exists = "select to_regclass('written') is not null as there";
  await until("the standby has the tables", async () => (await database.sql(1, exists))[0]?.["there"] === true);
}

/** Opens the candidates, and returns the cases of 100 callers on 10 connections. */
export async function openCases(
  database: ReplicatedDatabase,
  budgetMs: number,
  resources: AsyncDisposableStack,
): Promise<Case<Metric>[]> {
  const opened = open(database, resources);
  await prepare(database);
  return Object.entries(WORK).map(([id, { title, run }]): Case<Metric> => ({
    id,
    title,
    metrics: ["perSecond", "p99Ms"],
    candidates: opened.map(({ id, title, pool }) => {
      let perSecond = 1_000;
      return {
        id,
        title,
        async measure() {
          const ops = Math.max(CALLERS, Math.ceil(perSecond * budgetMs / 1_000));
          const result = await loop(ops, (n) => run(pool(), n));
          perSecond = result.perSecond ?? perSecond;
          // Every measurement begins with an empty table.
          await database.sql(0, "truncate written");
          return result;
        },
      };
    }),
  }));
}
