/**
 * The cases of the handler benchmark.
 *
 * @module
 */
import { cpuUsage } from "node:process";
import type { SupabaseConnectionPool } from "../../shared/mod.ts";
import type { Case, Measurement } from "../support/case.ts";
import { heapLive, heapUsed, tidy } from "../support/heap.ts";
import type { Phase } from "../support/measure.ts";
import { CANDIDATES, openPool } from "./candidates.ts";
import { load } from "./load.ts";
import type { Metric } from "./metrics.ts";
import { openSteps, queryFactory, type Step, viewFactory } from "./steps.ts";
import type { Project } from "./project.ts";

/** The number of callers; each is a user. */
export const CALLERS = 100;

/** The approximate time of each measurement of a candidate or a step. */
const HANDLER_MS = 400;
const STEP_MS = 60;

/** Too few for a collection between two readings of the heap size. */
const VIEWS = 200;
const LEASES = 1_000_000;

function handlersCase(project: Project): Case<Metric> {
  return {
    id: "handlers",
    title: `${CALLERS} callers`,
    metrics: ["requestsPerSecond", "p50Ms", "p99Ms", "cpuUs"],
    candidates: CANDIDATES.map(({ id, title, open }) => {
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

/** Measures as many repetitions as fit the budget at the speed of the last measurement. */
function timed(work: Step["work"]): () => Promise<number> {
  let times = 100;
  return async () => {
    tidy();
    const before = cpuUsage();
    const start = performance.now();
    for (let time = 0; time < times; time++) await work();
    const { user, system } = cpuUsage(before);
    const us = (user + system) / times;
    times = Math.ceil(Math.min(1_000_000, times * STEP_MS / Math.max(0.01, performance.now() - start)));
    return us;
  };
}

function stepsCase(project: Project): Case<Metric> {
  const candidates = openSteps(project).map(({ id, title, work }) => {
    const measure = timed(work);
    return { id, title, measure: async (): Promise<Measurement<Metric>> => ({ cpuUs: await measure() }) };
  });
  return { id: "steps", title: "the steps of a request", metrics: ["cpuUs"], candidates };
}

function bytesCase(project: Project, pool: SupabaseConnectionPool): Case<Metric> {
  const candidate = (id: string, title: string, create: () => unknown) => ({
    id,
    title,
    measure: (): Measurement<Metric> => {
      const kept = new Array<unknown>(VIEWS).fill(undefined);
      for (let index = 0; index < VIEWS; index++) create();
      tidy();
      const before = heapUsed();
      for (let index = 0; index < VIEWS; index++) kept[index] = create();
      return { bytes: (heapUsed() - before) / kept.length };
    },
  });
  return {
    id: "bytes",
    title: "heap allocated",
    metrics: ["bytes"],
    candidates: [
      candidate("from", "from() of a shared client", queryFactory(project)),
      candidate("view", "a view and its from()", viewFactory(project, pool.config)),
    ],
  };
}

function retentionCase(project: Project, pool: SupabaseConnectionPool): Case<Metric> {
  const [token = ""] = project.tokens;
  const leaseTimes = async (times: number) => {
    for (let time = 0; time < times; time++) {
      const lease = await pool.lease({ identity: { token } });
      lease.client.from("categories");
      lease.release();
    }
  };
  const measure = async (): Promise<Measurement<Metric>> => {
    await leaseTimes(1_000);
    const before = heapLive();
    await leaseTimes(LEASES);
    return { retainedBytes: heapLive() - before };
  };
  return {
    id: "retention",
    title: `heap retained after ${LEASES.toLocaleString("en")} leases`,
    metrics: ["retainedBytes"],
    candidates: [{ id: "lease", title: "leases and their views", measure }],
  };
}

/**
 * Returns all cases, for the project of the Data API. Phases are separate, because a full collection discards optimized
 * code of the candidates measured next.
 */
export function allPhases(project: Project): Phase<Metric>[] {
  const pool = openPool(project);
  return [
    { cases: [handlersCase(project)], warmUps: 3, share: 1 },
    { cases: [stepsCase(project), bytesCase(project, pool)], warmUps: 3, share: 1 },
    { cases: [retentionCase(project, pool)], warmUps: 1, share: 1 / 8 },
  ];
}

/** The ids of all cases, as `--only` takes them. */
export const CASE_IDS: readonly string[] = ["handlers", "steps", "bytes", "retention"];
