/** Loads whose callers abort: each ends its own wait, and the last one ends the load. */
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { type CacheLoadContext, CacheLoadTimeoutError } from "../../shared/cache/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { Setting } from "./setting.ts";

/** A loader that goes on until its signal aborts, or `end` is called. */
class OpenLoader {
  readonly #ended = Promise.withResolvers<string>();
  readonly #started = Promise.withResolvers<void>();
  readonly signals: AbortSignal[] = [];
  readonly started: Promise<void> = this.#started.promise;

  readonly load = ({ signal }: CacheLoadContext): Promise<string> => {
    this.signals.push(signal);
    this.#started.resolve();
    const aborted = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => aborted.reject(signal.reason));
    return Promise.race([this.#ended.promise, aborted.promise]);
  };

  end(): void {
    this.#ended.resolve("loaded");
  }
}

Deno.test("getOrLoad() aborts the loader when the last call that waits is aborted, not before", async () => {
  for (const withRedis of [true, false]) {
    const setting = new Setting();
    const cache = withRedis ? setting.isolate().cache : setting.alone();
    const loader = new OpenLoader();
    const { load, signals } = loader;
    const callers = Array.from({ length: 3 }, () => new AbortController());
    const calls = callers.map(({ signal }) => cache.getOrLoad("k", load, { signal }).catch((error) => error));
    await loader.started;
    const reasons = callers.map((_, index) => new Error(`caller ${index} has gone`));
    for (const [index, caller] of callers.entries()) {
      assertEquals([signals.length, signals[0]?.aborted], [1, false]);
      caller.abort(reasons[index]);
      assertStrictEquals(await calls[index], reasons[index]);
      await settle();
    }
    assertStrictEquals(signals[0]?.reason, reasons[2]);
    // Its key is free.
    assertEquals([setting.server.names, setting.clock.timers], [[], 0]);
    assertEquals(await cache.getOrLoad("k", setting.load), "value");
  }
});

Deno.test("getOrLoad() does not abort the loader while a call without a signal waits", async () => {
  const setting = new Setting();
  const cache = setting.alone();
  const loader = new OpenLoader();
  const { load, signals } = loader;
  const caller = new AbortController();
  const first = cache.getOrLoad("k", load, { signal: caller.signal }).catch((error) => error);
  await loader.started;
  const other = cache.getOrLoad("k", setting.load);
  await settle();
  caller.abort();
  await first;
  await settle();
  assertEquals(signals[0]?.aborted, false);
  loader.end();
  assertEquals([await other, setting.loads], ["loaded", 0]);
});

Deno.test("getOrLoad() of a call that joins an aborted load loads again, and takes its value if the loader goes on", async () => {
  for (const goesOn of [true, false]) {
    const setting = new Setting();
    const cache = setting.alone();
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const caller = new AbortController();
    const first = cache.getOrLoad("k", () => promise, { signal: caller.signal }).catch((error) => error);
    await settle();
    caller.abort();
    await first;
    const joined = cache.getOrLoad("k", setting.load);
    await settle();
    if (goesOn) resolve("late");
    else reject(new Error("the connection was closed"));
    assertEquals([await joined, setting.loads], goesOn ? ["late", 0] : ["value", 1]);
  }
});

Deno.test("getOrLoad() does not call the loader of a call that is aborted while another isolate loads", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate({ lockMs: 1_000 });
  setting.server.set("cache:l:k", "of a killed isolate", 1_000);
  const caller = new AbortController();
  const call = cache.getOrLoad("k", setting.load, { signal: caller.signal }).catch((error) => error);
  await settle();
  caller.abort("gone");
  assertEquals(await call, "gone");
  for (let turn = 0; turn < 40; turn++) await setting.clock.advance(50);
  assertEquals([setting.loads, setting.server.names, setting.clock.timers], [0, [], 0]);
});

Deno.test("getOrLoad() that is aborted while it looks at Redis begins no load", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate();
  const caller = new AbortController();
  const call = cache.getOrLoad("k", setting.load, { signal: caller.signal });
  caller.abort("gone");
  assertEquals(await call.catch((error) => error), "gone");
  await settle();
  assertEquals(setting.loads, 0);
});

Deno.test("getOrLoad() aborts the loader after loaderTimeoutMs, and passes no signal of a caller to a refresh", async () => {
  const setting = new Setting();
  const cache = setting.alone({ loaderTimeoutMs: 1_000 });
  const { load, signals } = new OpenLoader();
  const call = assertRejects(() => cache.getOrLoad("k", load), CacheLoadTimeoutError);
  await setting.clock.advance(1_000);
  await call;
  assert(signals[0]?.reason instanceof CacheLoadTimeoutError);
  const options = { ttlSeconds: 1, staleSeconds: 60 };
  await cache.set("stale", "old", options);
  await setting.clock.advance(1_500);
  const caller = new AbortController();
  const refresh = new OpenLoader();
  assertEquals(await cache.getOrLoad("stale", refresh.load, { ...options, signal: caller.signal }), "old");
  caller.abort();
  await refresh.started;
  assertEquals(refresh.signals[0]?.aborted, false);
  refresh.end();
  await settle();
  assertEquals(await cache.get("stale"), "loaded");
});

Deno.test("a load that its callers aborted is not a failure: the next call loads, although the old value is within its grace", async () => {
  for (const joins of [true, false]) {
    const setting = new Setting();
    const cache = setting.alone();
    await cache.set("k", "old", { ttlSeconds: 1, graceSeconds: 60 });
    await setting.clock.advance(1_500);
    const caller = new AbortController();
    const { load, started } = new OpenLoader();
    const aborted = cache.getOrLoad("k", load, { signal: caller.signal, graceSeconds: 60 }).catch((error) => error);
    await started;
    caller.abort("gone");
    assertEquals(await aborted, "gone");
    if (!joins) await settle();
    assertEquals(await cache.getOrLoad("k", setting.load, { graceSeconds: 60 }), "value");
    assertEquals([setting.loads, cache.stats().graceHits], [1, 0]);
  }
});
