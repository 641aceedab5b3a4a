import { assert, assertEquals } from "@std/assert";
import { signUp, useStack } from "./support.ts";

const stack = useStack();

Deno.test("the Data API exposes connection_logs and its functions to no caller", async () => {
  const { restUrl, publishableKey, secretKey } = stack();
  const user = await signUp(stack(), "log-reader");
  const callers = {
    anon: { apikey: publishableKey },
    authenticated: { apikey: publishableKey, authorization: `Bearer ${user.token}` },
    service_role: { apikey: secretKey },
  };
  const body = JSON.stringify({ p_connection_id: "c", p_status: "s" });
  const attempts: readonly [path: string, init: RequestInit][] = [
    ["connection_logs", {}],
    ["connection_logs", { headers: { "accept-profile": "pool" } }],
    ["connection_logs", { method: "POST", body, headers: { "content-profile": "pool" } }],
    ["rpc/log_connection_event", { method: "POST", body }],
    ["rpc/log_connection_event", { method: "POST", body, headers: { "content-profile": "pool" } }],
    ["rpc/delete_connection_logs", { method: "POST", body: "{}", headers: { "content-profile": "pool" } }],
  ];
  for (const [role, credentials] of Object.entries(callers)) {
    for (const [path, init] of attempts) {
      const headers = {
        "content-type": "application/json",
        ...credentials,
        ...(init.headers as Record<string, string>),
      };
      const response = await fetch(`${restUrl}/${path}`, { ...init, headers });
      const text = await response.text();
      assert([401, 403, 404, 406].includes(response.status), `${role} ${path}: ${response.status} ${text}`);
      assert(!text.includes("created_at"), text);
    }
  }
  const budgets = await fetch(`${restUrl}/budgets`, { headers: callers.authenticated });
  assertEquals([budgets.status, await budgets.json()], [200, []]);
});
