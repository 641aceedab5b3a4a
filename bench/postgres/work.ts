/**
 * The work of the benchmarks on Postgres, which every candidate does in its own way.
 *
 * @module
 */
import type { Measurement } from "../support/case.ts";
import { quantile } from "../support/statistics.ts";
import type { Login } from "./database.ts";

/** The connections of each candidate. */
export const CONNECTIONS = 10;

/** The callers that contend for them. */
export const CALLERS = 100;

/** Selects a row by its key. */
export const ONE = "select id, name, ok from item where id = $1";

/** Selects twenty rows of five columns. */
export const TWENTY = "select id, name, price, made, ok from item where id >= $1 order by id limit 20";

/** The work of a candidate. Each function resolves to the number of rows. */
export interface Work {
  one(id: number): Promise<number>;
  twenty(id: number): Promise<number>;
  /** Selects one row three times in a transaction. */
  transaction(id: number): Promise<number>;
}

/** The work of the cases, and the rows that each must return. */
export const WORK: readonly { readonly id: keyof Work; readonly title: string; readonly rows: number }[] = [
  { id: "one", title: "one row", rows: 1 },
  { id: "twenty", title: "20 rows", rows: 20 },
  { id: "transaction", title: "transaction of three", rows: 3 },
];

/** A connected candidate. */
export interface OpenCandidate extends Work {
  close(): Promise<void>;
}

/** A candidate. */
export interface SqlCandidate {
  readonly id: string;
  readonly title: string;
  /**
   * Connects the candidate.
   *
   * @param name Its `application_name` at the server.
   */
  open(login: Login, name: string): OpenCandidate;
}

/** The metrics of {@linkcode loop}. */
export type LoopMetric = "perSecond" | "p50Ms" | "p99Ms";

/** Runs `work` until it has run `ops` times, for a number of callers at once. */
export async function loop(
  callers: number,
  ops: number,
  work: (n: number) => Promise<unknown>,
): Promise<Measurement<LoopMetric>> {
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

/**
 * Returns a measurement of a candidate's work, whose next run takes about `budgetMs` by what this one has found.
 *
 * @param callers The callers at once.
 */
export function measuring(
  opened: Work,
  { id, rows: expected }: (typeof WORK)[number],
  callers: number,
  budgetMs: number,
): () => Promise<Measurement<LoopMetric>> {
  let perSecond = 1_000;
  return async () => {
    const measured = await loop(callers, Math.max(callers, Math.ceil(perSecond * budgetMs / 1_000)), async (n) => {
      const rows = await opened[id](n);
      if (rows !== expected) throw new Error(`${id} returned ${rows} rows instead of ${expected}`);
    });
    perSecond = measured.perSecond ?? perSecond;
    return measured;
  };
}
