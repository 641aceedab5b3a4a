/** Tests what is kept of a request that has ended. */
import { assertEquals } from "@std/assert";
import * as api from "@opentelemetry/api";
import { installOpenTelemetry } from "../../shared/observability/mod.ts";
import type { ScopeOptions } from "../../shared/supabase/mod.ts";
import { registerFakeProvider } from "../observability/tracing/otel/fake_provider.ts";
import { garbageCollector } from "../support/collect_garbage.ts";
import { ok, setUp } from "./fake_handler.ts";

for (const tracing of [false, true]) {
  const what = tracing ? "RequestScope of a traced request" : "RequestScope";
  Deno.test(`${what} is not kept by what it gives to its calls, once it has ended`, async () => {
    const collect = garbageCollector();
    using _provider = registerFakeProvider();
    installOpenTelemetry(api);
    let client: WeakRef<object> | undefined;
    const { service, send } = setUp((_request, { supabase }) => {
      client = new WeakRef(supabase);
      return ok();
    }, { tracing });
    assertEquals((await send()).status, 200);
    const kept = service.user.scopes.splice(0).map((
      { options: { timeLeftMs, onRefused, traceHeaders } },
    ): ScopeOptions => ({ timeLeftMs, onRefused, traceHeaders }));
    // A WeakRef keeps its target until the turn of the event loop ends.
    await new Promise((resolve) => setTimeout(resolve, 0));
    collect();
    assertEquals(client?.deref(), undefined);
    assertEquals(kept.map(({ timeLeftMs, traceHeaders }) => [timeLeftMs?.(), traceHeaders !== undefined]), [[
      0,
      tracing,
    ]]);
  });
}
