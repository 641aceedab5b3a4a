import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { startDashboard } from "../../../local/dashboard/mod.ts";
import { freePort } from "../../../local/ports.ts";
import { fleetPage, HEALTH, KEY, METRICS, startFixture } from "./support.ts";

Deno.test("startDashboard() says what is missing of a store that is down, an old function, and a slow one", async () => {
  await using fixture = startFixture({ timeoutMs: 300 });
  fixture.routes.fleet = fleetPage({ store: null, functions: [], isolates: [], missing: ["the fleet: no migration"] });
  assertEquals((await fixture.data()).missing, ["the fleet: no migration"]);

  fixture.routes.fleet = () => new Response("nothing here", { status: 404 });
  const old = await fixture.data();
  assertEquals([old.state, old.health.status, old.functions], ["partial", "pass", []]);
  assertMatch(old.missing[0], /^The fleet: the function health does not have this route \(404\); deploy it/);

  fixture.routes.fleet = () => new Promise<Response>((resolve) => setTimeout(() => resolve(Response.json({})), 600));
  assertEquals((await fixture.data()).missing, ["The fleet: no response within 0.3 s"]);

  fixture.routes.fleet = fleetPage({ version: 2, samples: undefined });
  const newer = await fixture.data();
  assertMatch(newer.missing.join("\n"), /responds with version 2 of the fleet[^]*samples: the response does not have/);

  fixture.routes.pool = () => Response.json({ ...HEALTH, status: "fail" }, { status: 503 });
  fixture.routes.fleet = fleetPage();
  assertEquals((await fixture.data()).health.status, "fail");

  for (const bad of ["<html>", "null", "[]", "7"]) {
    fixture.routes.fleet = fixture.routes.pool = bad;
    const data = await fixture.data();
    assertEquals([data.state, data.functions], ["partial", []], bad);
  }
  fixture.routes.metrics = "<html>";
  fixture.routes.fleet = fixture.routes.pool = () => new Response("", { status: 401 });
  const rejected = await fixture.data();
  assertEquals(rejected.state, "down");
  assertMatch(rejected.missing.join(), /rejected the secret key \(401\); if the stack has new keys since, start/);
  assertMatch(rejected.missing.join(), /not the text format of Prometheus/);
});

Deno.test("startDashboard() sends its key to no address that the project redirects to", async () => {
  await using fixture = startFixture();
  const elsewhere: Request[] = [];
  const other = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    elsewhere.push(request);
    return Response.json(fleetPage());
  });
  fixture.routes.fleet = () => Response.redirect(`http://127.0.0.1:${other.addr.port}/`, 307);
  const data = await fixture.data();
  await other.shutdown();
  assertEquals([elsewhere.length, data.functions], [0, []]);
  assertMatch(data.missing.join(), /redirects \(307\), and keys are sent to no other address/);
});

