/**
 * The callers of a handler.
 *
 * @module
 */
import { cpuUsage } from "node:process";
import { quantile } from "../support/statistics.ts";
import type { Handle } from "./contenders.ts";

/** What the callers saw. */
export interface Load {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time that this process spent on a request, in µs: all threads, the callers included. */
  readonly cpuUs: number;
}

/** Sends one request as the holder of `token` and reads its answer. */
export async function callOnce(handle: Handle, token: string): Promise<string> {
  const headers = { authorization: `Bearer ${token}`, apikey: "sb_publishable_benchmark" };
  const response = await handle(new Request("http://127.0.0.1/functions/v1/categories", { headers }));
  const text = await response.text();
  if (response.status !== 200) throw new Error(`Answered ${response.status}: ${text}`);
  return text;
}

/** So many callers as there are tokens, each in a loop of its own: sends, reads, sends again, for `forMs`. */
export async function load(handle: Handle, tokens: readonly string[], forMs: number): Promise<Load> {
  const latencies: number[] = [];
  const cpu = cpuUsage();
  const start = performance.now();
  const until = start + forMs;
  let end = start;
  await Promise.all(tokens.map(async (token) => {
    for (let sentAt = performance.now(); sentAt < until;) {
      await callOnce(handle, token);
      end = performance.now();
      latencies.push(end - sentAt);
      sentAt = end;
    }
  }));
  const { user, system } = cpuUsage(cpu);
  return {
    requestsPerSecond: latencies.length / (end - start) * 1_000,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    cpuUs: (user + system) / latencies.length,
  };
}
