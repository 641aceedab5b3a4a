/**
 * The cases: hits in memory, hits in Redis, and misses of many callers at once.
 *
 * @module
 */
import { Redis } from "ioredis";
import { LRUCache } from "lru-cache";
import { LayeredCache, RedisCache } from "../../shared/cache/mod.ts";
import { TestRedis } from "../../tests/support/redis.ts";
import type { Case, Measurement } from "../support/case.ts";

/** The metrics of a candidate. */
export type Metric =
  /** Time of one read, in ns. */
  | "ns"
  /** Reads per second. */
  | "perSecond"
  /** Calls of the loader. */
  | "loads";

/** The size of a run. */
export interface Size {
  /** Reads of memory. */
  readonly hits: number;
  /** Reads of Redis. */
  readonly reads: number;
}

/** The size of the published results. */
export const FULL: Size = { hits: 300_000, reads: 6_000 };

/** The number of keys. */
const KEYS = 1_000;

/** The number of callers that miss the same key at once. */
export const CALLERS = 1_000;

/** The ids of all cases, as `--only` takes them. */
export const CASE_IDS: readonly string[] = ["memory", "redis", "redis_100", "misses"];

const keys = Array.from({ length: KEYS }, (_, index) => `user:${index}`);
const row = (index: number) => ({ id: index, name: "John", email: "john@example.com", created_at: "2026-01-01" });

/** Awaits reads one after the other. */
async function oneByOne(count: number, read: (key: string) => unknown): Promise<Measurement<Metric>> {
  const start = performance.now();
  for (let turn = 0; turn < count; turn++) await read(keys[turn % KEYS] ?? "");
  const ms = performance.now() - start;
  return { ns: ms * 1e6 / count, perSecond: count / ms * 1_000 };
}

/** Reads as `callers` concurrent callers, each of whom reads again when it has read. */
async function concurrently(
  callers: number,
  count: number,
  read: (key: string) => unknown,
): Promise<Measurement<Metric>> {
  let turn = 0;
  const start = performance.now();
  await Promise.all(Array.from({ length: callers }, async () => {
    while (turn < count) await read(keys[turn++ % KEYS] ?? "");
  }));
  const ms = performance.now() - start;
  return { ns: ms * 1e6 / turn, perSecond: turn / ms * 1_000 };
}

/** Opens the cases. Their connections and the server end with `resources`. */
export async function openCases(
  { hits, reads }: Size,
  resources: AsyncDisposableStack,
): Promise<Case<Metric>[]> {
  const redis = resources.use(await TestRedis.start());
  const bare = new Redis({ host: "127.0.0.1", port: redis.port });
  resources.defer(() => bare.disconnect());
  const ours = resources.use(new RedisCache({ redis: redis.url }));
  const memory = resources.use(new LayeredCache());
  const plain = new LRUCache<string, object>({ max: 10_000 });
  const withTtl = new LRUCache<string, object>({ max: 10_000, ttl: 3_600_000 });
  for (const [index, key] of keys.entries()) {
    await ours.set(key, row(index), 3_600);
    await memory.set(key, row(index), 3_600);
    await bare.set(key, JSON.stringify(row(index)));
    plain.set(key, row(index));
    withTtl.set(key, row(index));
  }
  const load = () => Promise.reject(new Error("Every key is cached"));
  const readBare = async (key: string): Promise<unknown> => JSON.parse(await bare.get(key) ?? "");
  const readOurs = (key: string) => ours.getOrLoad(key, load, 60);
  const miss = async (id: string, cache: LayeredCache): Promise<Measurement<Metric>> => {
    let loads = 0;
    const key = `${id}:${crypto.randomUUID()}`;
    const start = performance.now();
    await Promise.all(Array.from({ length: CALLERS }, () =>
      cache.getOrLoad(key, async () => {
        loads++;
        await new Promise((resolve) => setTimeout(resolve, 5));
        return row(1);
      }, 60)));
    return { loads, ns: (performance.now() - start) * 1e6 / CALLERS, perSecond: NaN };
  };
  return [
    {
      id: "memory",
      title: "a hit in memory, awaited",
      metrics: ["ns"],
      candidates: [
        { id: "lru", title: "`lru-cache`", measure: () => oneByOne(hits, (key) => plain.get(key)) },
        { id: "lru_ttl", title: "`lru-cache` with a TTL", measure: () => oneByOne(hits, (key) => withTtl.get(key)) },
        { id: "get", title: "`LayeredCache.get`", measure: () => oneByOne(hits, (key) => memory.get(key)) },
        {
          id: "getOrLoad",
          title: "`LayeredCache.getOrLoad`",
          measure: () => oneByOne(hits, (key) => memory.getOrLoad(key, load, 60)),
        },
      ],
    },
    {
      id: "redis",
      title: "a hit in Redis, one caller",
      metrics: ["perSecond"],
      candidates: [
        { id: "ioredis", title: "`ioredis`: `get`, `JSON.parse`", measure: () => oneByOne(reads, readBare) },
        { id: "ours", title: "`RedisCache.getOrLoad`", measure: () => oneByOne(reads, readOurs) },
      ],
    },
    {
      id: "redis_100",
      title: "hits in Redis, 100 callers at once",
      metrics: ["perSecond"],
      candidates: [
        {
          id: "ioredis",
          title: "`ioredis`: `get`, `JSON.parse`",
          measure: () => concurrently(100, reads * 5, readBare),
        },
        { id: "ours", title: "`RedisCache.getOrLoad`", measure: () => concurrently(100, reads * 5, readOurs) },
      ],
    },
    {
      id: "misses",
      title: `${CALLERS.toLocaleString("en")} callers miss one key at once; the loader takes 5 ms`,
      metrics: ["loads", "ns"],
      candidates: [
        { id: "memory", title: "memory only", measure: () => miss("memory", memory) },
        { id: "redis", title: "with Redis", measure: () => miss("redis", ours) },
      ],
    },
  ];
}
