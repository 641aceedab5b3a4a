/**
 * `deno task outage`: an outage of the Data API under load, with and without circuit breaker and retry budget. Counts
 * what reaches the backend.
 *
 * @module
 */
import { delay } from "@std/async";
import { SupabaseConnectionPool, type SupabasePoolConfig } from "../../../shared/supabase/mod.ts";
import { Backend } from "./backend.ts";

/** Options of {@linkcode runOutage}. */
export interface OutageOptions {
  /** The number of callers. Each sends one read and one write every `everyMs`, whatever became of those before. */
  readonly callers: number;
  readonly everyMs: number;
  /** The length of the outage, in ms. Before and after it, the backend responds for a second. */
  readonly outageMs: number;
  /** The time that each read may take, in ms. */
  readonly deadlineMs: number;
  /** Options of the pool. */
  readonly config: Partial<SupabasePoolConfig>;
}

/** The result of {@linkcode runOutage}. Counts are of the time of the outage, unless they say otherwise. */
export interface OutageResult {
  /** The reads and the writes that began. */
  readonly reads: number;
  readonly writes: number;
  /** The requests that reached the backend. */
  readonly reached: number;
  /** The reads that failed though they began less than their deadline before the recovery. */
  readonly lostReads: number;
  /** The longest time in which a write that failed was rejected, in ms. */
  readonly slowestRejectionMs: number;
  /** The time from the recovery until the first call succeeded, in ms. */
  readonly firstSuccessMs: number;
  /** The most requests that reached the backend in one second of the outage, after its first. */
  readonly mostInASecond: number;
}

/** The time for which the backend responds before the outage, in ms. */
const BEFORE_MS = 1_000;

/** Runs callers through an outage in which the backend responds 503. */
export async function runOutage(options: OutageOptions): Promise<OutageResult> {
  const { callers, everyMs, outageMs, deadlineMs, config } = options;
  await using backend = new Backend();
  backend.latencyMs = 5;
  const pool = SupabaseConnectionPool.getInstance(backend.url, "sb_publishable_outage", {
    maxConnections: 50,
    ...config,
  });
  const calls: { kind: "read" | "write"; begun: number; ended: number; failed: boolean }[] = [];
  const underWay: Promise<void>[] = [];
  const call = async (kind: "read" | "write") => {
    const begun = performance.now();
    const until = begun + deadlineMs;
    const scope = pool.scope({ timeLeftMs: () => until - performance.now() });
    const table = scope.client().from("t");
    const { error } = await (kind === "read" ? table.select() : table.insert([]));
    calls.push({ kind, begun, ended: performance.now(), failed: error !== null });
    await scope.close().drained;
  };

  const start = performance.now();
  const down = start + BEFORE_MS;
  const recovery = down + outageMs;
  const end = recovery + 1_000;
  const events = [{ at: down, mode: "unavailable" as const }, { at: recovery, mode: "up" as const }];
  let recovered = recovery;
  for (let nth = 0;; nth++) {
    const now = performance.now();
    for (let event = events[0]; event && event.at <= now; event = events[0]) {
      backend.mode = event.mode;
      if (event.mode === "up") recovered = performance.now();
      events.shift();
    }
    if (now >= end) break;
    // One caller after the other, evenly.
    underWay.push(call("read"), call("write"));
    const next = start + (nth + 1) * everyMs / callers;
    await delay(Math.max(0, next - performance.now()));
  }
  await Promise.all(underWay);
  await pool.shutdown(0);

  const during = calls.filter(({ begun }) => begun >= down && begun < recovered);
  const rejected = during.filter(({ kind, failed }) => kind === "write" && failed);
  const successes = calls.filter(({ failed, ended }) => !failed && ended >= recovered);
  const seconds = Array.from(
    { length: Math.max(1, Math.floor(outageMs / 1_000) - 1) },
    (_, second) => backend.countBetween(down + (second + 1) * 1_000, Math.min(recovered, down + (second + 2) * 1_000)),
  );
  return {
    reads: during.filter(({ kind }) => kind === "read").length,
    writes: during.filter(({ kind }) => kind === "write").length,
    reached: backend.countBetween(down, recovered),
    lostReads: during.filter(({ kind, failed, begun }) => kind === "read" && failed && begun + deadlineMs > recovered)
      .length,
    slowestRejectionMs: Math.max(0, ...rejected.map(({ begun, ended }) => ended - begun)),
    firstSuccessMs: Math.min(...successes.map(({ ended }) => ended)) - recovered,
    mostInASecond: Math.max(...seconds),
  };
}

/** The configurations that are compared. */
export const CONFIGURATIONS: Readonly<Record<string, Partial<SupabasePoolConfig>>> = {
  "neither": { circuitBreaker: false, retryBudget: false },
  "retry budget": { circuitBreaker: false, retryBudget: true },
  "circuit breaker": { circuitBreaker: true, retryBudget: false },
  "both (default)": { circuitBreaker: true, retryBudget: true },
};

const HELP = `Usage: deno task outage [--seconds 60] [--callers 100] [--every 10]

Runs an outage of the Data API (503) under load, with and without circuit breaker
and retry budget, and prints what reached the backend.

  --seconds  The length of the outage
  --callers  The number of callers; each sends a read and a write at a time
  --every    The time between two requests of a caller, in seconds
  --help     Print this`;

function numberOf(name: string, otherwise: number): number {
  const at = Deno.args.indexOf(`--${name}`);
  const value = at < 0 ? otherwise : Number(Deno.args[at + 1]);
  if (!(value > 0)) throw new Error(`--${name} must be a number above 0`);
  return value;
}

if (import.meta.main) {
  if (Deno.args.includes("--help")) {
    console.log(HELP);
  } else {
    const [seconds, callers, every] = [numberOf("seconds", 60), numberOf("callers", 100), numberOf("every", 10)];
    const rows: Record<string, OutageResult> = {};
    // At the same time: each has a backend and a pool of its own.
    await Promise.all(
      Object.entries(CONFIGURATIONS).map(async ([name, config]) => {
        rows[name] = await runOutage({
          callers,
          everyMs: every * 1_000,
          outageMs: seconds * 1_000,
          deadlineMs: seconds * 1_500,
          config,
        });
      }),
    );
    console.table(Object.fromEntries(Object.keys(CONFIGURATIONS).map((name) => [name, rows[name]])));
  }
}
