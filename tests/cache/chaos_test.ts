/** A real Redis that is killed, stopped, restarted, full, flushed and unreachable: no request fails, none is wrong. */
import { assert, assertEquals, assertLess } from "@std/assert";
import { LayeredCache, type LayeredCacheOptions } from "../../shared/cache/mod.ts";
import { redisServer, TestRedis } from "../support/redis.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { until } from "../support/until.ts";

const KEYS = 20;
const COMMAND_TIMEOUT_MS = 150;

/** Requests of two isolates that read and write the same keys, and check each value. */
class Load implements Disposable {
  readonly isolates: readonly LayeredCache[];
  /** The version of each key in the source; a write raises it before it deletes the key. */
  readonly #versions: number[] = Array.from({ length: KEYS }, () => 1);
  readonly failures: unknown[] = [];
  readonly wrong: string[] = [];
  slowestMs = 0;
  requests = 0;
  #isRunning = false;
  #workers: Promise<void>[] = [];

  constructor(url: string, options: LayeredCacheOptions = {}) {
    const redis = { url, commandTimeoutMs: COMMAND_TIMEOUT_MS, connectTimeoutMs: 300 };
    this.isolates = [0, 1].map(() => new LayeredCache({ memorySeconds: 0.2, redis, ...options }));
  }

