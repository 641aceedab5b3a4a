import { assert, assertEquals, assertMatch } from "@std/assert";
import { assertProblem, call, POOL_HEADERS, poolHeaders, signUp, useStack } from "./support.ts";

const stack = useStack();
const UNKNOWN_ID = "00000000-0000-4000-8000-000000000000";

Deno.test("budgets: a user creates, reads, changes and deletes a budget", async () => {
  const { token } = await signUp(stack(), "crud");
  const created = await call(stack(), "/budgets", { token, body: { name: "Household", currency: "EUR" } });
  assertEquals([created.status, created.body.name, created.body.currency], [201, "Household", "EUR"]);
  const path = `/budgets/${created.body.id}`;
  const collection = `${stack().url}/functions/v1/budgets`;
  assertEquals(new URL(created.headers.get("location") ?? "", collection).href, `${stack().url}/functions/v1${path}`);
  assertEquals((await call(stack(), path, { token })).body, created.body);
  const renamed = await call(stack(), path, { token, method: "PATCH", body: { name: "Home" } });
  assertEquals([renamed.status, renamed.body.name], [200, "Home"]);
  assertEquals((await call(stack(), path, { token, method: "DELETE" })).status, 204);
  assertProblem(await call(stack(), path, { token }), 404, "NOT_FOUND");
});

Deno.test("categories: a user creates, pages, renames, reorders and deletes categories", async () => {
  const { token } = await signUp(stack(), "categories");
  const budget = (await call(stack(), "/budgets", { token, body: { name: "Household" } })).body.id;
  const ids: string[] = [];
  for (const name of ["Rent", "Food", "Books", "Fun"]) {
    const created = await call(stack(), "/categories", { token, body: { budget_id: budget, name } });
    assertEquals([created.status, created.body.position], [201, ids.length]);
    ids.push(created.body.id);
  }
  const page = await call(stack(), `/categories?budget_id=${budget}&limit=2&offset=1`, { token });
  assertEquals(page.body.items.map((item: { name: string }) => item.name), ["Food", "Books"]);
  assertEquals([page.body.total, page.body.limit, page.body.offset], [4, 2, 1]);

  const order = { budget_id: budget, category_ids: [...ids].reverse() };
  const reordered = await call(stack(), "/categories/order", { token, method: "PUT", body: order });
  assertEquals(reordered.body.items.map((item: { id: string }) => item.id), order.category_ids);
  const partial = { budget_id: budget, category_ids: ids.slice(1) };
  assertProblem(await call(stack(), "/categories/order", { token, method: "PUT", body: partial }), 409, "PT409");

  const one = `/categories/${ids[0]}`;
  assertEquals((await call(stack(), one, { token, method: "PATCH", body: { name: "Lease" } })).body.name, "Lease");
  assertProblem(await call(stack(), one, { token, method: "PATCH", body: { name: "Food" } }), 409, "23505");
  assertEquals((await call(stack(), one, { token, method: "DELETE" })).status, 204);
  assertEquals((await call(stack(), `/categories?budget_id=${budget}`, { token })).body.total, 3);
});

