/**
 * Random scripts of two isolates on a fake Redis, which fails, fills up, loses replies and messages, and is flushed, on
 * a fake clock. After each step the values that were read are compared with a model of what they may be.
 */
import { assert } from "@std/assert";
import fc from "fast-check";
import { CacheUnavailableError, LayeredCache } from "../../shared/cache/mod.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FakeRedis, FakeServer } from "./fake_redis.ts";

const KEYS = ["a", "b", "~s:a"] as const;
const TTL_SECONDS = 20;
const MEMORY_SECONDS = 3;

type Step =
  | { readonly kind: "set" | "delete" | "get" | "load" | "loadFails"; readonly isolate: number; readonly key: number }
  | { readonly kind: "tag"; readonly isolate: number }
  | { readonly kind: "advance"; readonly ms: number }
  | { readonly kind: "down" | "up" | "deaf" | "resubscribe" | "losesReplies"; readonly isolate: number }
  | { readonly kind: "full" | "fits" | "flush" };

const isolate = fc.nat({ max: 1 });
const key = fc.nat({ max: KEYS.length - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ kind: fc.constantFrom("set", "delete", "get", "load", "loadFails"), isolate, key }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("tag" as const), isolate }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: fc.nat({ max: 9_000 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom("down", "up", "deaf", "resubscribe", "losesReplies"), isolate }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("full", "fits", "flush") }) },
);

/** A version of the value of a key. */
interface Version {
  readonly number: number;
  /** The instant at which a newer one superseded it, by the isolate that wrote it; `Infinity` for none. */
  supersededAt: number;
  supersededBy: number | undefined;
  /** True if Redis and both isolates worked then: every isolate knows at once. */
  isKnown: boolean;
  /** The end of its time to live: the latest of all copies. */
  until: number;
}

class World {
  readonly clock = new FakeClock();
  readonly server = new FakeServer(() => this.clock.now());
  readonly redis = [new FakeRedis(this.server), new FakeRedis(this.server)] as const;
  readonly caches = this.redis.map((redis) =>
    new LayeredCache({
      clock: this.clock,
      wallClock: () => this.clock.now(),
      redis,
      memorySeconds: MEMORY_SECONDS,
      ttlSeconds: TTL_SECONDS,
    })
  );
  readonly versions = KEYS.map((): Version[] => []);
  #numbers = 0;

  get #works(): boolean {
    return !this.server.isFull &&
      this.redis.every(({ isDown, isDeaf, losesReplies }) => !isDown && !isDeaf && !losesReplies);
  }

  /** Notes that a key has a new version in the source, written by `isolate`. */
  supersede(key: number, isolate: number): number {
    const versions = this.versions[key] ?? [];
    const latest = versions.at(-1);
    if (latest && latest.supersededAt === Infinity) {
      latest.supersededAt = this.clock.now();
      latest.supersededBy = isolate;
      latest.isKnown = this.#works;
    }
    const number = ++this.#numbers;
    versions.push({
      number,
      supersededAt: Infinity,
      supersededBy: undefined,
      isKnown: false,
      until: this.clock.now() + TTL_SECONDS * 1_000,
    });
    return number;
  }

  /** Notes that a copy of the latest version was loaded now. */
  loaded(key: number): void {
    const latest = this.versions[key]?.at(-1);
    if (latest) latest.until = this.clock.now() + TTL_SECONDS * 1_000;
  }

  /** Checks a value that `isolate` has read. */
  check(key: number, isolate: number, value: unknown): void {
    const version = this.versions[key]?.find(({ number }) => number === value);
    assert(version, `${KEYS[key]} has a value that was never its own: ${value}`);
    const now = this.clock.now();
    if (version.supersededAt === Infinity) return;
    // Its own change an isolate always knows; another one's, if Redis and messages worked.
    assert(version.supersededBy !== isolate, `${KEYS[key]}: isolate ${isolate} reads what it replaced itself`);
    assert(!version.isKnown, `${KEYS[key]}: isolate ${isolate} reads what was replaced while all worked`);
    assert(now < version.until, `${KEYS[key]}: a value outlived its time to live`);
  }
}

async function run(steps: readonly Step[]): Promise<void> {
  const world = new World();
  for (const cache of world.caches) await cache.get("connects");
  const during = async <T>(promise: Promise<T>): Promise<T> => {
    let isSettled = false;
    promise.then(() => isSettled = true, () => isSettled = true);
    for (let turn = 0; turn < 400 && !isSettled; turn++) {
      await settle();
      if (!isSettled) await world.clock.advance(50);
    }
    assert(isSettled, "a call did not settle");
    return await promise;
  };
  for (const each of steps) {
    if (!("isolate" in each)) {
      if (each.kind === "advance") await world.clock.advance(each.ms);
      else if (each.kind === "flush") world.server.flush();
      else world.server.isFull = each.kind === "full";
    } else {
      const [cache, redis] = [world.caches[each.isolate], world.redis[each.isolate]];
      assert(cache && redis);
      switch (each.kind) {
        case "set": {
          const number = world.supersede(each.key, each.isolate);
          await during(cache.set(KEYS[each.key] ?? "", number, { tags: ["all"] }));
          break;
        }
        case "delete":
          world.supersede(each.key, each.isolate);
          await during(cache.delete(KEYS[each.key] ?? ""));
          break;
        case "tag":
          for (const index of KEYS.keys()) world.supersede(index, each.isolate);
          await during(cache.invalidateTags(["all"]));
          break;
        case "get": {
          const value = await during(cache.get(KEYS[each.key] ?? ""));
          if (value !== undefined) world.check(each.key, each.isolate, value);
          break;
        }
        case "load":
        case "loadFails": {
          const source = () => {
            if (each.kind === "loadFails") throw new Error("The source is down");
            const latest = world.versions[each.key]?.at(-1)?.number ?? world.supersede(each.key, each.isolate);
            world.loaded(each.key);
            return latest;
          };
          const options = { tags: ["all"] };
          const value = await during(cache.getOrLoad(KEYS[each.key] ?? "", source, options)).catch((error) => {
            assert(error.message === "The source is down", String(error));
            return undefined;
          });
          if (value !== undefined) world.check(each.key, each.isolate, value);
          break;
        }
        case "down":
          redis.isDown = true;
          break;
        case "up":
          redis.up();
          break;
        case "deaf":
          redis.isDeaf = true;
          break;
        case "resubscribe":
          redis.resubscribe();
          break;
        case "losesReplies":
          redis.losesReplies = true;
      }
    }
    await settle();
  }
  // When all works again, every isolate agrees with the source.
  world.server.isFull = false;
  for (const redis of world.redis) {
    redis.up();
    redis.resubscribe();
  }
  await settle();
  await world.clock.advance(100);
  for (const [isolate, cache] of world.caches.entries()) {
    assert(cache.stats().redis?.pendingInvalidations === 0, "an invalidation is pending");
    for (const [index, key] of KEYS.entries()) {
      const value = await during(cache.get(key));
      const latest = world.versions[index]?.at(-1);
      if (value !== undefined) {
        assert(value === latest?.number, `${key}: isolate ${isolate} reads an old value at the end`);
      }
    }
    await cache.increment("n").catch((error) => assert(error instanceof CacheUnavailableError));
  }
}

Deno.test("LayeredCache returns no wrong value, whatever fails in whatever order (model)", async () => {
  const seed = Number(Deno.env.get("CACHE_SEED") ?? 7);
  const numRuns = Number(Deno.env.get("CACHE_RUNS") ?? 150);
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 40 }), run), { seed, numRuns });
});
