import { assertEquals } from "@std/assert";
import { isOwnHost, routeOf } from "../../local/gateway/route.ts";

Deno.test("routeOf() returns the part of the stack that a path belongs to", () => {
  const cases: [string, ReturnType<typeof routeOf>][] = [
    ["/functions/v1/budgets", { to: "function", name: "budgets", path: "/budgets" }],
    ["/functions/v1/budgets/1/x", { to: "function", name: "budgets", path: "/budgets/1/x" }],
    ["/functions/v1/health/pool", { to: "function", name: "health", path: "/health/pool" }],
    ["/health/pool", { to: "function", name: "health", path: "/health/pool" }],
    ["/rest/v1/", { to: "data", path: "/rest/v1/" }],
    ["/rest/v1", { to: "data", path: "/rest/v1" }],
    ["/auth/v1/signup", { to: "data", path: "/auth/v1/signup" }],
    ["/storage/v1/object/a/b", { to: "data", path: "/storage/v1/object/a/b" }],
    ["/mail", { to: "data", path: "/mail" }],
    ["/mail.json", { to: "data", path: "/mail.json" }],
    ["/mails", { to: "nowhere" }],
    ["/auth/v10/signup", { to: "nowhere" }],
    ["/realtime/v1/websocket", { to: "absent", service: "Realtime" }],
    ["/graphql/v1", { to: "absent", service: "GraphQL" }],
    ["/realtime/v10", { to: "nowhere" }],
    ["/functions/v1/", { to: "nowhere" }],
    ["/functions/v1//x", { to: "nowhere" }],
    ["/_system/config", { to: "nowhere" }],
    ["/health", { to: "nowhere" }],
    ["/", { to: "nowhere" }],
  ];
  for (const [path, route] of cases) assertEquals(routeOf(path), route, path);
});

Deno.test("isOwnHost() accepts only names of this machine with the port of the gateway", () => {
  for (const host of ["localhost:54321", "LOCALHOST:54321", "127.0.0.1:54321", "[::1]:54321"]) {
    assertEquals(isOwnHost(host, 54321), true, host);
  }
  for (
    const host of [
      "",
      "localhost",
      "localhost:1",
      "localhost.evil.com:54321",
      "evil.com:54321",
      "127.0.0.1.nip.io:54321",
    ]
  ) {
    assertEquals(isOwnHost(host, 54321), false, host);
  }
  assertEquals(isOwnHost("localhost", 80), true);
});