Deno.test("budgets and categories: the rows of two users never mix in five hundred interleaved requests", async () => {
  const names = ["alice", "bob"];
  const users = await Promise.all(names.map((name) => signUp(stack(), name)));
  const owned = await Promise.all(users.map(async ({ token }, i) => {
    const created = await call(stack(), "/budgets", { token, body: { name: `of ${names[i]}` } });
    return created.body.id as string;
  }));
  const request = async (i: number) => {
    const me = i % 2;
    const user = users[me];
    const own = owned[me];
    const foreign = owned[1 - me];
    assert(user && own && foreign);
    const { token } = user;
    switch (i % 5) {
      case 0: {
        assertProblem(await call(stack(), `/budgets/${foreign}`, { token }), 404, "NOT_FOUND");
        break;
      }
      case 1: {
        const stolen = { budget_id: foreign, name: `stolen ${i}` };
        assertProblem(await call(stack(), "/categories", { token, body: stolen }), 404, "NOT_FOUND");
        break;
      }
      case 2: {
        const body = { name: "mine now" };
        assertProblem(await call(stack(), `/budgets/${foreign}`, { token, method: "PATCH", body }), 404, "NOT_FOUND");
        break;
      }
      default: {
        const { body } = await call(stack(), "/budgets", { token });
        assertEquals(body.items.map((item: { id: string; name: string }) => [item.id, item.name]), [
          [own, `of ${names[me]}`],
        ]);
      }
    }
  };
  // In waves: on a busy machine the last of five hundred would exceed the acquire timeout.
  for (let from = 0; from < 500; from += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, i) => request(from + i)));
  }
  for (const [i, { token }] of users.entries()) {
    assertEquals((await call(stack(), `/categories?budget_id=${owned[i]}`, { token })).body.total, 0);
  }
});

Deno.test("budgets and categories respond 401 without a token, and with the publishable key as the token", async () => {
  for (const path of ["/budgets", `/categories?budget_id=${UNKNOWN_ID}`]) {
    for (const token of [undefined, stack().publishableKey, "not-a-token", ""]) {
      const answer = await call(stack(), path, token === undefined ? {} : { token });
      assertEquals(answer.status, 401, `${path} with ${token}`);
      assert(answer.headers.get("x-supabase-server-error"));
      poolHeaders(answer);
    }
  }
});

Deno.test("budgets rejects the secret key", async () => {
  const { secretKey } = stack();
  assertEquals((await call(stack(), "/budgets", { apikey: secretKey })).status, 401);
  assertEquals((await call(stack(), "/budgets", { apikey: secretKey, token: secretKey })).status, 401);
});

Deno.test("templates shows published templates only, to any caller", async () => {
  const { status, body } = await call(stack(), "/templates");
  assertEquals(status, 200);
  assertEquals(body.items.map((item: { name: string }) => item.name), ["Freelancer", "Household", "Student"]);
  assertEquals(body.items.every((item: { published?: boolean }) => item.published !== false), true);
  const draft = "/templates/7a1d6f3e-0c4b-4e52-9f0a-1b6b1c2d3e04";
  assertProblem(await call(stack(), draft), 404, "NOT_FOUND");
  assertEquals((await call(stack(), "/templates", { apikey: null })).status, 401);
});

Deno.test("every response has the X-Pool-* headers and exposes them to browsers", async () => {
  const { token } = await signUp(stack(), "headers");
  const answers = {
    ok: await call(stack(), "/budgets", { token }),
    created: await call(stack(), "/budgets", { token, body: { name: "x" } }),
    unauthorized: await call(stack(), "/budgets"),
    "not found": await call(stack(), `/budgets/${UNKNOWN_ID}`, { token }),
    "no route": await call(stack(), "/budgets/a/b/c", { token }),
    "wrong method": await call(stack(), "/budgets", { token, method: "PUT", body: {} }),
    "bad body": await call(stack(), "/budgets", { token, body: {} }),
    preflight: await call(stack(), "/budgets", { method: "OPTIONS" }),
    health: await call(stack(), "/health/pool"),
    templates: await call(stack(), "/templates"),
  };
  for (const [what, answer] of Object.entries(answers)) {
    const [total, active, idle] = poolHeaders(answer);
    assert(total !== undefined && active !== undefined && idle !== undefined && total >= active + idle, what);
    assertMatch(answer.headers.get("server-timing") ?? "", /^pool;dur=\d/, what);
    const exposed = (answer.headers.get("access-control-expose-headers") ?? "").toLowerCase();
    for (const name of POOL_HEADERS) assert(exposed.includes(name), `${what}: ${name} is not exposed`);
  }
});

