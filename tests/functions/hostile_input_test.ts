import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { createBudgetsHandler } from "../../functions/budgets/handler.ts";
import { createCategoriesHandler } from "../../functions/categories/handler.ts";
import { createTemplatesHandler } from "../../functions/templates/handler.ts";
import { MAX_BODY_BYTES } from "../../shared/http/routing/input.ts";
import { type Fixture, ID, type Problem, startFunction } from "./fixture.ts";

const JSON_TYPE = { "Content-Type": "application/json" };

async function post(budgets: Fixture, body: BodyInit, headers: Record<string, string> = JSON_TYPE): Promise<Problem> {
  const response = await budgets.ask("POST", "/budgets", { body, headers });
  return await response.json() as Problem;
}

/** A body of chunks, without a length. */
function streamOf(chunk: Uint8Array<ArrayBuffer>, times: number): { body: ReadableStream; read: () => number } {
  let read = 0;
  const body = new ReadableStream({
    pull(controller) {
      if (read >= times) return controller.close();
      read++;
      controller.enqueue(chunk);
    },
  });
  return { body, read: () => read };
}

Deno.test("readJson() counts a body while it arrives, and does not read past the limit", async () => {
  await using budgets = await startFunction(createBudgetsHandler);
  const { body, read } = streamOf(new Uint8Array(1_024).fill(32), 10_000);
  assertEquals((await post(budgets, body)).code, "BODY_TOO_LARGE");
  assert(read() <= MAX_BODY_BYTES / 1_024 + 3, `${read()} chunks were read`);

  const exact = `{"name":"x"}`.padEnd(MAX_BODY_BYTES, " ");
  budgets.project.answer = () => Response.json({ id: ID }, { status: 201 });
  assertEquals((await budgets.ask("POST", "/budgets", { body: exact, headers: JSON_TYPE })).status, 201);
  assertEquals((await post(budgets, `${exact} `)).status, 413);
  assertEquals((await post(budgets, "{}", { ...JSON_TYPE, "Content-Length": "99999999" })).status, 413);
});

Deno.test("readJson() rejects a body that breaks off, is empty, or is not UTF-8 or JSON", async () => {
  await using budgets = await startFunction(createBudgetsHandler);
  const broken = new ReadableStream({
    pull(controller) {
      controller.error(new Error("gone"));
    },
  });
  for (
    const body of [
      broken,
      new Uint8Array([0x22, 0xff, 0x22]),
      "",
      " ",
      "{",
      "undefined",
      "[".repeat(60_000),
      '{"name":'.repeat(7_000),
    ]
  ) {
    assertEquals((await post(budgets, body)).code, "MALFORMED_JSON");
  }
});

Deno.test("readJson() rejects deep and odd JSON by field, and accepts repeated names as JSON.parse does", async () => {
  await using budgets = await startFunction(createBudgetsHandler);
  const deep = `{"a":${"[".repeat(30_000)}${"]".repeat(30_000)}}`;
  const many = JSON.stringify(Object.fromEntries(Array.from({ length: 3_000 }, (_, at) => [`field${at}`, at])));
  for (const body of [deep, many, '{"__proto__":{"name":"x"}}', '{"constructor":1}', `{"${"k".repeat(50_000)}":1}`]) {
    const { status, errors } = await post(budgets, body);
    assertEquals(status, 400);
    assert(errors !== undefined && errors.length > 1 && errors.length <= 21);
    assert(JSON.stringify(errors).length < 5_000, "what the caller sent is shown in part only");
  }
  budgets.project.answer = () => Response.json({ id: ID }, { status: 201 });
  const twice = await budgets.ask("POST", "/budgets", { body: '{"name":"a","name":"b"}', headers: JSON_TYPE });
  assertEquals(twice.status, 201);
  await twice.body?.cancel();
});

