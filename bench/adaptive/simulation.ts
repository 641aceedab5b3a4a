/**
 * A deterministic simulation: callers, pools with a limit, and a backend whose latency degrades past its capacity. A
 * second takes milliseconds to simulate, and the same seed gives the same result.
 *
 * @module
 */

/** The result of a simulated call. */
export type SimulatedOutcome = "ok" | "overload";

/** A limit on concurrent calls, as the simulation drives it. `AdaptiveLimit` is one. */
export interface Limiter {
  /** The number of calls that may be under way. */
  readonly limit: number;
  /** Notes that a call begins, and returns what {@linkcode end} takes. */
  begin(now: number, inFlight: number, hasWaiters: boolean): unknown;
  /** Notes that a call has ended. */
  end(call: unknown, now: number, outcome: SimulatedOutcome): void;
}

/** A backend. */
export interface Backend {
  /** Notes that a call begins. Returns the instant at which it ends, in ms, and its outcome. */
  call(now: number, random: () => number): { readonly at: number; readonly outcome: SimulatedOutcome };
  /** Notes that a call has ended. */
  done(): void;
}

/** Options of a simulated backend. */
export interface BackendOptions {
  /** The latency of a call below capacity, in ms. */
  readonly latencyMs: number;
  /** Returns the number of calls that do not slow each other down. */
  readonly capacity: (now: number) => number;
  /** The power by which latency grows past capacity. 1: throughput stays, 2: it falls. Default: 1. */
  readonly degrade?: number;
  /** The coefficient of variation of latency. Default: 0. */
  readonly noise?: number;
  /** The number of concurrent calls above which it refuses more, after 1 ms. Default: `Infinity`. */
  readonly refuseAbove?: number;
  /** Slow calls: their share, and their latency in ms. Default: none. */
  readonly slow?: { readonly share: number; readonly latencyMs: number };
  /**
   * Pauses of the isolate or of the backend, in which no call ends: their interval and length, in ms. With a seed these
   * are means, exponentially distributed. Default: none.
   */
  readonly pauses?: { readonly everyMs: number; readonly forMs: number; readonly seed?: number };
}

/** Returns a function of the instant at which a call would end, were there no pauses: the instant at which it ends. */
function pausing(pauses: BackendOptions["pauses"]): (at: number) => number {
  if (!pauses) return (at) => at;
  const { everyMs, forMs, seed } = pauses;
  if (seed === undefined) {
    return (at) => {
      const phase = at % everyMs;
      return phase < everyMs - forMs ? at : at - phase + everyMs;
    };
  }
  const random = seeded(seed);
  const known: { readonly from: number; readonly to: number }[] = [];
  return (at) => {
    for (let last = known.at(-1)?.to ?? 0; last <= at; last = known.at(-1)?.to ?? Infinity) {
      const from = last - Math.log(1 - random()) * everyMs;
      known.push({ from, to: from - Math.log(1 - random()) * forMs });
    }
    const next = known[known.findLastIndex(({ to }) => to <= at) + 1];
    return next && next.from <= at ? next.to : at;
  };
}

/** Returns a backend whose latency depends on the number of calls under way when one begins. */
export function latencyBackend(options: BackendOptions): Backend {
  const { latencyMs, capacity, degrade = 1, noise = 0, refuseAbove = Infinity, slow } = options;
  const afterPause = pausing(options.pauses);
  let inFlight = 0;
  return {
    call(now, random) {
      if (++inFlight > refuseAbove) return { at: now + 1, outcome: "overload" };
      const ms = latencyMs * Math.max(1, inFlight / capacity(now)) ** degrade * noiseFactor(noise, random);
      const at = now + (slow && random() < slow.share ? slow.latencyMs : ms);
      return { at: afterPause(at), outcome: "ok" };
    },
    done() {
      inFlight--;
    },
  };
}

/** Returns a backend with a worker per unit of capacity, and one queue. */
export function queueBackend({ latencyMs, capacity, noise = 0 }: BackendOptions): Backend {
  /** The instant at which each worker is free. */
  let free: number[] = [];
  return {
    call(now, random) {
      const workers = capacity(now);
      if (free.length !== workers) {
        free.sort((a, b) => a - b);
        const added = Array<number>(Math.max(0, workers - free.length)).fill(now);
        free = [...free.slice(Math.max(0, free.length - workers)), ...added];
      }
      const next = free.indexOf(Math.min(...free));
      const at = Math.max(now, free[next] ?? now) + latencyMs * noiseFactor(noise, random);
      free[next] = at;
      return { at, outcome: "ok" };
    },
    done() {},
  };
}

/** Returns a factor with mean 1 and the coefficient of variation `noise`, log-normally distributed. */
function noiseFactor(noise: number, random: () => number): number {
  if (noise === 0) return 1;
  const variance = Math.log(1 + noise * noise);
  const gaussian = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.exp(Math.sqrt(variance) * gaussian - variance / 2);
}

/** Returns a seeded generator of numbers in `[0, 1)`: mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** A limit that does not change. */
export function fixedLimit(limit: number): Limiter {
  return { limit, begin: () => undefined, end: () => {} };
}

