/**
 * Isolates on a fake clock that share a fake Redis, and a source that counts its loads.
 *
 * @module
 */
import { LayeredCache, type LayeredCacheOptions } from "../../shared/cache/mod.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FakeRedis, FakeServer } from "./fake_redis.ts";

/** Isolates that share a Redis, and a source that counts its loads. */
export class Setting {
  readonly clock = new FakeClock();
  readonly server = new FakeServer(() => this.clock.now());
  loads = 0;
  /** The time that a load takes, in ms. */
  takesMs = 0;
  /** The error of a load. */
  failure: unknown = undefined;
  source: unknown = "value";

  isolate(options: LayeredCacheOptions = {}): { cache: LayeredCache; redis: FakeRedis } {
    const redis = new FakeRedis(this.server);
    return { cache: this.alone({ redis, ...options }), redis };
  }

  /** A cache without Redis. */
  alone(options: LayeredCacheOptions = {}): LayeredCache {
    const { clock } = this;
    return new LayeredCache({ clock, wallClock: () => clock.now(), random: () => 0, memorySeconds: 5, ...options });
  }

  readonly load = async (): Promise<unknown> => {
    this.loads++;
    const { source, failure, takesMs } = this;
    if (takesMs > 0) await new Promise<void>((resolve) => this.clock.setTimer(resolve, takesMs));
    if (failure !== undefined) throw failure;
    return source;
  };

  /** Advances the time while `promise` is pending. */
  async during<T>(promise: Promise<T>, ms = 100_000): Promise<T> {
    let isSettled = false;
    promise.then(() => isSettled = true, () => isSettled = true);
    for (let passed = 0; passed < ms && !isSettled; passed += 5) {
      await settle();
      await this.clock.advance(5);
    }
    return await promise;
  }
}