  start(): void {
    this.#isRunning = true;
    this.#workers = this.isolates.flatMap((cache) => [this.#read(cache), this.#read(cache), this.#read(cache)]);
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    await Promise.all(this.#workers);
  }

  async #read(cache: LayeredCache): Promise<void> {
    for (let turn = Math.floor(Math.random() * KEYS); this.#isRunning; turn++) {
      const at = turn % KEYS;
      const before = this.#versions[at] ?? 0;
      const start = performance.now();
      try {
        const version = await cache.getOrLoad(`key:${at}`, async () => {
          await new Promise((resolve) => setTimeout(resolve, 2));
          return { at, version: this.#versions[at] ?? 0 };
        }, { ttlSeconds: 1, graceSeconds: 0 });
        if (version.at !== at || version.version > (this.#versions[at] ?? 0)) this.wrong.push(`key:${at}`);
        // Where messages and Redis work, a value of before its last deletion is late by a round trip at most.
        if (version.version < before - 1) this.wrong.push(`key:${at}: ${version.version} after ${before}`);
      } catch (error) {
        this.failures.push(error);
      }
      this.slowestMs = Math.max(this.slowestMs, performance.now() - start);
      this.requests++;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Changes a key in the source, and removes it from the cache. */
  async change(at: number, cache = 0): Promise<void> {
    this.#versions[at] = (this.#versions[at] ?? 0) + 1;
    await this.isolates[cache]?.delete(`key:${at}`);
  }

  /** Waits until every isolate uses Redis again. */
  async recovered(): Promise<void> {
    for (const [index, cache] of this.isolates.entries()) {
      await until("Redis is used again", async () => {
        await cache.get(`recovered:${index}`);
        const { isConnected, isSubscribed, circuit, pendingInvalidations } = redisOf(cache);
        return isConnected && isSubscribed && circuit.state === "closed" && pendingInvalidations === 0;
      });
    }
  }

  /** Asserts that no request failed, was wrong, or waited for more than `limitMs`. */
  check(limitMs: number): void {
    assertEquals(this.failures, []);
    assertEquals(this.wrong, []);
    assertLess(this.slowestMs, limitMs);
    assert(this.requests > 100, `only ${this.requests} requests`);
  }

  [Symbol.dispose](): void {
    for (const cache of this.isolates) cache.close();
  }
}

function redisOf(cache: LayeredCache) {
  const { redis } = cache.stats();
  assert(redis);
  return redis;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs the load before, during and after a fault. */
async function survives(
  fault: (redis: TestRedis) => Promise<void> | void,
  repair: (redis: TestRedis) => Promise<void> | void,
  whileBroken: (load: Load) => Promise<void> | void = () => {},
  { limitMs = 1_500, duringMs = 1_000 } = {},
): Promise<void> {
  await using redis = await TestRedis.start();
  using load = new Load(redis.url);
  load.start();
  await pause(200);
  await fault(redis);
  await pause(duringMs);
  await whileBroken(load);
  await repair(redis);
  await load.recovered();
  await pause(200);
  await load.stop();
  load.check(limitMs);
}

function chaos(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `LayeredCache: ${name}${redisServer.note}`, ignore: redisServer.ignore, fn });
}

chaos("no request fails or is wrong while Redis is killed and comes back empty", () =>
  survives(
    (redis) => redis.kill(),
    (redis) => redis.restart(),
    (load) => {
      for (const cache of load.isolates) {
        const { isConnected, circuit, failedReads } = redisOf(cache);
        assertEquals([isConnected, circuit.state === "closed"], [false, false]);
        assert(failedReads > 0);
      }
    },
  ));

chaos("no request fails, is wrong or stalls while Redis is stopped (SIGSTOP)", () =>
  survives(
    (redis) => redis.stop(),
    (redis) => redis.resume(),
    (load) => {
      for (const cache of load.isolates) {
        const { circuit, timeouts } = redisOf(cache);
        assert(circuit.state !== "closed" || timeouts > 0);
      }
    },
    { duringMs: 2_000 },
  ));

chaos("a value that was deleted while Redis was stopped does not come back with it", async () => {
  await using redis = await TestRedis.start();
  using load = new Load(redis.url);
  const [one, other] = load.isolates;
  assert(one && other);
  await one.set("deleted", "old", 60);
  await one.set("changed", "old", 60);
  redis.stop();
  await Promise.all([one.delete("deleted"), one.set("changed", "new", 60)]);
  assertEquals([await one.get("deleted"), await one.get("changed")], [undefined, "new"]);
  assert(redisOf(one).pendingInvalidations >= 2);
  redis.resume();
  await load.recovered();
  for (const cache of [one, other]) {
    assertEquals(await cache.get("deleted"), undefined);
    assert(await cache.get("changed") !== "old");
  }
});

chaos("a Redis that is full (OOM) does not keep an old value in place of a new one", async () => {
  await using redis = await TestRedis.start();
  using cache = new LayeredCache({ redis: redis.url, memory: false });
  await cache.set("changed", "old", 60);
  await redis.cli("CONFIG", "SET", "maxmemory-policy", "noeviction");
  await redis.cli("CONFIG", "SET", "maxmemory", "1");
  await cache.set("changed", "new", 60);
  assertEquals(await cache.get("changed"), undefined);
  let loads = 0;
  const load = () => Promise.resolve(`loaded ${++loads}`);
  assertEquals(await cache.getOrLoad("changed", load, 60), "loaded 1");
  const { full, circuit } = redisOf(cache);
  assert(full > 0);
  // It reads and deletes: its circuit stays closed.
  assertEquals(circuit.state, "closed");
  await redis.cli("CONFIG", "SET", "maxmemory", "0");
  assertEquals(await cache.getOrLoad("changed", load, 60), "loaded 2");
  assertEquals(await cache.get("changed"), "loaded 2");
});

chaos("no request fails or is wrong while Redis is full", () =>
  survives(
    async (redis) => {
      await redis.cli("CONFIG", "SET", "maxmemory-policy", "noeviction");
      await redis.cli("CONFIG", "SET", "maxmemory", "1");
    },
    async (redis) => void await redis.cli("CONFIG", "SET", "maxmemory", "0"),
    (load) => load.change(3),
  ));

chaos("no request fails or is wrong while Redis is flushed again and again", () =>
  survives(
    async (redis) => {
      for (let turn = 0; turn < 10; turn++) {
        await redis.cli("FLUSHALL");
        await pause(30);
      }
    },
    () => {},
  ));

chaos("a wrong password fails no request, appears nowhere, and opens the circuit", async () => {
  await using redis = await TestRedis.start("--requirepass", "right-password");
  using load = new Load(`redis://:wrong-password@127.0.0.1:${redis.port}`);
  load.start();
  await pause(700);
  await load.stop();
  load.check(1_000);
  const [cache] = load.isolates;
  assert(cache);
  assert(!redisOf(cache).isConnected);
  assert(!JSON.stringify(cache.stats()).includes("password"));
  using right = new LayeredCache({ redis: `redis://:right-password@127.0.0.1:${redis.port}/3` });
  await right.set("a", 1);
  assert(redisOf(right).isConnected);
});

chaos("a half-open socket is replaced after one deadline", async () => {
  await using redis = await TestRedis.start();
  await using proxy = await TcpProxy.start({ host: "127.0.0.1", port: redis.port });
  using load = new Load(`redis://127.0.0.1:${proxy.port}`);
  load.start();
  await pause(200);
  // The open connections are silent from now on; others work.
  for (const connection of proxy.connections) connection.stall();
  await pause(500);
  await load.recovered();
  await load.stop();
  load.check(1_000);
  for (const cache of load.isolates) assert(redisOf(cache).timeouts > 0);
  proxy.resume();
});

chaos("an outage grows nothing: neither listeners, nor connections, nor pending work", async () => {
  await using redis = await TestRedis.start();
  using load = new Load(redis.url, { memory: { maxEntries: 10, maxBytes: 20_000 } });
  load.start();
  for (let turn = 0; turn < 6; turn++) {
    await pause(60);
    await redis.kill();
    await pause(60);
    await redis.restart();
    await load.recovered();
  }
  await load.stop();
  load.check(1_000);
  const clients = await redis.cli("CLIENT", "LIST");
  // Two isolates with two connections each, and that of redis-cli.
  assertEquals(clients.split("\n").length, 5);
  for (const cache of load.isolates) {
    const { memory, redis: state } = cache.stats();
    assert(memory.entries <= 10 && memory.bytes <= 20_000);
    assertEquals(state?.pendingInvalidations, 0);
  }
});

chaos("invalidations reach the memory of another isolate", async () => {
  await using redis = await TestRedis.start();
  using one = new LayeredCache({ redis: redis.url, memorySeconds: 60 });
  using other = new LayeredCache({ redis: redis.url, memorySeconds: 60 });
  for (const cache of [one, other]) {
    await cache.get("connects");
    await until("messages arrive", () => redisOf(cache).isSubscribed);
  }
  await one.set("a", "old", 60);
  await until("the message has arrived", () => redisOf(other).receivedInvalidations === 1);
  assertEquals([await other.get("a"), await other.get("a"), other.stats().memory.hits], ["old", "old", 1]);
  await one.set("a", "new", 60);
  await until("the new value is there", async () => await other.get("a") === "new");
  await one.set("tagged", 1, { ttlSeconds: 60, tags: ["t"] });
  await until("the value is there", async () => await other.get("tagged") === 1);
  await one.invalidateTags(["t"]);
  await until("the tag is invalid", async () => await other.get("tagged") === undefined);
  // An isolate that had no connection for messages drops what it remembers.
  await one.set("b", "old", 60);
  await until("the value is there", async () => await other.get("b") === "old");
  const { drops } = other.stats().memory;
  await redis.cli("CLIENT", "KILL", "TYPE", "pubsub");
  await until("the memory was dropped", () => other.stats().memory.drops > drops);
});

chaos("values of foreign writers are misses, and pollute nothing", async () => {
  await using redis = await TestRedis.start();
  using cache = new LayeredCache({ redis: redis.url, memory: false });
  const foreign = [
    "",
    "plain text",
    "[]",
    "{}",
    "null",
    '[1,1,1,1,0,{"__proto__":{"polluted":true}}]',
    `[1,9e15,9e15,9e15,0,{"__proto__":{"polluted":true}}]`,
    `[1,${Number.MAX_SAFE_INTEGER},1,1,0,{"a":{"__proto__":{"polluted":true}}}]`,
    `[1,${Number.MAX_SAFE_INTEGER},1,1,0,{"$":"object","v":[["__proto__",{"polluted":true}]]}]`,
    `[1,${Number.MAX_SAFE_INTEGER},1,1,0,{"$":"bigint","v":"${"9".repeat(100_000)}"}]`,
    `[1,${Number.MAX_SAFE_INTEGER},1,1,0,{"$":"constructor"}]`,
    `[1,${Number.MAX_SAFE_INTEGER},1,1,0,${"[".repeat(50_000)}${"]".repeat(50_000)}]`,
    `[1,${Number.MAX_SAFE_INTEGER},1,1,[["a"]],1]`,
    `[2,${Number.MAX_SAFE_INTEGER},1,1,0,1]`,
    "\u0000\u00ff\uffff",
  ];
  for (const [index, text] of foreign.entries()) {
    await sendRaw(redis, ["SET", `cache:v:foreign:${index}`, text]);
    assertEquals(await cache.get(`foreign:${index}`), undefined, text.slice(0, 80));
  }
  assertEquals(redisOf(cache).foreign, foreign.length);
  // Another type of value, and bytes that are not UTF-8.
  await redis.cli("LPUSH", "cache:v:list", "a");
  assertEquals(await cache.get("list"), undefined);
  assertEquals(await cache.getOrLoad("list", () => "loaded"), "loaded");
  assertEquals(({} as Record<string, unknown>).polluted, undefined);
});

/** Sends one command in the protocol of Redis, with its bytes as they are. */
async function sendRaw(redis: TestRedis, command: readonly string[]): Promise<void> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: redis.port });
  const encoder = new TextEncoder();
  const parts = command.map((part) => encoder.encode(part));
  const head = encoder.encode(`*${parts.length}\r\n`);
  const writer = connection.writable.getWriter();
  await writer.write(head);
  for (const part of parts) {
    await writer.write(encoder.encode(`$${part.length}\r\n`));
    await writer.write(part);
    await writer.write(encoder.encode("\r\n"));
  }
  await connection.read(new Uint8Array(64)).catch(() => {});
  writer.releaseLock();
}
