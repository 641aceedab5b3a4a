import { assert, assertEquals } from "@std/assert";
import { readModuleGraph } from "../../local/deploy/module_graph.ts";
import { readFunctions } from "../../local/functions/config.ts";
import { projectAt } from "../../local/project.ts";
import { type Answer, assertProblem, call, poolHeaders, signUp, useStack } from "./support.ts";

const stack = useStack();

interface Household {
  readonly token: string;
  readonly categoryIds: readonly string[];
}

/** The Data API, as the user. */
async function data(token: string, path: string, method = "GET", body?: unknown): Promise<Response> {
  return await fetch(`${stack().restUrl}/${path}`, {
    method,
    headers: {
      apikey: stack().publishableKey,
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

/** Signs up a user with a budget whose categories have these balances. */
async function household(name: string, ...balances: number[]): Promise<Household> {
  const { token } = await signUp(stack(), name);
  const budget = (await call(stack(), "/budgets", { token, body: { name: "Household" } })).body.id;
  const categoryIds: string[] = [];
  for (const [index, balance] of balances.entries()) {
    const created = await call(stack(), "/categories", { token, body: { budget_id: budget, name: `c${index}` } });
    assertEquals([created.status, created.body.balance], [201, 0]);
    categoryIds.push(created.body.id);
    const filled = await data(token, `categories?id=eq.${created.body.id}`, "PATCH", { balance });
    await filled.body?.cancel();
    assertEquals(filled.status, 204);
  }
  return { token, categoryIds };
}

async function balances({ token, categoryIds }: Household): Promise<number[]> {
  const response = await data(token, `categories?select=id,balance&id=in.(${categoryIds.join()})`);
  const rows: { id: string; balance: number }[] = await response.json();
  return categoryIds.map((id) => rows.find((row) => row.id === id)?.balance ?? NaN);
}

function send({ token, categoryIds }: Household, amount: number, from = 0, to = 1, key: string = crypto.randomUUID()) {
  const body = { from_category_id: categoryIds[from], to_category_id: categoryIds[to], amount };
  return call(stack(), "/transfers", { token, body, headers: { "idempotency-key": key } });
}

Deno.test("transfers: a user makes a transfer, reads it, and repeats it without effect", async () => {
  const mine = await household("mover", 1_000, 0);
  const key = `"${crypto.randomUUID()}"`;
  const created = await send(mine, 250, 0, 1, key);
  assertEquals([created.status, created.body.amount, created.headers.get("idempotent-replayed")], [201, 250, null]);
  const [total = 0, active = 0, idle = 0, waiting] = poolHeaders(created);
  // The connection may be in its reset: neither active nor idle.
  assert(total >= 1 && total <= 4 && active + idle <= total, `${total} connections`);
  assertEquals(waiting, 0);

  const where = new URL(created.headers.get("location") ?? "", `${stack().url}/functions/v1/transfers`);
  assertEquals(where.pathname, `/functions/v1/transfers/${created.body.id}`);
  assertEquals((await call(stack(), `/transfers/${created.body.id}`, { token: mine.token })).body, created.body);
  const again = await send(mine, 250, 0, 1, key);
  assertEquals([again.status, again.body, again.headers.get("idempotent-replayed")], [201, created.body, "true"]);
  assertProblem(await send(mine, 251, 0, 1, key), 422, "IDEMPOTENCY_KEY_REUSED");
  assertEquals(await balances(mine), [750, 250]);
});

Deno.test("transfers responds with a problem to an impossible transfer, and moves nothing", async () => {
  const [mine, other] = [await household("poor", 10, 0), await household("rich", 1_000_000, 0)];
  assertProblem(await send(mine, 11), 409, "INSUFFICIENT_BALANCE");
  const stolen = { token: mine.token, categoryIds: [other.categoryIds[0] ?? "", mine.categoryIds[1] ?? ""] };
  assertProblem(await send(stolen, 5), 404, "NOT_FOUND");
  const created = await send(other, 1);
  assertProblem(await call(stack(), `/transfers/${created.body.id}`, { token: mine.token }), 404, "NOT_FOUND");
  assertProblem(await send(mine, 1.5), 400, "VALIDATION_FAILED");
  assertProblem(await call(stack(), "/transfers", { token: mine.token, body: "{" }), 400, "MALFORMED_JSON");
  assertEquals((await call(stack(), "/transfers", { body: {} })).status, 401);
  assertEquals([await balances(mine), await balances(other)], [[10, 0], [999_999, 1]]);
});

Deno.test("transfers keeps every cent in a hundred concurrent transfers", async () => {
  const mine = await household("racer", 40, 40, 40);
  const expected = [40, 40, 40];
  const answers = await Promise.all(Array.from({ length: 100 }, async (_, index): Promise<Answer> => {
    const [from, to, amount] = [index % 3, (index + 1 + index % 2) % 3, 1 + index % 11];
    const answer = await send(mine, amount, from, to);
    if (answer.status === 201) {
      expected[from] = (expected[from] ?? 0) - amount;
      expected[to] = (expected[to] ?? 0) + amount;
    } else assertProblem(answer, 409, "INSUFFICIENT_BALANCE");
    const [total = NaN] = poolHeaders(answer);
    assert(total <= 4, `${total} connections, where 4 may be`);
    return answer;
  }));
  assert(answers.some(({ status }) => status === 201));
  assertEquals(await balances(mine), expected);
});

Deno.test("the Data API lets no caller forge or change a transfer", async () => {
  const mine = await household("forger", 100, 0);
  const created = await send(mine, 10);
  for (const [method, body] of [["PATCH", { amount: 1 }], ["DELETE", undefined]] as const) {
    const response = await data(mine.token, `transfers?id=eq.${created.body.id}`, method, body);
    assertEquals([response.status, (await response.json()).code], [403, "42501"]);
  }
  const { body: { budget_id } } = await call(stack(), `/transfers/${created.body.id}`, { token: mine.token });
  const add = async (amount: number) => {
    const [from_category_id, to_category_id] = mine.categoryIds;
    const row = { budget_id, from_category_id, to_category_id, amount, idempotency_key: crypto.randomUUID() };
    const response = await data(mine.token, "transfers", "POST", row);
    await response.body?.cancel();
    return response.status;
  };
  // An inserted row moves its amount.
  assertEquals([await add(20), await add(71)], [201, 409]);
  assertEquals(await balances(mine), [70, 30]);
  const { token } = await household("stranger");
  const seen = await data(token, "transfers?select=id");
  assertEquals(await seen.json(), []);
});

Deno.test("GET /transfers/health/pool reports the Postgres connections", async () => {
  const open = await call(stack(), "/transfers/health/pool", { apikey: null });
  assertEquals([open.status, open.body.status, Object.keys(open.body.details.stats).length], [200, "pass", 8]);
  assertEquals(Object.keys(open.body.checks).at(-1), "postgres:responseTime");
  const all = await call(stack(), "/transfers/health/pool", { apikey: stack().secretKey });
  assertEquals([all.body.details.stats.poolMode, all.body.details.testQuery.success], ["session", true]);
});

Deno.test("only transfers and reports load the Postgres driver, and no function the data layer", async () => {
  const project = projectAt();
  const loading: string[] = [];
  for (const { name, entrypoint, importMap } of (await readFunctions(project)).functions) {
    const { packages, files } = await readModuleGraph({ entrypoint, importMap, root: project.root });
    assertEquals(
      packages.some((specifier) => /^npm:pg@/.test(specifier)),
      ["reports", "transfers"].includes(name),
      name,
    );
    if (files.some((path) => path.includes("/shared/postgres/"))) loading.push(name);
    assertEquals(packages.filter((specifier) => /^npm:(kysely|ioredis|lru-cache|ssh2)@/.test(specifier)), [], name);
  }
  assertEquals(loading.sort(), ["reports", "transfers"]);
});
