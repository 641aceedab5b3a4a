/** Loads inside loads, loads of requests that have ended, and loaders that never settle. */
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { CacheLoadCycleError, CacheLoadTimeoutError, LayeredCache } from "../../shared/cache/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { Setting } from "./setting.ts";

const USER = { jwtClaims: { sub: "ann" }, authMode: "user" };

Deno.test("getOrLoad() rejects a load of its own key inside its loader, by itself and behind others", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate();
  const own = () => cache.getOrLoad("a", () => cache.getOrLoad("a", setting.load));
  const error = await assertRejects(own, CacheLoadCycleError, 'Cannot load "a"');
  assertEquals([error.code, setting.loads], ["CACHE_LOAD_CYCLE", 0]);
  const behind = () => cache.getOrLoad("a", () => cache.getOrLoad("b", () => cache.getOrLoad("a", setting.load)));
  await assertRejects(behind, CacheLoadCycleError);
  // What is no cycle is loaded.
  assertEquals(await cache.getOrLoad("a", () => cache.getOrLoad("b", setting.load)), "value");
  assertEquals(setting.server.names.filter((name) => name.startsWith("cache:l:")), []);
});

Deno.test("getOrLoad() rejects the load that would close a cycle of loads that began apart", async () => {
  const setting = new Setting();
  const cache = setting.alone();
  const begun = Promise.withResolvers<void>();
  const a = cache.getOrLoad("a", async () => {
    await begun.promise;
    return await cache.getOrLoad("b", setting.load);
  });
  const b = cache.getOrLoad("b", () => {
    begun.resolve();
    return cache.getOrLoad("a", setting.load);
  });
  const [first, second] = await Promise.allSettled([a, b]);
  assertEquals([first.status, second.status], ["rejected", "rejected"]);
  assert([first, second].every((end) => end.status === "rejected" && end.reason instanceof CacheLoadCycleError));
  assertEquals(await cache.getOrLoad("a", setting.load), "value");
});

Deno.test("getOrLoad() of another caller or cache inside a loader is not a cycle", async () => {
  const setting = new Setting();
  const [cache, other] = [setting.alone(), setting.alone()];
  assertEquals(await cache.getOrLoad("a", () => other.getOrLoad("a", setting.load)), "value");
  const ann = cache.forUser(USER);
  assertEquals(await ann.getOrLoad("a", () => cache.getOrLoad("c", setting.load)), "value");
  await assertRejects(() => ann.getOrLoad("b", () => ann.getOrLoad("b", setting.load)), CacheLoadCycleError, '"b"');
});

Deno.test("getOrLoad() of a refresh in the background does not wait for the lock that it holds", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate();
  const options = { ttlSeconds: 10, staleSeconds: 1 };
  await cache.getOrLoad("a", setting.load, options);
  await setting.clock.advance(10_500);
  const inner = Promise.withResolvers<unknown>();
  const loader = async () => {
    // By now the value is not stale any more.
    await setting.clock.advance(1_000);
    inner.resolve(await cache.getOrLoad("a", setting.load, options).catch((error) => error));
    return "later";
  };
  assertEquals(await cache.getOrLoad("a", loader, options), "value");
  assert(await inner.promise instanceof CacheLoadCycleError);
});

Deno.test("getOrLoad() that was started by a loader and runs after its end is a load of its own", async () => {
  const setting = new Setting();
  const cache = setting.alone();
  const go = Promise.withResolvers<void>();
  let late: Promise<unknown> = Promise.resolve();
  await cache.getOrLoad("a", () => {
    late = go.promise.then(() => cache.getOrLoad("a", setting.load));
    return "first";
  });
  await cache.delete("a");
  go.resolve();
  assertEquals(await late, "value");
});

Deno.test("getOrLoad() of others loads again when the request that began the load has ended", async () => {
  const failures = [
    new DOMException("aborted", "AbortError"),
    Object.assign(new Error("released"), { code: "LEASE_RELEASED" }),
    { message: "AbortError: The signal has been aborted", code: "" },
    new Error("failed", { cause: Object.assign(new Error("closed"), { code: "CLIENT_CLOSED_REQUEST" }) }),
  ];
  for (const failure of failures) {
    const setting = new Setting();
    const { cache } = setting.isolate();
    const ended = Promise.withResolvers<never>();
    const first = cache.getOrLoad("k", () => ended.promise).catch((error) => error);
    const others = Array.from({ length: 100 }, () => cache.getOrLoad("k", setting.load));
    await settle();
    ended.reject(failure);
    assertStrictEquals(await first, failure);
    assertEquals([new Set(await Promise.all(others)), setting.loads], [new Set(["value"]), 1]);
  }
});