/** A pool: callers that each call again once their call has ended, and the limit they share. */
export interface SimulatedPool {
  readonly limiter: Limiter;
  readonly backend: Backend;
  readonly callers: number;
  /** The mean time between two calls of a caller, in ms, exponentially distributed. Default: 0. */
  readonly thinkMs?: number;
  /** Returns the number of callers that call. Default: all. */
  readonly active?: (now: number) => number;
}

/** The calls and limits of one pool. */
export interface Seen {
  /** Each call that ended: the instant, its latency, and its latency with the wait for the limit. */
  readonly ends: { readonly at: number; readonly callMs: number; readonly totalMs: number; readonly ok: boolean }[];
  /** The limit each {@linkcode SAMPLE_MS}. */
  readonly limits: { readonly at: number; readonly limit: number }[];
}

/** The interval at which limits are sampled, in ms. */
export const SAMPLE_MS = 50;

interface Event {
  readonly at: number;
  readonly run: (now: number) => void;
}

/** Runs pools for `durationMs` of simulated time. */
export function simulate(pools: readonly SimulatedPool[], durationMs: number, seed: number): Seen[] {
  const random = seeded(seed);
  const events = new EventQueue();
  const seen = pools.map((pool) => runPool(pool, durationMs, random, events));
  for (let event = events.pop(); event && event.at < durationMs; event = events.pop()) event.run(event.at);
  return seen;
}

function runPool(pool: SimulatedPool, durationMs: number, random: () => number, events: EventQueue): Seen {
  const { limiter, backend, callers, thinkMs = 0, active = () => callers } = pool;
  const seen: Seen = { ends: [], limits: [] };
  let waiting: number[] = [];
  let head = 0;
  let inFlight = 0;
  let parked = 0;

  const serve = (now: number) => {
    while (head < waiting.length && inFlight < limiter.limit) {
      const since = waiting[head++] ?? now;
      inFlight++;
      const call = limiter.begin(now, inFlight, head < waiting.length);
      const { at, outcome } = backend.call(now, random);
      events.push({
        at,
        run: () => {
          inFlight--;
          backend.done();
          seen.ends.push({ at, callMs: at - now, totalMs: at - since, ok: outcome === "ok" });
          limiter.end(call, at, outcome);
          callAgain(at);
          serve(at);
        },
      });
    }
    if (head > 10_000) {
      waiting = waiting.slice(head);
      head = 0;
    }
  };
  const ask = (now: number) => {
    waiting.push(now);
    serve(now);
  };
  const callAgain = (now: number) => {
    if (callers - parked > active(now)) parked++;
    else if (thinkMs > 0) events.push({ at: now - Math.log(1 - random()) * thinkMs, run: ask });
    else waiting.push(now);
  };
  const sample = (now: number) => {
    seen.limits.push({ at: now, limit: limiter.limit });
    for (; parked > 0 && callers - parked < active(now); parked--) waiting.push(now);
    serve(now);
    if (now + SAMPLE_MS < durationMs) events.push({ at: now + SAMPLE_MS, run: sample });
  };
  for (let caller = 0; caller < callers; caller++) {
    events.push({
      at: random() * 5,
      run: (now) => {
        callAgain(now);
        serve(now);
      },
    });
  }
  events.push({ at: 0, run: sample });
  return seen;
}

/** The events to come: a binary heap by instant, and by age where instants are equal. */
class EventQueue {
  readonly #events: (Event & { readonly order: number })[] = [];
  #order = 0;

  push(event: Event): void {
    const events = this.#events;
    const added = { at: event.at, run: event.run, order: this.#order++ };
    let index = events.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const other = events[parent];
      if (!other || !isBefore(added, other)) break;
      events[index] = other;
      index = parent;
    }
    events[index] = added;
  }

  pop(): Event | undefined {
    const events = this.#events;
    const first = events[0];
    const last = events.pop();
    if (!last || events.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      const left = events[child];
      const right = events[child + 1];
      if (!left) break;
      if (right && isBefore(right, left)) child++;
      const next = events[child];
      if (!next || !isBefore(next, last)) break;
      events[index] = next;
      index = child;
    }
    events[index] = last;
    return first;
  }
}

function isBefore(a: Event & { readonly order: number }, b: Event & { readonly order: number }): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** The calls that ended between two instants, in numbers. */
export interface Summary {
  /** Calls that succeeded, per second. */
  readonly perSecond: number;
  /** The 50th and 99th percentile of the latency of calls, in ms. */
  readonly callP50: number;
  readonly callP99: number;
  /** The 99th percentile of latency with the wait for the limit, in ms. */
  readonly totalP99: number;
}

/** Summarizes the calls that ended from `from` and before `to`. */
export function summarize(seen: Seen, from: number, to: number): Summary {
  const ends = seen.ends.filter(({ at, ok }) => ok && at >= from && at < to);
  const calls = Float64Array.from(ends, ({ callMs }) => callMs).sort();
  const totals = Float64Array.from(ends, ({ totalMs }) => totalMs).sort();
  const quantile = (sorted: Float64Array, share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
  return {
    perSecond: ends.length / (to - from) * 1_000,
    callP50: quantile(calls, 0.5),
    callP99: quantile(calls, 0.99),
    totalP99: quantile(totals, 0.99),
  };
}
