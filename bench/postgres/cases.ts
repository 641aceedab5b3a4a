/**
 * The cases of the Postgres benchmark.
 *
 * @module
 */
import type { Candidate, Case, Measurement } from "../support/case.ts";
import { quantile } from "../support/statistics.ts";
import { CALLERS, ONE, type OpenCandidate, openManager, type PostgresCandidate, type Work } from "./candidates.ts";
import type { BenchDatabase } from "./database.ts";

/** The metrics of the cases. */
export type Metric =
  /** Operations per second. */
  | "perSecond"
  /** Median time of an operation, in ms. */
  | "p50Ms"
  /** 99th percentile of that time, in ms. */
  | "p99Ms"
  /** The maximum of concurrent connections of the server. */
  | "peakBackends"
  /** Median time until a connection is usable, in µs. */
  | "setupUs"
  /** Statements that failed, in percent. */
  | "failedPercent";

/** The approximate time of each measurement. */
const BUDGET_MS = 300;

/** The rows that each kind of work must return. */
const ROWS: Readonly<Record<keyof Work, number>> = { one: 1, twenty: 20, transaction: 3 };

/** The work of the cases with many callers. */
export const WORK: readonly { readonly id: keyof Work; readonly title: string }[] = [
  { id: "one", title: "one row" },
  { id: "twenty", title: "20 rows" },
  { id: "transaction", title: "transaction of three" },
];

async function loop(
  callers: number,
  ops: number,
  work: (n: number) => Promise<unknown>,
): Promise<Measurement<Metric>> {
  const times: number[] = [];
  let left = ops;
  const start = performance.now();
  await Promise.all(Array.from({ length: callers }, async () => {
    while (left-- > 0) {
      const start = performance.now();
      await work(left % 900 + 1);
      times.push(performance.now() - start);
    }
  }));
  const seconds = (performance.now() - start) / 1_000;
  return { perSecond: ops / seconds, p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99) };
}

async function checked(opened: OpenCandidate, id: keyof Work, n: number): Promise<void> {
  const rows = await opened[id](n);
  if (rows !== ROWS[id]) throw new Error(`${id} returned ${rows} rows instead of ${ROWS[id]}`);
}

/** A connected candidate and its name at the server. */
export interface Setup {
  readonly candidate: PostgresCandidate;
  readonly opened: OpenCandidate;
  /** Its `application_name` at the server. */
  readonly name: string;
}

/** Returns the cases of 100 callers on 10 connections. */
export function throughputCases(setups: readonly Setup[], database: BenchDatabase): Case<Metric>[] {
  return WORK.map(({ id, title }) => ({
    id,
    title,
    metrics: ["perSecond", "p50Ms", "p99Ms", "peakBackends"],
    candidates: setups.map(({ candidate, opened, name }): Candidate<Metric> => {
      let perSecond = 1_000;
      return {
        id: candidate.id,
        title: candidate.title,
        async measure() {
          const ops = Math.max(CALLERS, Math.ceil(perSecond * BUDGET_MS / 1_000));
          database.watch(name);
          const measured = await loop(CALLERS, ops, (n) => checked(opened, id, n));
          perSecond = measured.perSecond ?? perSecond;
          return { ...measured, peakBackends: await database.peak() };
        },
      };
    }),
  }));
}

/** The repetitions per measurement. */
const TURNS = 10;

/**
 * Returns the case of one caller on an open connection to a distant server.
 *
 * @param port The port of the latency proxy.
 * @param turns The repetitions per measurement.
 */
export function latencyCase(
  database: BenchDatabase,
  port: number,
  turns: number = TURNS,
): { case: Case<Metric>; close: () => Promise<void> } {
  const owner = openManager({ ...database.owner, port }, "latency");
  const login = openManager({ ...database.authenticator, port }, "latency_user");
  const exp = Math.floor(Date.now() / 1_000) + 86_400;
  const user = login.as({ claims: { sub: "00000000-0000-4000-8000-000000000001", role: "authenticated", exp } });
  const three = async (run: (text: string, values: number[]) => Promise<unknown>) => {
    for (let n = 1; n <= 3; n++) await run(ONE, [n]);
  };
  const work: Record<string, readonly [title: string, () => Promise<unknown>]> = {
    plain: ["a statement", () => owner.query(ONE, [1])],
    three_plain: ["three statements, one after the other", () => three((text, values) => owner.query(text, values))],
    transaction: [
      "a transaction of three",
      () => owner.transaction((tx) => three((text, values) => tx.query(text, values))),
    ],
    list: [
      "a transaction of three, as a list",
      () => owner.transaction([1, 2, 3].map((n) => ({ query: ONE, values: [n] }))),
    ],
    user: ["a statement as a user", () => user.query(ONE, [1])],
    user_transaction: [
      "a transaction of three as a user",
      () => user.transaction((tx) => three((text, values) => tx.query(text, values))),
    ],
  };
  const candidates = Object.entries(work).map(([id, [title, run]]): Candidate<Metric> => ({
    id,
    title,
    measure: () => loop(1, turns, run),
  }));
  return {
    case: { id: "latency", title: "10 ms away", metrics: ["p50Ms"], candidates },
    close: async () => {
      await Promise.all([owner.shutdown(), login.shutdown()]);
    },
  };
}
