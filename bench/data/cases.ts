/**
 * The cases of the data benchmark.
 *
 * @module
 */
import type { BenchDatabase } from "../postgres/database.ts";
import { CALLERS, measuring, WORK } from "../postgres/work.ts";
import type { Candidate, Case } from "../support/case.ts";
import { CANDIDATES, COMPILERS } from "./candidates.ts";

/** The metrics of the cases. */
export type Metric =
  /** Operations per second. */
  | "perSecond"
  /** 99th percentile of the time of an operation, in ms. */
  | "p99Ms"
  /** The time of one compilation, in µs. */
  | "setupUs";

/** The ids of all cases. */
export const CASE_IDS: readonly string[] = [...WORK.map(({ id }) => id), "compile"];

/** The size of a measurement. */
export interface Size {
  /** The approximate time of each measurement, in ms. */
  readonly budgetMs: number;
  /** The compilations of a measurement. */
  readonly compilations: number;
}

/** The size of a run whose figures are quoted. */
export const FULL: Size = { budgetMs: 300, compilations: 5_000 };

function compileCase({ compilations }: Size): Case<Metric> {
  const candidates = Object.entries(COMPILERS).map(([id, { title, compile }]): Candidate<Metric> => ({
    id,
    title,
    measure() {
      let length = 0;
      const start = performance.now();
      for (let n = 0; n < compilations; n++) length += compile(n).length;
      const setupUs = (performance.now() - start) * 1_000 / compilations;
      if (length === 0) throw new Error(`${id} compiled nothing`);
      return { setupUs };
    },
  }));
  return { id: "compile", title: "one row, compiled alone", metrics: ["setupUs"], candidates };
}

/** Opens the candidates, and returns the cases of 100 callers on 10 connections and of compiling. */
export function openCases(database: BenchDatabase, size: Size, resources: AsyncDisposableStack): Case<Metric>[] {
  const opened = CANDIDATES.map((candidate) => {
    const open = candidate.open(database.owner, `data_${candidate.id}`);
    resources.defer(() => open.close());
    return { candidate, open };
  });
  const many = WORK.map((work): Case<Metric> => ({
    id: work.id,
    title: work.title,
    metrics: ["perSecond", "p99Ms"],
    candidates: opened.map(({ candidate, open }) => ({
      id: candidate.id,
      title: candidate.title,
      measure: measuring(open, work, CALLERS, size.budgetMs),
    })),
  }));
  return [...many, compileCase(size)];
}
