import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { request as httpRequest } from "node:http";
import { openDashboard, startDashboard } from "../../../local/dashboard/mod.ts";
import { StackError } from "../../../local/stack_error.ts";
import { KEY, startFixture } from "./support.ts";

/** Sends a request with headers that `fetch` does not send. */
function send(url: string, headers: Record<string, string>, method = "GET"): Promise<{ status: number; body: string }> {
  const { port, pathname } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: "127.0.0.1", port, path: pathname, method, headers }, (response) => {
      let body = "";
      response.on("data", (chunk) => body += chunk);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
    });
    request.on("error", reject);
    request.end();
  });
}

Deno.test("startDashboard() serves a page that runs and loads its own files only", async () => {
  await using fixture = startFixture();
  const page = await fetch(fixture.url);
  const html = await page.text();
  assertEquals([page.status, page.headers.get("content-type")], [200, "text/html; charset=utf-8"]);
  const policy = page.headers.get("content-security-policy") ?? "";
  for (const part of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "connect-src 'self'"]) {
    assertStringIncludes(policy, part);
  }
  assert(!/unsafe|\*|https?:/.test(policy), policy);
  assert(!/style=|<script>|\bon\w+="/.test(html), "no inline code or style");
  const paths = [...html.matchAll(/(?:href|src)="([^"#]+)"/g)].map(([, path]) => path ?? "");
  assertEquals(paths.sort(), ["/icon.svg", "/page.css", "/page.js"]);
  for (const path of [...paths, "/charts.js", "/format.js"]) {
    const response = await fetch(new URL(path, fixture.url));
    const text = await response.text();
    assertEquals([response.status, response.headers.get("x-content-type-options")], [200, "nosniff"], path);
    assert(!/https?:\/\/(?!www\.w3\.org)|innerHTML|insertAdjacentHTML|document\.write/.test(text), path);
  }
  assertEquals(fixture.requests.length, 0);
  const head = await fetch(fixture.url, { method: "HEAD" });
  assertEquals([head.status, await head.text()], [200, ""]);
});

Deno.test("startDashboard() responds with the fleet, and to no request shows its key", async () => {
  await using fixture = startFixture();
  const response = await fetch(`${fixture.url}data`);
  const text = await response.text();
  assert(!text.includes(KEY) && ![...response.headers].join().includes(KEY));
  const data = JSON.parse(text);
  assertEquals([data.state, data.missing, data.store, data.health.status], ["ok", [], "postgres", "pass"]);
  assertEquals(data.functions[0].counters, {
    total: 3,
    active: 2,
    idle: 1,
    waiting: 0,
    limit: 10,
    acquired: 10,
    timeouts: 0,
  });
  assertEquals(data.functions[0].errors, [{ code: "POOL_TIMEOUT", count: 2 }]);
  assertEquals([data.isolates[0].isolate, data.isolates[0].circuits], ["i-1", ["rest: open"]]);
  assertEquals([data.slowRequests[0].requestId, data.slowRequests[0].waitMs], ["r-1", 500]);
  // By the clock of the store: that of this machine may differ.
  assertEquals([data.alerts[0].raised, data.alerts[0].ageMs], [true, 90_000]);
  for (const { url, apikey } of fixture.requests) {
    assertEquals(apikey, KEY);
    assert(!url.includes(KEY));
    assertMatch(new URL(url).pathname, /^\/functions\/v1\/health\/(fleet|pool|metrics)$/);
  }
});

Deno.test("startDashboard() refuses another host, another origin, other methods and paths", async () => {
  await using fixture = startFixture();
  const { host, port } = new URL(fixture.url);
  const refusals: [string, Record<string, string>, string, number, string][] = [
    ["/data", { host: `evil.example:${port}` }, "GET", 421, "HOST_REFUSED"],
    ["/", { host: "127.0.0.1:1" }, "GET", 421, "HOST_REFUSED"],
    ["/", { host: "127.0.0.1" }, "GET", 421, "HOST_REFUSED"],
    ["/", { host: "localhost" }, "GET", 421, "HOST_REFUSED"],
    ["/", { host: `127.0.0.1.evil.example:${port}` }, "GET", 421, "HOST_REFUSED"],
    ["/", { host: `localhost.evil.example:${port}` }, "GET", 421, "HOST_REFUSED"],
    ["/", { host: `0.0.0.0:${port}` }, "GET", 421, "HOST_REFUSED"],
    ["/", { host: `[::ffff:127.0.0.1]:${port}` }, "GET", 421, "HOST_REFUSED"],
    ["/", { host: `2130706433:${port}` }, "GET", 421, "HOST_REFUSED"],
    ["/", { host: `EVIL.example:${port}` }, "GET", 421, "HOST_REFUSED"],
    ["/data", { host, origin: `http://localhost.evil.example:${port}` }, "GET", 403, "ORIGIN_REFUSED"],
    ["/data", { host, origin: `https://${host}` }, "GET", 403, "ORIGIN_REFUSED"],
    ["/data", { host, origin: "https://evil.example" }, "GET", 403, "ORIGIN_REFUSED"],
    ["/data", { host, origin: "null" }, "GET", 403, "ORIGIN_REFUSED"],
    ["/data", { host, "sec-fetch-site": "cross-site" }, "GET", 403, "ORIGIN_REFUSED"],
    ["/page.js", { host, "sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors" }, "GET", 403, "ORIGIN_REFUSED"],
    ["/data", { host }, "POST", 405, "METHOD_NOT_ALLOWED"],
    ["/..%2fserver.ts", { host }, "GET", 404, "NOT_FOUND"],
    ["/constructor", { host }, "GET", 404, "NOT_FOUND"],
  ];
  for (const [path, headers, method, status, code] of refusals) {
    const response = await send(new URL(path, fixture.url).href, headers, method);
    assertEquals([response.status, JSON.parse(response.body).code], [status, code], `${method} ${path}`);
  }
  assertEquals(fixture.requests.length, 0);
  const refused = await fetch(`${fixture.url}data`, { method: "POST" });
  await refused.body?.cancel();
  assertEquals(refused.headers.get("access-control-allow-origin"), null);
  for (const name of [`localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`, host]) {
    assertEquals((await send(fixture.url, { host: name })).status, 200);
  }
  // A link in a mail or in another page opens the page.
  const link = { host, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };
  assertEquals((await send(fixture.url, link)).status, 200);
});

Deno.test("startDashboard() polls the project once per interval, however many pages are open", async () => {
  await using fixture = startFixture({ intervalMs: 60_000 });
  await Promise.all(Array.from({ length: 20 }, () => fixture.data()));
  await fixture.data("?function=budgets");
  assertEquals(fixture.requests.length, 3);
});

Deno.test("startDashboard() responds with a problem, and with no detail, when it fails itself", async () => {
  const now = () => {
    throw new Error(`a fault that has ${KEY}`);
  };
  await using dashboard = startDashboard({ url: "http://127.0.0.1:1", secretKey: KEY, port: 0, now });
  const response = await fetch(`${dashboard.url}data`);
  const text = await response.text();
  assertEquals([response.status, JSON.parse(text).code, text.includes(KEY)], [500, "DASHBOARD_FAILED", false]);
});

Deno.test("startDashboard() stops while a project does not respond and a page waits", async () => {
  const hanging = Promise.withResolvers<Response>();
  const project = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => hanging.promise);
  const url = `http://127.0.0.1:${project.addr.port}`;
  const dashboard = startDashboard({ url, secretKey: KEY, port: 0, timeoutMs: 600_000 });
  const waiting = fetch(`${dashboard.url}data`).then((response) => response.text()).catch(() => "ended");
  await new Promise((resolve) => setTimeout(resolve, 200));
  await dashboard.stop();
  await waiting;
  hanging.resolve(new Response());
  await project.shutdown();
});

Deno.test("openDashboard() takes a free port if its own is taken, but not in place of a chosen one", async () => {
  const options = { url: "http://127.0.0.1:1", secretKey: KEY };
  await using first = openDashboard(options);
  await using second = openDashboard(options);
  assert(first.url !== second.url);
  const port = Number(new URL(second.url).port);
  let error: unknown;
  try {
    openDashboard({ ...options, port });
  } catch (thrown) {
    error = thrown;
  }
  assert(error instanceof StackError && error.code === "PORT_TAKEN");
});
