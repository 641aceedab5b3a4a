import { assert, assertEquals } from "@std/assert";
import { pause, Rig } from "./chaos/rig.ts";

Deno.test("PostgresConnectionManager.query() takes one validation and one connection before dead idle connections", async (t) => {
  await using rig = await Rig.start();
  for (const [idle, free] of [[4, 0], [20, 0], [20, 5]] as const) {
    await t.step(`${idle} of at most ${idle + free} stalled`, async () => {
      const manager = rig.manager({
        maxConnections: idle + free,
        acquireTimeoutMs: 60_000,
        validateAfterIdleMs: 100,
        validateTimeoutMs: 300,
      });
      const leases = await Promise.all(Array.from({ length: idle }, () => manager.lease()));
      for (const lease of leases) lease.release();
      await pause(150);
      for (const connection of rig.proxy.connections) connection.stall();
      const start = performance.now();
      const { rows } = await manager.query("select 1 as n");
      const tookMs = performance.now() - start;
      assertEquals(rows, [{ n: 1 }]);
      // One validation after the other would take 6 s.
      assert(tookMs < 4_500, `it took ${Math.round(tookMs)} ms`);
      // The others were found dead meanwhile: the next query meets none.
      await pause(350);
      const again = performance.now();
      await Promise.all(Array.from({ length: idle }, () => manager.query("select 1")));
      assert(performance.now() - again < 4_500);
      await manager.shutdown(0);
    });
  }
});
