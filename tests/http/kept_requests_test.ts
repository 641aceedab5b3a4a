/** Tests what is kept of a request that has ended. */
import { assertEquals } from "@std/assert";
import type { ScopeOptions } from "../../shared/supabase/mod.ts";
import { garbageCollector } from "../support/collect_garbage.ts";
import { ok, setUp } from "./fake_handler.ts";

Deno.test("RequestScope is not kept by what it gives to its calls, once it has ended", async () => {
  const collect = garbageCollector();
  let client: WeakRef<object> | undefined;
  const { service, send } = setUp((_request, { supabase }) => {
    client = new WeakRef(supabase);
    return ok();
  });
  assertEquals((await send()).status, 200);
  const kept = service.user.scopes.splice(0).map(({ options: { timeLeftMs, onRefused } }): ScopeOptions => ({
    timeLeftMs,
    onRefused,
  }));
  // A WeakRef keeps its target until the turn of the event loop ends.
  await new Promise((resolve) => setTimeout(resolve, 0));
  collect();
  assertEquals(client?.deref(), undefined);
  assertEquals(kept.map(({ timeLeftMs }) => timeLeftMs?.()), [0]);
});
