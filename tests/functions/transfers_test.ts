import { assert, assertEquals } from "@std/assert";
import { createTransfersHandler } from "../../functions/transfers/handler.ts";
import { endIsolate, type Fixture, ID, OTHER_ID, type Problem, startFunction } from "./fixture.ts";

const ORDER = { from_category_id: ID, to_category_id: OTHER_ID, amount: 250 };
const KEYED = { "Idempotency-Key": "8e03978e-40d5-43e8-bc93-6894a57f9324" };

/** Starts the function with a Postgres that does not respond. Its connections close with the isolate, as all its pools do. */
async function start(acquireTimeoutMs = 60): Promise<Fixture> {
  const postgres = { DB_HOST: "127.0.0.1", DB_PORT: "1", DB_PASSWORD: "hunter2hunter2" };
  const fixture = await startFunction(({ variables, service }) => {
    if (typeof service !== "object") throw new Error("the fixture has pools");
    const all = { ...variables, ...postgres };
    return createTransfersHandler({ variables: all, service, postgres: { acquireTimeoutMs } });
  });
  return {
    ...fixture,
    async [Symbol.asyncDispose]() {
      await endIsolate();
      await fixture[Symbol.asyncDispose]();
    },
  };
}

Deno.test("transfers names every invalid field before it connects to Postgres", async () => {
  await using transfers = await start();
  const bad: readonly (readonly [json: unknown, fields: string[]])[] = [
    [{}, ["from_category_id", "to_category_id", "amount"]],
    [{ ...ORDER, amount: 0 }, ["amount"]],
    [{ ...ORDER, amount: -1 }, ["amount"]],
    [{ ...ORDER, amount: 1.5 }, ["amount"]],
    [{ ...ORDER, amount: "250" }, ["amount"]],
    [{ ...ORDER, amount: 2 ** 53 }, ["amount"]],
    [{ ...ORDER, to_category_id: ID.toUpperCase() }, ["to_category_id"]],
    [{ ...ORDER, from_category_id: "1; drop table" }, ["from_category_id"]],
    [{ ...ORDER, currency: "EUR" }, ["currency"]],
    [[ORDER], [""]],
  ];
  for (const [json, fields] of bad) {
    const response = await transfers.ask("POST", "/transfers", { json, headers: KEYED });
    const { status, code, errors } = await response.json() as Problem;
    assertEquals(
      [status, code, errors?.map(({ path }) => path)],
      [400, "VALIDATION_FAILED", fields],
      JSON.stringify(json),
    );
  }
  for (const key of [undefined, "", '""', "a b", "x".repeat(65), '"unfinished', 'a"b', "ü"]) {
    const response = await transfers.ask("POST", "/transfers", { json: ORDER, headers: { "Idempotency-Key": key } });
    const { status, errors } = await response.json() as Problem;
    assertEquals([status, errors?.map(({ path }) => path)], [400, ["Idempotency-Key"]], String(key));
  }
  const response = await transfers.ask("GET", "/transfers/1");
  assertEquals([response.status, (await response.json() as Problem).errors?.[0]?.path], [400, "id"]);
});

Deno.test("transfers rejects other methods, paths and callers", async () => {
  await using transfers = await start();
  for (const [method, path, status] of [["GET", "/transfers", 405], ["DELETE", `/transfers/${ID}`, 405]] as const) {
    const response = await transfers.ask(method, path);
    await response.body?.cancel();
    assertEquals(response.status, status);
  }
  const nowhere = await transfers.ask("GET", "/transfers/a/b");
  await nowhere.body?.cancel();
  assertEquals(nowhere.status, 404);
  const withoutToken = await transfers.ask("POST", "/transfers", {
    json: ORDER,
    headers: { ...KEYED, Authorization: undefined },
  });
  assertEquals(withoutToken.status, 401);
  await withoutToken.body?.cancel();
});

Deno.test("transfers responds 503 without details when Postgres does not respond", async () => {
  await using transfers = await start();
  const response = await transfers.ask("POST", "/transfers", { json: ORDER, headers: KEYED });
  const text = await response.text();
  assertEquals([response.status, JSON.parse(text).code], [503, "ACQUIRE_TIMEOUT"]);
  assert(response.headers.get("Retry-After"));
  // Another attempt to connect may be under way just then, which is one in total.
  assert(["0", "1"].includes(response.headers.get("X-Pool-Total-Connections") ?? ""));
  for (const name of ["Active-Connections", "Idle-Connections", "Waiting-Requests"]) {
    assertEquals(response.headers.get(`X-Pool-${name}`), "0", name);
  }
  const health = await transfers.ask("GET", "/transfers/health/pool");
  const body = await health.json();
  assertEquals([health.status, body.status, Object.keys(body.checks).at(-1)], [503, "fail", "postgres:responseTime"]);
  for (const shown of [text, JSON.stringify(body)]) assert(!/hunter2|127\.0\.0\.1|ECONN/.test(shown), shown);
});

Deno.test("transfers closes its connections with the isolate, and responds 503 afterwards", async () => {
  await using transfers = await start(60_000);
  const ask = () => transfers.ask("POST", "/transfers", { json: ORDER, headers: KEYED });
  const waiting = ask();
  await new Promise((resolve) => setTimeout(resolve, 10));
  dispatchEvent(new CustomEvent("beforeunload", { detail: { reason: "early_drop" } }));
  for (const response of [await waiting, await ask()]) {
    assertEquals([response.status, (await response.json() as Problem).code], [503, "POOL_CLOSED"]);
  }
});
