/**
 * A deterministic simulation of callers, a pool with a limit, and a backend whose latency degrades past its capacity.
 *
 * @module
 */

/** A limit on concurrent calls, as the simulation drives it. */
export interface Limiter {
  /** The number of calls that may be under way. */
  readonly limit: number;
  /** Called when a call begins. Returns what {@linkcode end} gets. */
  begin(now: number, inFlight: number, hasWaiters: boolean): unknown;
  /** Called when a call has ended. */
  end(call: unknown, now: number, outcome: "ok" | "overload"): void;
}

/** A backend. */
export interface Backend {
  /** Returns how long a call that begins now takes, in ms, and how it ends. */
  call(now: number, random: () => number): { readonly at: number; readonly outcome: "ok" | "overload" };
  /** Called when the call has ended. */
  done(now: number): void;
}

/** Options of {@linkcode latencyBackend}. */
export interface LatencyBackendOptions {
  readonly latencyMs: number;
  readonly capacity: (now: number) => number;
  /** How latency grows past capacity: `(n / capacity) ^ degrade`. 1: throughput stays; 2: it collapses. */
  readonly degrade: number;
  /** The coefficient of variation of latency. */
  readonly noise: number;
  /** Sharpness of the knee; Infinity for a corner. */
  readonly sharpness?: number;
  /** Share of slow calls, and their factor. */
  readonly slow?: { readonly share: number; readonly factor: number };
}

/** A backend whose latency depends on the calls under way when one begins. */
export function latencyBackend(options: LatencyBackendOptions): Backend {
  const { latencyMs, capacity, degrade, noise, sharpness = Infinity, slow } = options;
  let inFlight = 0;
  const sigma = Math.sqrt(Math.log(1 + noise * noise));
  return {
    call(now, random) {
      inFlight++;
      const load = inFlight / capacity(now);
      const factor = sharpness === Infinity
        ? Math.max(1, load) ** degrade
        : (1 + load ** sharpness) ** (degrade / sharpness);
      let ms = latencyMs * factor * (noise > 0 ? Math.exp(sigma * gaussian(random) - sigma * sigma / 2) : 1);
      if (slow && random() < slow.share) ms *= slow.factor;
      return { at: now + ms, outcome: "ok" };
    },
    done() {
      inFlight--;
    },
  };
}

/** A backend with `capacity` workers and one queue. */
export function queueBackend(options: LatencyBackendOptions): Backend {
  const { latencyMs, capacity, noise } = options;
  const sigma = Math.sqrt(Math.log(1 + noise * noise));
  let free: number[] = [];
  return {
    call(now, random) {
      const c = capacity(now);
      if (free.length !== c) {
        free.sort((a, b) => a - b);
        free = free.length > c ? free.slice(free.length - c) : [...free, ...Array(c - free.length).fill(now)];
      }
      let best = 0;
      for (let i = 1; i < free.length; i++) if ((free[i] as number) < (free[best] as number)) best = i;
      const start = Math.max(now, free[best] as number);
      const ms = latencyMs * (noise > 0 ? Math.exp(sigma * gaussian(random) - sigma * sigma / 2) : 1);
      free[best] = start + ms;
      return { at: start + ms, outcome: "ok" };
    },
    done() {},
  };
}

