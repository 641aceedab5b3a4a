import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async";
import { type AcquireOptions, AcquireTimeoutError, ResourcePool } from "../../shared/pool/mod.ts";
import { DEFAULT_SUPABASE_POOL_CONFIG } from "../../shared/supabase/config.ts";
import { PooledClient } from "../../shared/supabase/pooled_client.ts";
import { type Places, SharedPlace } from "../../shared/supabase/scope/shared_place.ts";

/** One place, and how it was asked for. */
function onePlace(acquireTimeoutMs = 5_000) {
  const pool = new ResourcePool<PooledClient>({
    create: () => new PooledClient("http://project.test", DEFAULT_SUPABASE_POOL_CONFIG),
    destroy: () => {},
  }, { minConnections: 0, maxConnections: 1, acquireTimeoutMs });
  const asked: string[] = [];
  const places: Places = {
    lease: (options) => {
      asked.push("lease");
      return pool.lease(options);
    },
    tryLease: (lane) => {
      asked.push("try");
      return pool.tryLease(lane);
    },
    config: pool.config,
  };
  return { pool, asked, places, active: () => pool.getStats().activeConnections };
}

const user = { lost: () => {} };

async function entered(place: SharedPlace, options: AcquireOptions = {}): Promise<string> {
  const entering = place.enter(user, options);
  if (entering === undefined) return "at once";
  return await entering.then(() => "waited", (error) => error.code);
}

Deno.test("a place that is free is taken at once, others are waited for", async () => {
  const { pool, asked, places, active } = onePlace();
  const place = new SharedPlace(places, 6);
  assertEquals([await entered(place), asked, active()], ["waited", ["try", "lease"], 1]); // made first
  place.leave(user);
  assertEquals([await entered(place), asked.splice(0), active()], ["at once", ["try", "lease", "try"], 1]);

  const other = new SharedPlace(places, 6);
  const waiting = entered(other);
  place.leave(user);
  assertEquals([await waiting, asked.splice(0), active()], ["waited", ["try", "lease"], 1]);
  other.leave(user);
  assertEquals([active(), place.waitedMs >= 0], [0, true]);
  await pool.shutdown();
});

Deno.test("options and signals that are refused are refused whether a place is free or not", async () => {
  const { pool, places, active } = onePlace();
  const warm = await pool.lease();
  warm.release();
  const place = new SharedPlace(places, 6);
  assertEquals(await entered(place, { timeoutMs: -1 }), "CONFIG_INVALID");
  assertEquals(await entered(place, { timeoutMs: 10 }), "waited");
  place.leave(user);
  const left = new SharedPlace(places, 6, AbortSignal.abort(new Error("gone")));
  assertEquals([await entered(left), active()], ["ACQUIRE_ABORTED", 0]);
  await pool.shutdown();
  assertEquals(await entered(place), "POOL_CLOSED");
});

Deno.test("whoever comes while the place is waited for waits for its own time, and in its own lane", async () => {
  const { pool, places } = onePlace();
  const holder = await pool.lease();
  const place = new SharedPlace(places, 6);
  const [first, short, long, later] = [{ lost() {} }, { lost() {} }, { lost() {} }, { lost() {} }];
  const settled: string[] = [];
  const enter = async (name: string, who: typeof first, options: AcquireOptions) => {
    try {
      await place.enter(who, options);
      settled.push(name);
    } catch (error) {
      settled.push(`${name} ${(error as { code: string }).code}`);
    }
  };
  const startMs = performance.now();
  const entering = [enter("first", first, { timeoutMs: 60 }), enter("short", short, { timeoutMs: 20 })];
  entering.push(enter("long", long, { timeoutMs: 5_000, lane: "high" }));
  while (settled.length < 1) await delay(1);
  const laterMs = performance.now();
  entering.push(enter("later", later, { timeoutMs: 60 }));
  while (settled.length < 3) await delay(1);
  assert(performance.now() - laterMs >= 58, "it came later on the first one's terms, and has a time of its own");
  assertEquals(settled, ["short ACQUIRE_TIMEOUT", "first ACQUIRE_TIMEOUT", "later ACQUIRE_TIMEOUT"]);

  assertEquals(await entered(place, { timeoutMs: 0 }), "ACQUIRE_TIMEOUT");
  const next = pool.lease();
  holder.release(); // the higher lane comes before
  await Promise.all(entering);
  assertEquals([settled[3], pool.getStats().waitingForConnection], ["long", 1]);
  assert(place.waitedMs >= 78 && place.waitedMs <= performance.now() - startMs, "waiting twice at once counts once");
  place.leave(long);
  (await next).release();
  await pool.shutdown();
});

Deno.test("the time of whoever names none is the pool's, from when it came", async () => {
  const { pool, places } = onePlace(80);
  const holder = await pool.lease();
  const place = new SharedPlace(places, 6);
  const codes: string[] = [];
  entered(place).then((code) => codes.push(code));
  await delay(40);
  const laterMs = performance.now();
  place.enter({ lost() {} }, {})?.catch((error) => codes.push(error.code));
  while (codes.length < 2) await delay(1);
  assertEquals(codes, ["ACQUIRE_TIMEOUT", "ACQUIRE_TIMEOUT"]);
  assert(performance.now() - laterMs >= 78);
  holder.release();
  await pool.shutdown();
});

Deno.test("whoever began a wait that is over asks no more, though its own clock gives it a moment yet", async () => {
  const { pool, places, asked } = onePlace();
  const refusing: Places = {
    ...places,
    lease: () => {
      asked.push("lease");
      return Promise.reject(new AcquireTimeoutError("Connection acquire timeout"));
    },
  };
  const place = new SharedPlace(refusing, 6);
  const second = { lost() {} };
  const codes = [entered(place), place.enter(second, {})?.catch((error) => error.code)];
  assertEquals(await Promise.all(codes), ["ACQUIRE_TIMEOUT", "ACQUIRE_TIMEOUT"]);
  assertEquals(asked, ["try", "lease", "lease"], "the second one, which came later, has its own time");
  await pool.shutdown();
});

Deno.test("the first place that comes serves all who wait, on whichever terms, and the others are not asked for any more", async () => {
  const { pool, places, active } = onePlace();
  const holder = await pool.lease();
  const place = new SharedPlace(places, 6);
  const users = [{ lost() {} }, { lost() {} }, { lost() {} }];
  const entering = users.map((who, i) => place.enter(who, { timeoutMs: 5_000 + i }));
  entering.push(place.enter(user, { timeoutMs: 5_000 }));
  assertEquals(pool.getStats().waitingForConnection, 3);
  holder.release();
  await Promise.all(entering);
  assertEquals([active(), pool.getStats().waitingForConnection], [1, 0]);
  for (const who of [...users, user]) place.leave(who);
  assertEquals(active(), 0);

  const again = await pool.lease();
  const cut = users.map((who, i) => place.enter(who, { timeoutMs: 5_000 + i }));
  place.cut(new Error("gone"));
  const codes = await Promise.all(cut.map((entry) => entry?.catch((error) => error.code)));
  assertEquals([codes, pool.getStats().waitingForConnection], [Array(3).fill("ACQUIRE_ABORTED"), 0]);
  again.release();
  await pool.shutdown();
});