Deno.test("GET /health/pool responds with application/health+json, from the gateway and from each function", async () => {
  const paths = ["/health/pool", ...stack().functions.names.map((name) => `/functions/v1/${name}/health/pool`)];
  for (const path of paths) {
    const response = await fetch(stack().url + path);
    assertEquals([response.status, response.headers.get("content-type")], [200, "application/health+json"], path);
    const { status, healthy, details, checks } = await response.json();
    assertEquals([status, healthy, details.testQuery.success], ["pass", true, true]);
    assertEquals(Object.keys(details.stats), [
      "totalConnections",
      "activeConnections",
      "idleConnections",
      "waitingForConnection",
      "totalAcquired",
      "totalReleased",
      "totalCreated",
      "totalDestroyed",
    ]);
    assert(Object.keys(checks).length > 0);
  }
});

const long = "x".repeat(121);
const bad: [what: string, path: string, options: Parameters<typeof call>[2], status: number, names: string][] = [
  ["malformed JSON", "/budgets", { body: '{"name":' }, 400, ""],
  ["no JSON at all", "/budgets", { body: "name=x", headers: { "content-type": "text/plain" } }, 415, ""],
  ["a missing field", "/budgets", { body: {} }, 400, "name"],
  ["an unknown field", "/budgets", { body: { name: "x", colour: "red" } }, 400, "colour"],
  ["a wrong type", "/budgets", { body: { name: 7 } }, 400, "name"],
  ["too long a name", "/budgets", { body: { name: long } }, 400, "name"],
  ["a blank name", "/budgets", { body: { name: "   " } }, 400, "name"],
  ["a NUL character", "/budgets", { body: { name: "a\u0000b" } }, 400, "name"],
  ["a body that is a list", "/budgets", { body: [] }, 400, ""],
  ["a body of null", "/budgets", { body: null }, 400, ""],
  ["__proto__ as a field", "/budgets", { body: '{"name":"x","__proto__":{"a":1}}' }, 400, ""],
  ["too large a body", "/budgets", { body: JSON.stringify({ name: "x".repeat(100_000) }) }, 413, ""],
  ["a bad UUID", "/budgets/7", {}, 400, "id"],
  ["a bad UUID in a query", "/categories?budget_id=7", {}, 400, "budget_id"],
  ["a missing query", "/categories", {}, 400, "budget_id"],
  ["an unknown query", "/budgets?colour=red", {}, 400, "colour"],
  ["a limit that is no number", "/budgets?limit=ten", {}, 400, "limit"],
  ["a limit of nothing", "/budgets?limit=0", {}, 400, "limit"],
  ["an offset beyond all numbers", "/budgets?offset=99999999999999999999", {}, 400, "offset"],
  ["a broken escape in the path", "/budgets/%E0%A4%A", {}, 400, ""],
  ["an unknown route", "/budgets/a/b", {}, 404, ""],
  ["a wrong method", "/budgets", { method: "DELETE" }, 405, ""],
  ["a wrong method on health", "/budgets/health/pool", { method: "POST", body: {} }, 405, ""],
];
for (const [what, path, options, status, names] of bad) {
  Deno.test(`${what} gets a ${status} problem that names it`, async () => {
    const { token } = await signUp(stack(), "bad");
    const answer = await call(stack(), path, { token, ...options });
    assertEquals(answer.status, status, JSON.stringify(answer.body));
    assertEquals(answer.headers.get("content-type"), "application/problem+json");
    assert(JSON.stringify(answer.body).includes(names), JSON.stringify(answer.body));
    if (status === 405) assert(answer.headers.get("allow"));
    poolHeaders(answer);
  });
}

Deno.test("no slot is leased after all tests of this file", async () => {
  for (const name of stack().functions.names) {
    const { body } = await call(stack(), `/${name}/health/pool`);
    const { activeConnections, waitingForConnection, totalAcquired, totalReleased } = body.details.stats;
    assertEquals([activeConnections, waitingForConnection, totalAcquired - totalReleased], [0, 0, 0], name);
  }
});
