/**
 * An isolate whose process is stopped and continued by its parent. It calls the backend of its first argument all the
 * time, and writes a line about each event of its circuits, and at each line of its input their states.
 *
 * @module
 */
import { delay } from "@std/async";
import { SupabaseConnectionPool } from "../../../shared/supabase/mod.ts";

const CALLERS = 20;

if (import.meta.main) {
  const pool = SupabaseConnectionPool.getInstance(Deno.args[0] ?? "", "sb_publishable_frozen", {
    maxConnections: CALLERS,
    requestTimeoutMs: 1_000,
  });
  let failed = 0;
  pool.on("circuitOpened", ({ reason }) => console.log(`opened: ${reason}`));
  pool.on("circuitClosed", () => console.log("closed"));
  const call = async () => {
    for (;;) {
      const scope = pool.scope();
      const { error } = await scope.client().from("t").insert([] as never);
      await scope.close().drained;
      if (error) failed++;
      await delay(10);
    }
  };
  for (let i = 0; i < CALLERS; i++) call();
  for await (const _line of Deno.stdin.readable) {
    console.log(`state: ${pool.circuits.snapshot().rest?.state}, failed: ${failed}`);
  }
  Deno.exit();
}
