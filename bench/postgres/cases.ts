/**
 * The cases of the Postgres benchmark.
 *
 * @module
 */
import type { Candidate, Case } from "../support/case.ts";
import { openManager } from "./candidates.ts";
import type { BenchDatabase } from "./database.ts";
import { CALLERS, loop, measuring, ONE, type OpenCandidate, type SqlCandidate, WORK } from "./work.ts";

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

/** The approximate time of each measurement, in ms. */
export const BUDGET_MS = 300;

/** A connected candidate and its name at the server. */
export interface Setup {
  readonly candidate: SqlCandidate;
  readonly opened: OpenCandidate;
  /** Its `application_name` at the server. */
  readonly name: string;
}

/** Returns the cases of 100 callers on 10 connections. */
export function throughputCases(setups: readonly Setup[], database: BenchDatabase): Case<Metric>[] {
  return WORK.map((work) => ({
    id: work.id,
    title: work.title,
    metrics: ["perSecond", "p50Ms", "p99Ms", "peakBackends"],
    candidates: setups.map(({ candidate, opened, name }): Candidate<Metric> => {
      const measure = measuring(opened, work, CALLERS, BUDGET_MS);
      return {
        id: candidate.id,
        title: candidate.title,
        async measure() {
          database.watch(name);
          return { ...await measure(), peakBackends: await database.peak() };
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
