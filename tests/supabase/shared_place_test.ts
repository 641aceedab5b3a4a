import { assertEquals } from "@std/assert";
import { type AcquireOptions, ResourcePool } from "../../shared/pool/mod.ts";
import { DEFAULT_SUPABASE_POOL_CONFIG } from "../../shared/supabase/config.ts";
import { PooledClient } from "../../shared/supabase/pooled_client.ts";
import { type Places, SharedPlace } from "../../shared/supabase/shared_place.ts";

/** One place, and how it was asked for. */
function onePlace() {
  const pool = new ResourcePool<PooledClient>({
    create: () => new PooledClient("http://project.test", "sb_publishable_x", DEFAULT_SUPABASE_POOL_CONFIG),
    destroy: () => {},
  }, { minConnections: 0, maxConnections: 1 });
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