Deno.test("readJson() responds 415 with the accepted types for another type or a compressed body", async () => {
  await using budgets = await startFunction(createBudgetsHandler);
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json", ""]) {
    const response = await budgets.ask("POST", "/budgets", { body: "{}", headers: { "Content-Type": type } });
    assertEquals([response.status, response.headers.get("Accept")], [415, "application/json"], type);
    await response.body?.cancel();
  }
  const zipped = { ...JSON_TYPE, "Content-Encoding": "gzip" };
  const response = await budgets.ask("POST", "/budgets", { body: "{}", headers: zipped });
  assertEquals([response.status, response.headers.get("Accept-Encoding")], [415, "identity"]);
  await response.body?.cancel();
  for (const type of ["application/json; charset=utf-8", "APPLICATION/JSON", "application/merge-patch+json"]) {
    assertEquals((await post(budgets, "{}", { "Content-Type": type })).code, "VALIDATION_FAILED", type);
  }
});

const piece = fc.oneof(
  fc.constantFrom(
    "budgets",
    "categories",
    "templates",
    "order",
    "health",
    "pool",
    ID,
    "",
    "..",
    ".",
    "%2e%2e",
    "%2F",
    "%00",
    "%E0%A4%A",
    "%",
    "%%",
    "*",
    ":id",
    "__proto__",
    "constructor",
  ),
  fc.string({ maxLength: 8 }).map(encodeURIComponent_),
);

function encodeURIComponent_(text: string): string {
  return text.isWellFormed() ? encodeURIComponent(text) : "%ED%A0%80";
}

const path = fc.tuple(fc.constantFrom("/budgets", "/categories", "/templates", "/"), fc.array(piece, { maxLength: 3 }))
  .map(([root, rest]) => [root, ...rest].join("/"));

const query = fc.dictionary(
  fc.oneof(fc.constantFrom("limit", "offset", "budget_id", "__proto__", "select", "or", "apikey"), fc.string()),
  fc.oneof(fc.constantFrom("1", "-1", "1e9", "999999999999", "NaN", "", ID, "a&b"), fc.string()),
  { maxKeys: 3 },
).map((entries) => {
  const text = Object.entries(entries).map((pair) => pair.map(encodeURIComponent_).join("=")).join("&");
  return text === "" ? "" : `?${text}`;
});

const body = fc.oneof(
  fc.json(),
  fc.string({ unit: "binary" }),
  fc.record({ name: fc.oneof(fc.string({ unit: "binary" }), fc.constant("a\0")), currency: fc.anything() }, {
    requiredKeys: [],
  }).map((value) => safeJson(value)),
  fc.record({
    budget_id: fc.constantFrom(ID, "1", null),
    category_ids: fc.array(fc.constantFrom(ID, "", null, 1), { maxLength: 3 }),
  }).map((value) => JSON.stringify(value)),
  fc.uint8Array({ maxLength: 50 }).map((bytes) => new Uint8Array(bytes)),
);

function safeJson(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => typeof each === "bigint" ? String(each) : each) ?? "";
}

Deno.test("functions respond to no random input with a 500, a rejection or a lost slot", async () => {
  for (const create of [createBudgetsHandler, createCategoriesHandler, createTemplatesHandler]) {
    await using target = await startFunction(create);
    target.project.answer = ({ method }) => Response.json(method === "POST" ? { id: ID } : []);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"),
        path,
        query,
        body,
        fc.constantFrom("application/json", "text/plain", "application/json;charset=utf-16", "a/b/c;;"),
        fc.boolean(),
        async (method, path, query, body, type, anonymous) => {
          const sent = method === "GET" || method === "HEAD" ? {} : { body };
          const headers = { "Content-Type": type, ...(anonymous ? { Authorization: undefined } : {}) };
          const response = await target.ask(method, path + query, { ...sent, headers });
          await response.body?.cancel();
          assert(response.status < 500, `${method} ${path}${query} → ${response.status}`);
          assert(response.headers.has("X-Pool-Total-Connections"));
        },
      ),
      { numRuns: 150 },
    );
    const { activeConnections, waitingForConnection } = target.service.getPoolStats();
    assertEquals([activeConnections, waitingForConnection], [0, 0]);
  }
});
