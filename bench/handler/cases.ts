/**
 * All cases.
 *
 * @module
 */
import { cpuUsage } from "node:process";
import type { SupabaseConnectionPool } from "../../shared/mod.ts";
import type { Case, Measurement } from "../support/case.ts";
import { heapLive, heapUsed, tidy } from "../support/heap.ts";
import { CONTENDERS, openPool } from "./contenders.ts";
import { load } from "./load.ts";
import type { Metric } from "./metrics.ts";
import { openParts, type Part, queryMaker, viewMaker } from "./parts.ts";
import type { Project } from "./project.ts";

/** How many callers there are; each is a user. */
export const CALLERS = 100;

/** Each measurement of a contender, or a part, takes about so long. */
const HANDLER_MS = 400;
const PART_MS = 60;

/** So few that no collection comes between two readings of the heap. */
const VIEWS = 200;
const LEASES = 1_000_000;

/** Cases that are measured in the same rounds: a full collection takes optimised code away from whoever comes next. */
export interface Phase {
  readonly cases: readonly Case<Metric>[];
  /** How many rounds go before those that count. */
  readonly warmUps: number;
  /** How many rounds count, as a part of those asked for. */
  readonly share: number;
}

function handlersCase(project: Project): Case<Metric> {
  return {
    id: "handlers",
    title: `${CALLERS} callers`,
    metrics: ["requestsPerSecond", "p50Ms", "p99Ms", "cpuUs"],
    entrants: CONTENDERS.map(({ id, title, open }) => {
      const handle = open(project);
      return {
        id,
        title,
        measure: async (): Promise<Measurement<Metric>> => {
          tidy();
          return { ...await load(handle, project.tokens, HANDLER_MS) };
        },
      };
    }),
  };
}

/** Measures with as many repetitions as fit the budget, going by the time they took the last time. */
function timed(work: Part["work"]): () => Promise<number> {
  let times = 100;
  return async () => {
    tidy();
    const before = cpuUsage();
    const start = performance.now();
    for (let time = 0; time < times; time++) await work();
    const { user, system } = cpuUsage(before);
    const us = (user + system) / times;
    times = Math.ceil(Math.min(1_000_000, times * PART_MS / Math.max(0.01, performance.now() - start)));
    return us;
  };
}

function partsCase(project: Project): Case<Metric> {
  const entrants = openParts(project).map(({ id, title, work }) => {
    const measure = timed(work);
    return { id, title, measure: async (): Promise<Measurement<Metric>> => ({ cpuUs: await measure() }) };
  });
  return { id: "parts", title: "the parts of a request", metrics: ["cpuUs"], entrants };
}

function bytesCase(project: Project, pool: SupabaseConnectionPool): Case<Metric> {
  const entrant = (id: string, title: string, make: () => unknown) => ({
    id,
    title,
    measure: (): Measurement<Metric> => {
      const kept = new Array<unknown>(VIEWS).fill(undefined);
      for (let index = 0; index < VIEWS; index++) make();
      tidy();
      const before = heapUsed();
      for (let index = 0; index < VIEWS; index++) kept[index] = make();
      return { bytes: (heapUsed() - before) / kept.length };
    },
  });
  return {
    id: "bytes",
    title: "heap allocated",
    metrics: ["bytes"],
    entrants: [
      entrant("from", "from() of a shared client", queryMaker(project)),
      entrant("view", "a view and its from()", viewMaker(project, pool.config)),
    ],
  };
}

function retentionCase(project: Project, pool: SupabaseConnectionPool): Case<Metric> {
  const [token = ""] = project.tokens;
  const lend = async (times: number) => {
    for (let time = 0; time < times; time++) {
      const lease = await pool.lease({ identity: { token } });
      lease.client.from("categories");
      lease.release();
    }
  };
  const measure = async (): Promise<Measurement<Metric>> => {
    await lend(1_000);
    const before = heapLive();
    await lend(LEASES);
    return { retainedBytes: heapLive() - before };
  };
  return {
    id: "retention",
    title: `heap kept after ${LEASES.toLocaleString("en")} leases`,
    metrics: ["retainedBytes"],
    entrants: [{ id: "lease", title: "leases and their views", measure }],
  };
}

/** All cases, in the project of the Data API. */
export function allPhases(project: Project): Phase[] {
  const pool = openPool(project);
  return [
    { cases: [handlersCase(project)], warmUps: 3, share: 1 },
    { cases: [partsCase(project), bytesCase(project, pool)], warmUps: 3, share: 1 },
    { cases: [retentionCase(project, pool)], warmUps: 1, share: 1 / 8 },
  ];
}

/** The ids of all cases, as `--only` takes them. */
export const CASE_IDS: readonly string[] = ["handlers", "parts", "bytes", "retention"];
