import { assert, assertEquals } from "@std/assert";
import { call, signUp, until, useStack } from "./support.ts";

const stack = useStack();

interface ShownFleet {
  readonly available: boolean;
  readonly isolates: number;
  readonly stats: Record<string, number>;
  readonly missing?: readonly string[];
  readonly functions?: readonly { readonly function: string; readonly stats: Record<string, number> }[];
  readonly members?: readonly { readonly function: string; readonly region: string; readonly isolate: string }[];
}

async function fleetOf(headers: Record<string, string> = {}): Promise<ShownFleet> {
  const response = await fetch(`${stack().url}/health/pool`, { headers });
  const { fleet } = await response.json();
  assert(fleet, `no fleet in the response ${response.status}`);
  return fleet;
}

Deno.test("/health/pool shows the work of other functions after the first request of the README", async () => {
  const user = await signUp(stack(), "newcomer");
  const { status } = await call(stack(), "/budgets", { token: user.token, body: { name: "Household" } });
  assertEquals(status, 201);
  await until("the totals of the fleet show the request", async () => {
    const { available, stats } = await fleetOf();
    return available && (stats.totalAcquired ?? 0) > 0;
  });
});

Deno.test("/health/pool names functions, regions and isolates for the secret key only", async () => {
  const shown = await fleetOf();
  assertEquals(Object.keys(shown).sort(), ["available", "isolates", "stats"]);
  assertEquals(Object.keys(shown.stats).sort(), [
    "activeConnections",
    "idleConnections",
    "totalAcquired",
    "totalConnections",
    "totalCreated",
    "totalDestroyed",
    "totalReleased",
    "waitingForConnection",
  ]);
  const full = await fleetOf({ apikey: stack().secretKey });
  const names = full.functions?.map((group) => group.function);
  assert(names?.includes("budgets"), `${names}`);
  const budgets = full.members?.find((member) => member.function === "budgets");
  assert(budgets && budgets.isolate !== "" && budgets.region === "local", JSON.stringify(full.members));
});

Deno.test("/health/fleet shows each isolate to the secret key, and rejects any other caller", async () => {
  const user = await signUp(stack(), "caller");
  for (const credentials of [{}, { apikey: stack().publishableKey }, { authorization: `Bearer ${user.token}` }]) {
    for (const path of ["/health/fleet", "/functions/v1/budgets/health/fleet"]) {
      const response = await fetch(stack().url + path, { headers: credentials as Record<string, string> });
      const text = await response.text();
      assertEquals([response.status, text.includes("isolates")], [401, false], `${path} ${text}`);
    }
  }
  for (const path of ["/health/fleet", "/functions/v1/budgets/health/fleet"]) {
    const response = await fetch(stack().url + path, { headers: { apikey: stack().secretKey } });
    assertEquals(response.status, 200);
    const page = await response.json();
    assertEquals([page.version, page.store, page.missing], [1, "postgres", []]);
    const budgets = page.isolates.find((isolate: { function: string }) => isolate.function === "budgets");
    assert(budgets.use.count > 0, JSON.stringify(budgets));
    assert(page.slowRequests.every((slow: { requestId: string }) => slow.requestId !== ""));
    assert(page.slowRequests.length > 0 && page.samples.length > 0);
    assert(!Number.isNaN(Date.parse(page.time)));
  }
  const post = await fetch(`${stack().url}/health/fleet`, { method: "POST", headers: { apikey: stack().secretKey } });
  await post.body?.cancel();
  assertEquals(post.status, 405);
});
