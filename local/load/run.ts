/**
 * Sends load and counts the responses.
 *
 * @module
 */
import { TimeHistogram } from "./histogram.ts";

/** A turn that is missed by more than this after the end is not taken, in ms: a timer may be late. */
const LATE_MS = 100;

/** The load to send. */
export interface LoadPlan {
  /** Requests per second. `undefined`: each caller sends its next request after a response. */
  readonly rps: number | undefined;
  /** The callers, or with `rps` the most requests in flight. */
  readonly concurrency: number;
  readonly seconds: number;
}

/** The outcome of one request: the status of its response or `undefined`, and the code of its error, if it was one. */
export interface Outcome {
  readonly status: number | undefined;
  readonly code: string | undefined;
}

/** The outcomes of a load, while it runs and afterwards. */
export class LoadResult {
  /** The times of successful responses. */
  readonly successes: TimeHistogram = new TimeHistogram();
  /** The times of all outcomes. */
  readonly times: TimeHistogram = new TimeHistogram();
  /** The counts of outcomes that were not successful, by status and code. */
  readonly refusals: Map<string, number> = new Map();
  /** The time since the start, in ms. */
  elapsedMs = 0;
  /** The requests that are in flight now. */
  inFlight = 0;
  /** The requests that had no outcome when the load was interrupted. */
  unfinished = 0;
  /** The requests whose turn came, but which could not be sent within the time. */
  unsent = 0;
  /** The longest time that a request was sent after its turn, in ms. */
  latestMs = 0;

  /** Counts an outcome. */
  add({ status, code }: Outcome, ms: number): void {
    this.times.add(ms);
    if (status !== undefined && status < 400 && code === undefined) this.successes.add(ms);
    else {
      const key = [status ?? "no response", code].filter((part) => part !== undefined).join(" ");
      // A function may invent codes: their number is bounded.
      const known = this.refusals.has(key) || this.refusals.size < 50 ? key : "other codes";
      this.refusals.set(known, (this.refusals.get(known) ?? 0) + 1);
    }
  }
}

/** Waits for at most `ms`, or until the signal, which is not aborted yet, is. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal.addEventListener("abort", finish);
  });
}

/**
 * Sends load until its time is up or the signal is aborted, which aborts what is in flight.
 *
 * With `rps`, request n has its turn at n / rps: its time counts from then, whether or not it could be sent. A function
 * that stalls is thus measured as its callers would see it, with every request that they would have sent meanwhile.
 *
 * @param send Sends one request. It must settle soon after its signal is aborted.
 * @param result Counts the outcomes, and can be read meanwhile.
 */
export async function runLoad(
  { rps, concurrency, seconds }: LoadPlan,
  send: (signal: AbortSignal) => Promise<Outcome>,
  signal: AbortSignal,
  result: LoadResult,
): Promise<void> {
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  const count = rps === undefined ? Infinity : Math.ceil(rps * seconds - 1e-9);
  let next = 0;
  const elapsed = () => performance.now() - startMs;
  const one = async (turnMs: number) => {
    result.inFlight++;
    const outcome = await send(signal).catch((error: unknown): Outcome => ({
      status: undefined,
      code: error instanceof Error ? error.name : "Error",
    }));
    result.inFlight--;
    if (signal.aborted) result.unfinished++;
    else result.add(outcome, performance.now() - turnMs);
  };
  const caller = async () => {
    while (!signal.aborted && next < count) {
      if (rps === undefined) {
        if (performance.now() >= endMs) return;
        await one(performance.now());
        continue;
      }
      const turnMs = startMs + next++ / rps * 1000;
      const earlyMs = turnMs - performance.now();
      if (earlyMs > 0) await pause(earlyMs, signal);
      if (signal.aborted) return;
      const nowMs = performance.now();
      if (nowMs >= endMs && nowMs - turnMs > LATE_MS) {
        result.unsent++;
        continue;
      }
      result.latestMs = Math.max(result.latestMs, nowMs - turnMs);
      await one(turnMs);
    }
  };
  const timer = setInterval(() => result.elapsedMs = elapsed(), 100);
  try {
    await Promise.all(Array.from({ length: Math.min(concurrency, count) }, caller));
  } finally {
    clearInterval(timer);
    result.elapsedMs = elapsed();
  }
}
