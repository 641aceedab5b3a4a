import { assertEquals, assertMatch } from "@std/assert";
import { createBudgetsHandler } from "../../functions/budgets/handler.ts";
import { ID, type Problem, startFunction } from "./fixture.ts";

const BUDGET = { id: ID, name: "Home", currency: "EUR" };

Deno.test("budgets lists, creates, reads, changes and deletes budgets", async () => {
  await using budgets = await startFunction(createBudgetsHandler);
  const { project } = budgets;

  project.answer = () => Response.json([BUDGET], { headers: { "Content-Range": "0-0/1" } });
  const list = await budgets.ask("GET", "/budgets?limit=1&offset=0");
  assertEquals([list.status, await list.json()], [200, { items: [BUDGET], total: 1, limit: 1, offset: 0 }]);

  project.answer = () => Response.json(BUDGET, { status: 201 });
  const created = await budgets.ask("POST", "/budgets", { json: { name: " Home ", currency: "EUR" } });
  assertEquals([created.status, created.headers.get("Location"), await created.json()], [201, `budgets/${ID}`, BUDGET]);
  assertEquals(
    new URL(`budgets/${ID}`, "https://p.supabase.co/functions/v1/budgets").pathname,
    `/functions/v1/budgets/${ID}`,
  );
  assertMatch(created.headers.get("Access-Control-Expose-Headers") ?? "", /Location.*X-Pool-Total-Connections/);

  project.answer = () => Response.json([BUDGET]);
  const read = await budgets.ask("GET", `/budgets/${ID}`);
  assertEquals([read.status, await read.json()], [200, BUDGET]);
  assertEquals(read.headers.get("Cache-Control"), "no-store");
  const changed = await budgets.ask("PATCH", `/budgets/${ID}`, { json: { name: "Home" } });
  assertEquals([changed.status, await changed.json()], [200, BUDGET]);
  const deleted = await budgets.ask("DELETE", `/budgets/${ID}`);
  assertEquals([deleted.status, await deleted.text()], [204, ""]);

  assertEquals(project.requests.map(({ method }) => method), ["GET", "POST", "GET", "PATCH", "DELETE"]);
  assertEquals(budgets.service.getPoolStats().activeConnections, 0);
});

Deno.test("budgets sends the caller's token with every call to the project", async () => {
  await using budgets = await startFunction(createBudgetsHandler);
  await budgets.ask("GET", "/budgets");
  const [request] = budgets.project.requests;
  assertEquals(request?.apikey, "sb_publishable_default");
  assertMatch(request?.authorization ?? "", /^Bearer eyJ/);
});

Deno.test("budgets responds 401 without a user's token, and sends no call to the project", async () => {
  await using budgets = await startFunction(createBudgetsHandler);
  for (
    const headers of [
      { Authorization: undefined },
      { Authorization: undefined, apikey: undefined },
      { Authorization: undefined, apikey: "sb_secret_default" },
      { Authorization: "Bearer nonsense" },
    ]
  ) {
    for (const [method, path] of [["GET", "/budgets"], ["POST", "/budgets"], ["GET", "/nowhere"]] as const) {
      const response = await budgets.ask(method, path, { headers });
      assertEquals(response.status, 401);
      await response.body?.cancel();
    }
  }
  assertEquals(budgets.project.requests, []);
});

Deno.test("budgets responds 404 for a budget of another user", async () => {
  await using budgets = await startFunction(createBudgetsHandler);
  for (const [method, json] of [["GET"], ["PATCH", { name: "x" }], ["DELETE"]] as const) {
    const response = await budgets.ask(method, `/budgets/${ID}`, { json });
    assertEquals([response.status, (await response.json() as Problem).code], [404, "NOT_FOUND"]);
  }
});

Deno.test("budgets passes the project's rejections on, without row values", async () => {
  await using budgets = await startFunction(createBudgetsHandler);
  budgets.project.answer = () =>
    Response.json({ code: "23514", message: "violates check", details: "Failing row contains (secret)", hint: null }, {
      status: 400,
    });
  const response = await budgets.ask("POST", "/budgets", { json: { name: "x" } });
  const text = await response.text();
  assertEquals([response.status, text.includes("secret"), (JSON.parse(text) as Problem).code], [400, false, "23514"]);
});

