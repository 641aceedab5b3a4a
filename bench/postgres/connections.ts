/**
 * The cases about connections themselves: the time to get one, and more callers
 * than the server accepts connections.
 *
 * @module
 */
// @ts-types="../../shared/postgres/wire/pg.d.ts"
import pg from "pg";
import type { Candidate, Case, Measurement } from "../support/case.ts";
import { quantile } from "../support/statistics.ts";
import { openManager } from "./candidates.ts";
import type { Metric } from "./cases.ts";
import type { BenchDatabase, Login } from "./database.ts";
import { CONNECTIONS, ONE } from "./work.ts";

/** The callers of the case `overload`: twice the connections that a server accepts by default. */
export const OVERLOAD_CALLERS = 200;

/** The connections that each measurement of the case `setup` gets, one after the other. */
const TURNS = { connect: 20, lease: 2_000 };

/** Gets a connection, or runs one statement, and resolves when it is released. */
interface Opened {
  /** Gets a connection and releases it. Resolves to the time until it was usable, in ms. */
  setup(): Promise<number>;
  /** Selects one row. */
  one(id: number): Promise<number>;
  close(): Promise<void>;
}

function connectionPerRequest(login: Login, name: string): Opened {
  const connect = async () => {
    const client = new pg.Client({ ...login, application_name: name });
    // A rejected connection reports its error twice.
    client.on("error", () => {});
    await client.connect();
    return client;
  };
  return {
    async setup() {
      const start = performance.now();
      const client = await connect();
      const ms = performance.now() - start;
      await client.end();
      return ms;
    },
    async one(id) {
      const client = await connect();
      try {
        return (await client.query(ONE, [id])).rows.length;
      } finally {
        await client.end();
      }
    },
    close: () => Promise.resolve(),
  };
}

function pooled(login: Login, name: string): Opened {
  const manager = openManager(login, name);
  return {
    async setup() {
      const start = performance.now();
      const lease = await manager.lease();
      const ms = performance.now() - start;
      lease.release();
      return ms;
    },
    one: async (id) => (await manager.query(ONE, [id])).rows.length,
    close: () => manager.shutdown(),
  };
}

async function setups(opened: Opened, turns: number): Promise<Measurement<Metric>> {
  const times: number[] = [];
  for (let turn = 0; turn < turns; turn++) times.push(await opened.setup());
  return { setupUs: quantile(times, 0.5) * 1_000 };
}

/** Runs `callers` statements at once, and counts those that fail. */
async function overload(opened: Opened, callers: number): Promise<Measurement<Metric>> {
  const times: number[] = [];
  const start = performance.now();
  await Promise.allSettled(Array.from({ length: callers }, async (_, caller) => {
    if (await opened.one(caller + 1) !== 1) throw new Error("A statement returned no row");
    times.push(performance.now() - start);
  }));
  const seconds = (performance.now() - start) / 1_000;
  return {
    perSecond: times.length / seconds,
    p50Ms: quantile(times, 0.5),
    failedPercent: (callers - times.length) / callers * 100,
  };
}

/**
 * Returns the cases, with a connection per request and with ours.
 *
 * @param callers The callers of the case `overload`.
 */
export function connectionCases(
  database: BenchDatabase,
  callers: number = OVERLOAD_CALLERS,
): { cases: Case<Metric>[]; close: () => Promise<void> } {
  const all = [
    {
      id: "per_request",
      title: "a connection per request (pg)",
      opened: connectionPerRequest(database.owner, "setup_per_request"),
      turns: TURNS.connect,
    },
    {
      id: "ours",
      title: `ours, ${CONNECTIONS} connections`,
      opened: pooled(database.owner, "setup_ours"),
      turns: TURNS.lease,
    },
  ];
  const candidates = (measure: (one: typeof all[number]) => Promise<Measurement<Metric>>): Candidate<Metric>[] =>
    all.map((one) => ({ id: one.id, title: one.title, measure: () => measure(one) }));
  return {
    cases: [
      {
        id: "setup",
        title: "a connection, until it is usable",
        metrics: ["setupUs"],
        candidates: candidates(({ opened, turns }) => setups(opened, turns)),
      },
      {
        id: "overload",
        title: `${callers} callers at once`,
        metrics: ["perSecond", "p50Ms", "failedPercent", "peakBackends"],
        candidates: candidates(async ({ id, opened }) => {
          database.watch(`setup_${id}`);
          return { ...await overload(opened, callers), peakBackends: await database.peak() };
        }),
      },
    ],
    close: async () => {
      for (const { opened } of all) await opened.close();
    },
  };
}
