import { assertEquals } from "@std/assert";
import { createCategoriesHandler } from "../../functions/categories/handler.ts";
import { ID, OTHER_ID, type Problem, startFunction } from "./fixture.ts";

const CATEGORY = { id: ID, budget_id: OTHER_ID, name: "Rent", position: 0 };

Deno.test("categories lists, creates, reads, renames, orders and deletes categories", async () => {
  await using categories = await startFunction(createCategoriesHandler);
  const { project } = categories;

  project.answer = () => Response.json([CATEGORY], { headers: { "Content-Range": "0-0/1" } });
  const list = await categories.ask("GET", `/categories?budget_id=${OTHER_ID.toUpperCase()}`);
  assertEquals([list.status, await list.json()], [200, { items: [CATEGORY], total: 1, limit: 50, offset: 0 }]);

  project.answer = () => Response.json(CATEGORY, { status: 201 });
  const created = await categories.ask("POST", "/categories", { json: { budget_id: OTHER_ID, name: "Rent" } });
  assertEquals([created.status, created.headers.get("Location")], [201, `categories/${ID}`]);
  await created.body?.cancel();

  project.answer = () => Response.json([CATEGORY]);
  for (
    const [method, path, json, status] of [
      ["GET", `/categories/${ID}`, undefined, 200],
      ["PATCH", `/categories/${ID}`, { name: "Rent" }, 200],
      ["PUT", "/categories/order", { budget_id: OTHER_ID, category_ids: [ID] }, 200],
      ["DELETE", `/categories/${ID}`, undefined, 204],
    ] as const
  ) {
    const response = await categories.ask(method, path, { json });
    assertEquals(response.status, status, `${method} ${path}`);
    await response.body?.cancel();
  }
  assertEquals(project.requests.map(({ method, path }) => [method, path.split("?")[0]]), [
    ["GET", "/rest/v1/categories"],
    ["POST", "/rest/v1/categories"],
    ["GET", "/rest/v1/categories"],
    ["PATCH", "/rest/v1/categories"],
    ["POST", "/rest/v1/rpc/reorder_categories"],
    ["DELETE", "/rest/v1/categories"],
  ]);
  assertEquals(categories.service.getPoolStats().activeConnections, 0);
});

Deno.test("categories names every invalid field", async () => {
  await using categories = await startFunction(createCategoriesHandler);
  const cases: readonly (readonly [method: string, path: string, json: unknown, fields: string[]])[] = [
    ["GET", "/categories", undefined, ["budget_id"]],
    ["GET", "/categories?budget_id=1", undefined, ["budget_id"]],
    ["POST", "/categories", { name: "x" }, ["budget_id"]],
    ["POST", "/categories", { budget_id: ID, name: "x", position: 1 }, ["position"]],
    ["PUT", "/categories/order", { budget_id: ID }, ["category_ids"]],
    ["PUT", "/categories/order", { budget_id: ID, category_ids: ["1", ID, 2] }, ["category_ids.0", "category_ids.2"]],
    ["PUT", "/categories/order", { budget_id: ID, category_ids: [ID, ID.toUpperCase()] }, ["category_ids"]],
    ["PUT", "/categories/order", { budget_id: ID, category_ids: Array(501).fill(ID) }, ["category_ids"]],
    ["PATCH", `/categories/${ID}`, {}, ["name"]],
  ];
  for (const [method, path, json, fields] of cases) {
    const response = await categories.ask(method, path, { json });
    const { status, errors } = await response.json() as Problem;
    assertEquals([status, errors?.map(({ path }) => path)], [400, fields], `${method} ${path}`);
  }
  assertEquals(categories.project.requests, []);
});

Deno.test("categories responds 409 when the list has changed, and 404 for a budget of another user", async () => {
  await using categories = await startFunction(createCategoriesHandler);
  const json = { budget_id: ID, category_ids: [] };
  for (const [code, status, expected] of [["PT409", 409, "PT409"], ["PT404", 404, "NOT_FOUND"]] as const) {
    categories.project.answer = () => Response.json({ code, message: "m", details: null, hint: null }, { status });
    const response = await categories.ask("PUT", "/categories/order", { json });
    assertEquals([response.status, (await response.json() as Problem).code], [status, expected]);
  }
});

Deno.test("categories allows only PUT on /categories/order", async () => {
  await using categories = await startFunction(createCategoriesHandler);
  const response = await categories.ask("GET", "/categories/order");
  assertEquals([response.status, response.headers.get("Allow")], [405, "PUT, OPTIONS"]);
  await response.body?.cancel();
});

Deno.test("categories rejects a body that is not an object", async () => {
  await using categories = await startFunction(createCategoriesHandler);
  for (const json of [[], [ID], "x", 1, null]) {
    const response = await categories.ask("PUT", "/categories/order", { json });
    const { status, errors } = await response.json() as Problem;
    assertEquals([status, errors], [400, [{ path: "", message: "must be an object" }]]);
  }
});
