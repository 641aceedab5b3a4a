/**
 * The case: one user floods a function, and another one calls it.
 *
 * @module
 */
import { createProject } from "../handler/project.ts";
import type { Candidate, Case, Measurement } from "../support/case.ts";
import { startChild } from "../support/child.ts";
import { quantile } from "../support/statistics.ts";

/** The metrics of a candidate. */
export type Metric =
  /** Median time of a request of the one user, in ms. */
  | "p50Ms"
  /** 99th percentile of that time, in ms. */
  | "p99Ms"
  /** Completed requests of both users per second. */
  | "requestsPerSecond";

/** The size of a run. */
export interface Size {
  /** Concurrent requests of the user who floods the function. */
  readonly flood: number;
  /** Run time of each candidate, in ms. */
  readonly forMs: number;
}

/** The size of the published results. */
export const FULL: Size = { flood: 150, forMs: 2_500 };

/** The time the Data API takes to respond, in ms. */
export const DELAY_MS = 15;

/** The slots of the function's pool. */
export const SLOTS = 10;

/** The ids of all cases, as `--only` takes them. */
export const CASE_IDS: readonly string[] = ["flood"];

async function call(url: string, token: string): Promise<void> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`The function responded ${response.status}: ${text}`);
}

/** Calls the function as one user, beside a user with `flood` concurrent requests. */
async function underFlood(
  url: string,
  [one, other]: readonly [string, string],
  flood: number,
  forMs: number,
): Promise<Measurement<Metric>> {
  const latencies: number[] = [];
  let completed = 0;
  const start = performance.now();
  const isRunning = () => performance.now() - start < forMs;
  const floods = Array.from({ length: flood }, async () => {
    for (; isRunning(); completed++) await call(url, other);
  });
  // The one user comes once the flood fills the pool.
  await new Promise((resolve) => setTimeout(resolve, forMs / 5));
  while (isRunning()) {
    const sentAt = performance.now();
    await call(url, one);
    latencies.push(performance.now() - sentAt);
  }
  const seconds = (performance.now() - start) / 1_000;
  // Those that the flood still waits for at the end count in no run.
  const requestsPerSecond = (completed + latencies.length) / seconds;
  await Promise.all(floods);
  return { p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99), requestsPerSecond };
}

/** Opens the cases. Their processes end with `resources`. */
export async function openCases({ flood, forMs }: Size, resources: AsyncDisposableStack): Promise<Case<Metric>[]> {
  const api = new URL("../claims/slow_data_api.ts", import.meta.url);
  const candidate = async (
    id: string,
    title: string,
    fairShare: boolean,
    sockets: number,
  ): Promise<Candidate<Metric>> => {
    const dataApi = resources.use(startChild(api, ["--allow-net=127.0.0.1"], [String(DELAY_MS)]));
    const { env, tokens: [one = "", other = ""] } = await createProject(await dataApi.line(), 2);
    const pool = JSON.stringify({ fairShare, maxConnections: SLOTS, acquireTimeoutMs: 30_000 });
    const script = new URL("function.ts", import.meta.url);
    const url = await resources.use(startChild(script, ["-A"], [JSON.stringify(env), pool])).line();
    return { id, title, measure: () => underFlood(url, [one, other], sockets, forMs) };
  };
  const beside = `beside ${flood} sockets of another user`;
  return [{
    id: "flood",
    title: `one user ${beside}; ${SLOTS} slots, ${DELAY_MS} ms each`,
    metrics: ["p50Ms", "p99Ms", "requestsPerSecond"],
    candidates: [
      await candidate("alone", "alone", true, 0),
      await candidate("fifo", `${beside}, first come, first served`, false, flood),
      await candidate("ours", `${beside}, \`fairShare\``, true, flood),
    ],
  }];
}
