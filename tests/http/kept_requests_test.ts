/** Tests what is kept of a request that has ended. */
import { assertEquals } from "@std/assert";
import v8 from "node:v8";
import vm from "node:vm";
import type { ScopeOptions } from "../../shared/supabase/mod.ts";
import { ok, setUp } from "./fake_handler.ts";

/** Returns a function that collects garbage, or `undefined` if the runtime has none. */
function collector(): (() => void) | undefined {
  try {
    v8.setFlagsFromString("--expose-gc");
    const gc: unknown = vm.runInNewContext("gc");
    return typeof gc === "function" ? () => void gc() : undefined;
  } catch {
    return undefined; // Deno before 2.2
  }
}

const collect = collector();

Deno.test({
  name: "RequestScope is not kept by what it gives to its calls, once it has ended",
  ignore: collect === undefined,
  async fn() {
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
    collect?.();
    assertEquals(client?.deref(), undefined);
    assertEquals(kept.map(({ timeLeftMs }) => timeLeftMs?.()), [0]);
  },
});
