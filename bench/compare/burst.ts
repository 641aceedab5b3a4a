/**
 * A burst of requests.
 *
 * @module
 */
import { quantile } from "../support/statistics.ts";
import type { Burst, HeapSample } from "./metrics.ts";
import { countSockets } from "./sockets.ts";
import type { Endpoint, QueryRows } from "./candidates.ts";

/** The number of concurrent requests. */
export const CONCURRENT = 100;

const SAMPLE_MS = 20;
const MB = 2 ** 20;

/** Options of {@linkcode burst}. */
export interface BurstOptions {
  /** The requests of each caller, sent one after the other. */
  readonly requests: number;
  /** The number of callers. Default: {@linkcode CONCURRENT}. */
  readonly callers?: number;
}

/**
 * Sends a burst through `queryRows` and measures it. A request that rejects counts as failed.
 *
 * @throws {Error} when a caller gets no rows, or every request fails.
 */
export async function burst(queryRows: QueryRows, { url, tokens }: Endpoint, options: BurstOptions): Promise<Burst> {
  const { requests, callers = CONCURRENT } = options;
  const port = Number(new URL(url).port);
  const latencies: number[] = [];
  const failures: unknown[] = [];
  const heap: HeapSample[] = [];
  let sockets = countSockets(port);
  const start = performance.now();
  const sample = () => {
    heap.push([performance.now() - start, Deno.memoryUsage().heapUsed / MB]);
    sockets = Math.max(sockets, countSockets(port));
  };
  sample();
  const sampling = setInterval(sample, SAMPLE_MS);
  try {
    await Promise.all(Array.from({ length: callers }, async (_, caller) => {
      for (let request = 0; request < requests; request++) {
        const askedAt = performance.now();
        let rows: number;
        try {
          rows = await queryRows(tokens[caller % tokens.length] ?? "");
        } catch (error) {
          failures.push(error);
          continue;
        }
        latencies.push(performance.now() - askedAt);
        if (rows === 0) throw new Error("A user got no rows");
      }
    }));
  } finally {
    clearInterval(sampling);
  }
  const tookMs = performance.now() - start;
  sample();
  if (latencies.length === 0) throw new Error("Every request of the burst failed", { cause: failures[0] });
  return {
    measured: {
      meanMs: latencies.reduce((sum, ms) => sum + ms, 0) / latencies.length,
      p50Ms: quantile(latencies, 0.5),
      p95Ms: quantile(latencies, 0.95),
      p99Ms: quantile(latencies, 0.99),
      requestsPerSecond: latencies.length / tookMs * 1_000,
      failedPercent: failures.length / (failures.length + latencies.length) * 100,
      sockets,
      heapMb: Math.max(...heap.map(([, mb]) => mb)),
    },
    heap,
  };
}
