/**
 * The cases: many callers of a backend that becomes slower past its capacity, through limits of all kinds.
 *
 * @module
 */
import pLimit from "p-limit";
import { SupabaseConnectionPool } from "../../shared/mod.ts";
import type { Candidate, Case, Measurement } from "../support/case.ts";
import { startChild } from "../support/child.ts";
import { quantile } from "../support/statistics.ts";

/** The metrics of a candidate. */
export type Metric =
  /** Completed calls per second. */
  | "requestsPerSecond"
  /** Median time of a call, the wait for the limit not included, in ms. */
  | "p50Ms"
  /** 99th percentile of that time, in ms. */
  | "p99Ms"
  /** The limit at the end. */
  | "limit";

/** The size of a run. */
export interface Size {
  /** Concurrent callers. */
  readonly callers: number;
  /** Run time of each candidate in a round, in ms. */
  readonly forMs: number;
  /** Run time of the first round of the limit that adapts, in ms. */
  readonly warmUpMs: number;
}

/** The size of the published results. */
export const FULL: Size = { callers: 1_000, forMs: 2_000, warmUpMs: 10_000 };

/** The size of a quick run. */
export const QUICK: Size = { callers: 1_000, forMs: 600, warmUpMs: 3_000 };

/** The fixed limits. */
export const FIXED_LIMITS: readonly number[] = [10, 20, 50, 100, 200, 400];

const P_LIMIT = 100;

/** The backends, as `--only` takes them. */
const BACKENDS = {
  small: { latencyMs: 20, capacity: 20 },
  large: { latencyMs: 50, capacity: 80 },
} as const;

/** The ids of all cases. */
export const CASE_IDS: readonly string[] = Object.keys(BACKENDS);

/** A limit under test: `call` waits for the limit and calls the backend once. */
interface Limited {
  readonly call: (signal: AbortSignal) => Promise<unknown>;
  readonly limit: () => number;
  readonly close: () => Promise<void>;
}

/** Takes the latency of each call, from before it is sent until its response has been read. */
type Timing = (startedAt: number) => void;

function timed(onEnd: { current: Timing }): typeof fetch {
  return async (input, init) => {
    const startedAt = performance.now();
    const response = await fetch(input, init);
    onEnd.current(startedAt);
    return response;
  };
}

let created = 0;

function pooled(url: string, maxConnections: number | "auto", onEnd: { current: Timing }): Limited {
  // A key of its own, so that each is a pool of its own.
  const pool = SupabaseConnectionPool.getInstance(url, `sb_publishable_${++created}`, {
    maxConnections,
    acquireTimeoutMs: 600_000,
    maxWaiters: 100_000,
    fetch: timed(onEnd),
  });
  return {
    async call(signal) {
      await using lease = await pool.lease({ signal });
      const { error } = await lease.client.from("budgets").select("id");
      if (error) throw error;
    },
    limit: () => pool.getStats().limit,
    close: () => pool.shutdown(0),
  };
}

/** `p-limit` around a pool that does not limit: the same calls, with its limit. */
function limited(url: string, onEnd: { current: Timing }): Limited {
  const limit = pLimit(P_LIMIT);
  const inner = pooled(url, 10_000, onEnd);
  return {
    ...inner,
    call: (signal) => limit(() => signal.aborted ? undefined : inner.call(signal)),
    limit: () => P_LIMIT,
  };
}

async function measure(
  { call, limit }: Limited,
  onEnd: { current: Timing },
  callers: number,
  forMs: number,
): Promise<Measurement<Metric>> {
  const latencies: number[] = [];
  const end = new AbortController();
  const start = performance.now();
  onEnd.current = (startedAt) => {
    if (!end.signal.aborted) latencies.push(performance.now() - startedAt);
  };
  const loops = Array.from({ length: callers }, async () => {
    while (!end.signal.aborted) {
      try {
        await call(end.signal);
      } catch (error) {
        if (!end.signal.aborted) throw error;
      }
    }
  });
  const failed = Promise.all(loops);
  // At least one call has to end, however slow the limit makes them.
  do await Promise.race([new Promise((resolve) => setTimeout(resolve, forMs)), failed]); while (latencies.length === 0);
  const seconds = (performance.now() - start) / 1_000;
  const measured = {
    requestsPerSecond: latencies.length / seconds,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    limit: limit(),
  };
  end.abort();
  await failed;
  return measured;
}

/** Opens the cases. Their processes and pools end with `resources`. */
export async function openCases(size: Size, resources: AsyncDisposableStack): Promise<Case<Metric>[]> {
  const script = new URL("backend.ts", import.meta.url);
  const cases: Case<Metric>[] = [];
  for (const [id, { latencyMs, capacity }] of Object.entries(BACKENDS)) {
    const child = resources.use(startChild(script, ["--allow-net=127.0.0.1"], [String(latencyMs), String(capacity)]));
    const url = await child.line();
    const candidate = (
      candidateId: string,
      title: string,
      open: (onEnd: { current: Timing }) => Limited,
    ): Candidate<Metric> => {
      const onEnd: { current: Timing } = { current: () => {} };
      const subject = open(onEnd);
      resources.defer(() => subject.close());
      let forMs = candidateId === "ours" ? size.warmUpMs : size.forMs;
      return {
        id: candidateId,
        title,
        measure() {
          const result = measure(subject, onEnd, size.callers, forMs);
          forMs = size.forMs;
          return result;
        },
      };
    };
    cases.push({
      id,
      title: `${size.callers} callers, ${latencyMs} ms, capacity ${capacity}`,
      metrics: ["requestsPerSecond", "p50Ms", "p99Ms", "limit"],
      candidates: [
        candidate("ours", '`maxConnections: "auto"`', (onEnd) => pooled(url, "auto", onEnd)),
        ...FIXED_LIMITS.map((limit) => candidate(`fixed_${limit}`, `${limit}`, (onEnd) => pooled(url, limit, onEnd))),
        candidate("unlimited", "no limit", (onEnd) => pooled(url, 10_000, onEnd)),
        candidate("p_limit", `p-limit, ${P_LIMIT}`, (onEnd) => limited(url, onEnd)),
      ],
    });
  }
  return cases;
}
