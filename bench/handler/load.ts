/**
 * Concurrent callers of a handler.
 *
 * @module
 */
import { cpuUsage } from "node:process";
import { quantile } from "../support/statistics.ts";
import type { Handle } from "./candidates.ts";

/** The result of a load. */
export interface Load {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time per request in µs, all threads of this process and the callers included. */
  readonly cpuUs: number;
}

/** Sends one request with `token` and reads the response. */
export async function callOnce(handle: Handle, token: string): Promise<string> {
  const headers = { authorization: `Bearer ${token}`, apikey: "sb_publishable_benchmark" };
  const response = await handle(new Request("http://127.0.0.1/functions/v1/categories", { headers }));
  const text = await response.text();
  if (response.status !== 200) throw new Error(`The handler responded ${response.status}: ${text}`);
  return text;
}

/** Sends requests for `forMs` from one caller per token; each sends its next request when the last is complete. */
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