function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** A seeded generator of numbers in [0, 1): mulberry32. */
export function seeded(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

interface Pool {
  readonly limiter: Limiter;
  readonly backend: Backend;
  /** Callers in a closed loop. */
  callers: number;
  /** Thinking time between calls, in ms. */
  readonly thinkMs?: number;
  /** The number of active callers by time. Default: all. */
  readonly active?: (now: number) => number;
}

/** What one pool saw. */
export interface Seen {
  /** Ends of requests: instant, latency of the call, and latency with the wait. */
  readonly ends: { readonly at: number; readonly callMs: number; readonly totalMs: number }[];
  /** The limit, sampled each 50 ms. */
  readonly limits: { readonly at: number; readonly limit: number }[];
}

/** Runs pools for `durationMs`. */
export function simulate(pools: readonly Pool[], durationMs: number, seed: number): Seen[] {
  const random = seeded(seed);
  type Event = { at: number; run: (now: number) => void };
  const heap = new Heap<Event>((a, b) => a.at - b.at);
  const seen: Seen[] = pools.map(() => ({ ends: [], limits: [] }));
  pools.forEach((pool, index) => {
    const waiting: number[] = [];
    let head = 0;
    let inFlight = 0;
    let parked = 0;
    const saw = seen[index] as Seen;
    const pump = (now: number) => {
      while (head < waiting.length && inFlight < Math.floor(pool.limiter.limit)) {
        const asked = waiting[head++] as number;
        inFlight++;
        const call = pool.limiter.begin(now, inFlight, head < waiting.length);
        const { at, outcome } = pool.backend.call(now, random);
        heap.push({
          at,
          run: (end) => {
            inFlight--;
            pool.backend.done(end);
            saw.ends.push({ at: end, callMs: end - now, totalMs: end - asked });
            pool.limiter.end(call, end, outcome);
            next(end);
            pump(end);
          },
        });
      }
      if (head > 10_000) {
        waiting.splice(0, head);
        head = 0;
      }
    };
    const next = (now: number) => {
      const active = pool.active?.(now) ?? pool.callers;
      if (pool.callers - parked > active) {
        parked++;
        return;
      }
      if (pool.thinkMs) {
        const think = -Math.log(1 - random()) * pool.thinkMs;
        heap.push({
          at: now + think,
          run: (then) => {
            waiting.push(then);
            pump(then);
          },
        });
      } else waiting.push(now);
    };
    for (let i = 0; i < pool.callers; i++) heap.push({ at: random() * 5, run: (now) => (next(now), pump(now)) });
    for (let at = 0; at < durationMs; at += 50) {
      heap.push({
        at,
        run: (now) => {
          saw.limits.push({ at: now, limit: pool.limiter.limit });
          const active = pool.active?.(now) ?? pool.callers;
          while (parked > 0 && pool.callers - parked < active) {
            parked--;
            waiting.push(now);
          }
          pump(now);
        },
      });
    }
  });
  for (let event = heap.pop(); event && event.at < durationMs; event = heap.pop()) event.run(event.at);
  return seen;
}

class Heap<T> {
  readonly #items: T[] = [];
  constructor(private readonly compare: (a: T, b: T) => number) {}
  push(item: T): void {
    const items = this.#items;
    let i = items.push(item) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (this.compare(items[parent] as T, item) <= 0) break;
      items[i] = items[parent] as T;
      i = parent;
    }
    items[i] = item;
  }
  pop(): T | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (items.length > 0 && last !== undefined) {
      let i = 0;
      for (;;) {
        let child = 2 * i + 1;
        if (child >= items.length) break;
        if (child + 1 < items.length && this.compare(items[child + 1] as T, items[child] as T) < 0) child++;
        if (this.compare(last, items[child] as T) <= 0) break;
        items[i] = items[child] as T;
        i = child;
      }
      items[i] = last;
    }
    return top;
  }
}

/** A limit that does not change. */
export function fixedLimit(limit: number): Limiter {
  return { limit, begin: () => undefined, end: () => {} };
}

/** Throughput per second, and p99s, of the ends between two instants. */
export function summarize(seen: Seen, from: number, to: number) {
  const ends = seen.ends.filter(({ at }) => at >= from && at < to);
  const p = (values: number[], q: number) => values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))] ?? NaN;
  return {
    perSecond: ends.length / (to - from) * 1_000,
    callP50: p(ends.map(({ callMs }) => callMs), 0.5),
    callP99: p(ends.map(({ callMs }) => callMs), 0.99),
    totalP99: p(ends.map(({ totalMs }) => totalMs), 0.99),
  };
}