Deno.test("getOrLoad() of others does not load again what failed for another reason", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate();
  const failed = Promise.withResolvers<never>();
  const calls = Array.from(
    { length: 10 },
    (_, n) => cache.getOrLoad("k", n === 0 ? () => failed.promise : setting.load),
  );
  const ends = Promise.allSettled(calls);
  await settle();
  failed.reject(new Error("no such table"));
  assertEquals([new Set((await ends).map(({ status }) => status)), setting.loads], [new Set(["rejected"]), 0]);
});

Deno.test("getOrLoad() rejects with CacheLoadTimeoutError after loaderTimeoutMs, and the next call loads again", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate({ loaderTimeoutMs: 3_000, lockMs: 1_000 });
  const late = Promise.withResolvers<string>();
  const calls = Array.from({ length: 3 }, () => cache.getOrLoad("k", () => late.promise).catch((error) => error));
  await setting.clock.advance(2_999);
  assertEquals(await Promise.race([Promise.race(calls), "none"]), "none");
  await setting.clock.advance(2);
  const [error] = await Promise.all(calls);
  assert(error instanceof CacheLoadTimeoutError);
  assertEquals([error.code, error.http.status], ["CACHE_LOAD_TIMEOUT", 504]);
  await settle();
  assertEquals(setting.server.names, [], "the lock is kept");
  assertEquals(await cache.getOrLoad("k", setting.load), "value");
  late.resolve("late");
  await settle();
  assertEquals(await cache.get("k"), "value");
  assertEquals(setting.clock.timers, 0);
  // Within its grace, the old value is returned.
  const grace = setting.alone({ loaderTimeoutMs: 100 });
  await grace.set("k", "old", { ttlSeconds: 1, graceSeconds: 60 });
  await setting.clock.advance(1_001);
  const kept = grace.getOrLoad("k", () => new Promise(() => {}), { graceSeconds: 60 });
  await setting.clock.advance(101);
  assertEquals(await kept, "old");
});

Deno.test("loaderTimeoutMs is 30,000 by default", async () => {
  const setting = new Setting();
  const cache: LayeredCache = setting.alone();
  const call = assertRejects(
    () => cache.getOrLoad("k", () => new Promise(() => {})),
    CacheLoadTimeoutError,
    "30000 ms",
  );
  await setting.clock.advance(30_000);
  await call;
});

Deno.test("getOrLoad() in a loader waits for several loads that wait for the same one", async () => {
  const setting = new Setting();
  const cache = setting.alone();
  const gate = Promise.withResolvers<string>();
  const of = (...keys: string[]) => async () =>
    (await Promise.all(keys.map((key) => cache.getOrLoad(key, loaders[key] ?? setting.load)))).join();
  const loaders: Record<string, () => Promise<string>> = {
    top: of("left", "right"),
    left: of("bottom"),
    right: of("bottom"),
    bottom: () => gate.promise,
  };
  const top = cache.getOrLoad("top", of("left", "right"));
  await settle();
  const beside = cache.getOrLoad("beside", of("top", "left"));
  await settle();
  gate.resolve("x");
  assertEquals([await top, await beside], ["x,x", "x,x,x"]);
});

Deno.test("getOrLoad() of others returns what another isolate has stored when the load that they shared was aborted", async () => {
  const setting = new Setting();
  const { cache } = setting.isolate();
  const ended = Promise.withResolvers<never>();
  const first = cache.getOrLoad("k", () => ended.promise).catch((error) => error);
  await settle();
  const other = cache.getOrLoad("k", setting.load);
  setting.server.set("cache:v:k", encoded(setting), 60_000);
  ended.reject(new DOMException("aborted", "AbortError"));
  await first;
  assertEquals([await other, setting.loads], ["stored", 0]);
});

/** The text of a value that another isolate has stored. */
function encoded({ clock }: Setting): string {
  const until = clock.now() + 60_000;
  return JSON.stringify([1, until, until, until, 0, "stored"]);
}
