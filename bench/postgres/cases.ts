/**
 * What is measured.
 *
 * @module
 */
import type { Case, Entrant, Measurement } from "../support/case.ts";
import { quantile } from "../support/statistics.ts";
import { CALLERS, type Contender, ONE, openManager, type Session, type Work } from "./contenders.ts";
import type { BenchDatabase } from "./database.ts";

/** The figures a case can yield. */
export type Metric =
  /** Operations done in a second. */
  | "perSecond"
  /** The time that half of the operations took at most, in ms. */
  | "p50Ms"
  /** The time that 99 % of the operations took at most, in ms. */
  | "p99Ms"
  /** The most connections that the server had at once. */
  | "peakBackends";

/** Every measurement takes about so long. */
const BUDGET_MS = 300;

/** Rows that each kind of work must bring: a contender that answers wrongly is not fast. */
const ROWS: Readonly<Record<keyof Work, number>> = { one: 1, twenty: 20, transaction: 3 };

/** The work of the cases with many callers. */
export const WORK: readonly { readonly id: keyof Work; readonly title: string }[] = [
  { id: "one", title: "one row" },
  { id: "twenty", title: "20 rows" },
  { id: "transaction", title: "transaction of three" },
];

async function drive(
  callers: number,
  ops: number,
  work: (n: number) => Promise<unknown>,
): Promise<Measurement<Metric>> {
  const times: number[] = [];
  let left = ops;
  const start = performance.now();
  await Promise.all(Array.from({ length: callers }, async () => {
    while (left-- > 0) {
      const began = performance.now();
      await work(left % 900 + 1);
      times.push(performance.now() - began);
    }
  }));
  const seconds = (performance.now() - start) / 1_000;
  return { perSecond: ops / seconds, p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99) };
}

async function checked(session: Session, id: keyof Work, n: number): Promise<void> {
  const rows = await session[id](n);
  if (rows !== ROWS[id]) throw new Error(`${id} brought ${rows} rows where there are ${ROWS[id]}`);
}

/** A contender that is connected. */
export interface Stand {
  readonly contender: Contender;
  readonly session: Session;
  /** What it calls itself at the server. */
  readonly name: string;
}

/** 10 connections, 100 callers. */
export function throughputCases(stands: readonly Stand[], database: BenchDatabase): Case<Metric>[] {
  return WORK.map(({ id, title }) => ({
    id,
    title,
    metrics: ["perSecond", "p50Ms", "p99Ms", "peakBackends"],
    entrants: stands.map(({ contender, session, name }): Entrant<Metric> => {
      let perSecond = 1_000;
      return {
        id: contender.id,
        title: contender.title,
        async measure() {
          const ops = Math.max(CALLERS, Math.ceil(perSecond * BUDGET_MS / 1_000));
          database.watch(name);
          const measured = await drive(CALLERS, ops, (n) => checked(session, id, n));
          perSecond = measured.perSecond ?? perSecond;
          return { ...measured, peakBackends: await database.peak() };
        },
      };
    }),
  }));
}

/** Rounds of one caller that go into one figure. */
const TURNS = 10;

/**
 * What is done over a way that takes its time: one caller, one connection that is there already.
 *
 * @param port Where the way begins.
 * @param turns How often each is done for one figure.
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
  const entrants = Object.entries(work).map(([id, [title, run]]): Entrant<Metric> => ({
    id,
    title,
    measure: () => drive(1, turns, run),
  }));
  return {
    case: { id: "latency", title: "10 ms away", metrics: ["p50Ms"], entrants },
    close: async () => {
      await Promise.all([owner.shutdown(), login.shutdown()]);
    },
  };
}