Deno.test("budgets responds 503 with Retry-After, after retries, while the project is unavailable", async () => {
  await using budgets = await startFunction(createBudgetsHandler);
  budgets.project.answer = () => Response.json({ code: "PGRST000", message: "at 10.0.0.1" }, { status: 503 });
  const response = await budgets.ask("GET", "/budgets");
  const text = await response.text();
  assertEquals([response.status, response.headers.has("Retry-After"), text.includes("10.0.0.1")], [503, true, false]);
  assertEquals(budgets.project.requests.length, 4);
});

Deno.test("budgets responds 405 with the allowed methods, and 404 for an unknown route", async () => {
  await using budgets = await startFunction(createBudgetsHandler);
  for (
    const [method, path, status, allow] of [
      ["PUT", "/budgets", 405, "GET, POST, HEAD, OPTIONS"],
      ["DELETE", "/budgets/", 405, "GET, POST, HEAD, OPTIONS"],
      ["POST", `/budgets/${ID}`, 405, "GET, PATCH, DELETE, HEAD, OPTIONS"],
      ["GET", "/budgets/a/b", 404, null],
      ["GET", "/", 404, null],
      ["GET", "/budget", 404, null],
      ["GET", "//budgets", 404, null],
    ] as const
  ) {
    const response = await budgets.ask(method, path);
    assertEquals([response.status, response.headers.get("Allow")], [status, allow], `${method} ${path}`);
    assertEquals(response.headers.get("Content-Type"), "application/problem+json");
    await response.body?.cancel();
  }
});

Deno.test("budgets responds to HEAD like GET without a body, and to OPTIONS as to a preflight", async () => {
  await using budgets = await startFunction(createBudgetsHandler);
  const head = await budgets.ask("HEAD", "/budgets");
  assertEquals([head.status, await head.text(), head.headers.has("X-Pool-Total-Connections")], [200, "", true]);
  const options = await budgets.ask("OPTIONS", "/budgets", { headers: { Authorization: undefined } });
  assertEquals([options.status, options.headers.has("Access-Control-Allow-Origin")], [204, true]);
});

Deno.test("budgets names every invalid field", async () => {
  await using budgets = await startFunction(createBudgetsHandler);
  const cases: readonly (readonly [method: string, path: string, json: unknown, fields: string[]])[] = [
    ["POST", "/budgets", {}, ["name"]],
    ["POST", "/budgets", { name: "", currency: "euro", more: 1, "__proto__x": 2 }, [
      "name",
      "currency",
      "more",
      "__proto__x",
    ]],
    ["POST", "/budgets", { name: 1 }, ["name"]],
    ["POST", "/budgets", { name: "   " }, ["name"]],
    ["POST", "/budgets", { name: "x".repeat(121) }, ["name"]],
    ["POST", "/budgets", { name: "a\0b" }, ["name"]],
    ["POST", "/budgets", { name: "a\ud800b" }, ["name"]],
    ["POST", "/budgets", [], [""]],
    ["POST", "/budgets", null, [""]],
    ["PATCH", `/budgets/${ID}`, {}, [""]],
    ["PATCH", `/budgets/${ID}`, { user_id: ID }, ["user_id", ""]],
    ["PATCH", "/budgets/1", { name: "x" }, ["id"]],
    ["GET", "/budgets/%E0%A4%A", undefined, ["id"]],
    ["GET", "/budgets/%00", undefined, ["id"]],
    ["GET", "/budgets?limit=0&offset=-1", undefined, ["limit", "offset"]],
    ["GET", "/budgets?limit=101&offset=1000001", undefined, ["limit", "offset"]],
    ["GET", "/budgets?limit=1e1&offset=", undefined, ["limit", "offset"]],
    ["GET", "/budgets?limit=1&limit=2", undefined, ["limit"]],
    ["GET", "/budgets?__proto__=1&limits=1", undefined, ["__proto__", "limits"]],
  ];
  for (const [method, path, json, fields] of cases) {
    const response = await budgets.ask(method, path, { json });
    const { status, code, errors } = await response.json() as Problem;
    assertEquals([status, code], [400, "VALIDATION_FAILED"], `${method} ${path} ${JSON.stringify(json)}`);
    assertEquals(errors?.map(({ path }) => path), fields, `${method} ${path} ${JSON.stringify(json)}`);
  }
  assertEquals(budgets.project.requests, []);
});

Deno.test("budgets counts a name in characters, not in UTF-16 units", async () => {
  await using budgets = await startFunction(createBudgetsHandler);
  budgets.project.answer = () => Response.json(BUDGET, { status: 201 });
  const response = await budgets.ask("POST", "/budgets", { json: { name: "😀".repeat(120) } });
  assertEquals(response.status, 201);
  await response.body?.cancel();
});