Deno.test("startDashboard() reports a project that cannot be reached, without a stack or a key", async () => {
  const url = `http://127.0.0.1:${freePort()}`;
  await using dashboard = startDashboard({ url, secretKey: KEY, port: 0 });
  const data = await (await fetch(`${dashboard.url}data`)).json();
  assertEquals(data.state, "down");
  assertMatch(
    data.missing[0],
    /^The fleet: 127\.0\.0\.1:\d+ cannot be reached, because nothing listens there; start the stack with `npx/,
  );
});

Deno.test("startDashboard() limits and neutralizes hostile values", async () => {
  await using fixture = startFixture();
  const hostile = "<img src=x onerror=alert(1)>\u0000\u202e" + "x".repeat(1_000);
  const slow = (fleetPage().slowRequests as Record<string, unknown>[])[0];
  const group = fleetPage().functions as Record<string, unknown>[];
  fixture.routes.fleet = fleetPage({
    functions: [
      {
        ...group[0],
        function: hostile,
        stats: { activeConnections: -1, limit: "7", totalAcquired: 1e999 },
        errors: { [hostile]: 1 },
      },
      null,
      7,
    ],
    isolates: Array(2_000).fill({ isolate: hostile, circuits: { a: 7, b: null } }),
    missing: [7, hostile],
    slowRequests: [
      { ...slow, requestId: hostile, function: hostile, method: hostile, code: hostile, verifyMs: "7" },
      7,
    ],
    alerts: "none",
    time: "whenever",
  });
  const data = await fixture.data("?function=__proto__");
  const [first] = data.functions;
  assert(first.function.length < 140 && first.errors[0].code.length < 140);
  assertEquals(first.function, `_img_src_x_onerror_alert_1____${"x".repeat(34)}`);
  assertStringIncludes(first.errors[0].code, "\\x00\\u202e");
  const [request] = data.slowRequests;
  assert(request.requestId.length < 140 && request.requestId.includes("\\x00\\u202e"));
  assertEquals([request.function, request.method, request.code], [first.function, first.function, first.function]);
  assertEquals([request.verifyMs, data.slowRequests[1].status], [0, 0]);
  assertEquals([first.counters.active, first.counters.limit, first.counters.acquired], [0, 0, 0]);
  assertEquals([data.isolates.length, data.isolates[0].circuits, data.history], [500, [], []]);
  assertEquals(data.functions[1].function, "unknown");
  assertMatch(data.missing.join("\n"), /isolates: the page shows 500 of 2000\nalerts: the response does not have them/);
});

Deno.test("startDashboard() knows no figures of a fleet that cannot be read, and begins no history with them", async () => {
  await using fixture = startFixture();
  fixture.routes.fleet = fleetPage({ time: null, store: null, functions: [], isolates: [], samples: [] });
  const unread = await fixture.data();
  assertEquals([unread.isKnown, unread.health.counters.active, unread.history], [false, 2, []]);
  fixture.routes.fleet = () => new Response("", { status: 500 });
  assertEquals([(await fixture.data()).isKnown, (await fixture.data()).history], [false, []]);
  fixture.routes.fleet = fleetPage();
  const read = await fixture.data();
  assertEquals([read.isKnown, read.history.length], [true, 2]);
});

Deno.test("startDashboard() reads metrics again only when they are old or could not be read", async () => {
  await using fixture = startFixture({ metricsIntervalMs: 60_000 });
  const metricsReads = () => fixture.requests.filter(({ url }) => url.endsWith("/metrics")).length;
  fixture.routes.metrics = () => new Response("", { status: 503 });
  for (let n = 0; n < 2; n++) {
    assertMatch((await fixture.data()).missing.join(), /^Metrics: the function health responded 503/);
  }
  fixture.routes.metrics = METRICS;
  for (let n = 0; n < 3; n++) assertEquals((await fixture.data()).missing, []);
  assertEquals(metricsReads(), 3);
});

Deno.test("startDashboard() goes on with a project that stops and starts again", async () => {
  const port = freePort();
  const start = () =>
    Deno.serve(
      { hostname: "127.0.0.1", port, onListen() {} },
      ({ url }) => url.endsWith("/metrics") ? new Response(METRICS) : Response.json({ ...fleetPage(), status: "pass" }),
    );
  await using dashboard = startDashboard({ url: `http://127.0.0.1:${port}`, secretKey: KEY, port: 0, intervalMs: 0 });
  const state = async () => (await (await fetch(`${dashboard.url}data`)).json()).state;
  for (let n = 0; n < 2; n++) {
    const project = start();
    assertEquals(await state(), "ok");
    await project.shutdown();
    assertEquals(await state(), "down");
  }
});

Deno.test("startDashboard() finds a stack again that starts with another port and other keys", async () => {
  const keys: (string | null)[] = [];
  const start = () =>
    Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ headers }) => {
      keys.push(headers.get("apikey"));
      return Response.json(fleetPage());
    });
  const urlOf = (server: Deno.HttpServer<Deno.NetAddr>) => `http://127.0.0.1:${server.addr.port}`;
  const first = start();
  const found: { url: string; secretKey: string }[] = [];
  const locate = async () => await Promise.resolve(found[0] ?? Promise.reject(new Error("not running")));
  await using dashboard = startDashboard({ url: urlOf(first), secretKey: KEY, locate, port: 0, intervalMs: 0 });
  const read = async () => await (await fetch(`${dashboard.url}data`)).json();
  assertEquals((await read()).state, "partial");
  await first.shutdown();
  assertEquals((await read()).state, "down");
  const second = start();
  found.push({ url: urlOf(second), secretKey: "other" });
  await read();
  const { isKnown, target } = await read();
  assertEquals([isKnown, target, keys.at(-1)], [true, new URL(urlOf(second)).host, "other"]);
  await second.shutdown();
});

Deno.test("startDashboard() says why a hosted project cannot be reached, without its address and key", async () => {
  const reasons: [string, RegExp][] = [
    ["invalid peer certificate: UnknownIssuer", /, because its certificate is not trusted$/],
    ["dns error: failed to lookup address information", /, because its name is not known; check --url$/],
    ["tcp connect error: Connection refused (os error 111)", /, because nothing listens there$/],
    ["something else", /example\.com cannot be reached$/],
  ];
  for (const [reason, expected] of reasons) {
    const cause = new Error(
      `error sending request for url (https://example.com/?${KEY}): client error (Connect): ${reason}`,
    );
    const fail = () => Promise.reject(new TypeError("fetch failed", { cause }));
    await using dashboard = startDashboard({ url: "https://example.com", secretKey: KEY, port: 0, fetch: fail });
    const { missing } = await (await fetch(`${dashboard.url}data`)).json();
    assertMatch(missing[0], expected);
    assert(!missing.join().includes(KEY) && !missing.join().includes("start the stack"));
  }
  const rejected = () => Promise.resolve(new Response("", { status: 403 }));
  await using dashboard = startDashboard({ url: "https://example.com", secretKey: KEY, port: 0, fetch: rejected });
  const { missing } = await (await fetch(`${dashboard.url}data`)).json();
  assertMatch(
    missing.join(),
    /rejected the secret key \(403\); check SUPABASE_SECRET_KEY, .* health has verify_jwt = false/,
  );
});

Deno.test("startDashboard() reads no response without end", async () => {
  await using fixture = startFixture();
  const chunk = new Uint8Array(2 ** 20).fill(32);
  let pulls = 0;
  fixture.routes.fleet = () =>
    new Response(
      new ReadableStream({
        pull(controller) {
          pulls++;
          controller.enqueue(chunk);
        },
      }),
    );
  assertEquals((await fixture.data()).missing, ["The fleet: the response is longer than 16 MB"]);
  assert(pulls < 60, `${pulls} MB`);
});

Deno.test("startDashboard() reads the routes of the named function", async () => {
  await using fixture = startFixture({ function: "budgets" });
  await fixture.data();
  const paths = fixture.requests.map(({ url }) => new URL(url).pathname).sort();
  assertEquals(paths, ["fleet", "metrics", "pool"].map((route) => `/functions/v1/budgets/health/${route}`));
});
