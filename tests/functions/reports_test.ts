import { assert, assertEquals } from "@std/assert";
import { createReportsHandler } from "../../functions/reports/handler.ts";
import { endIsolate, type Fixture, ID, type Problem, startFunction } from "./fixture.ts";

/** Starts the function with a Postgres that does not respond. Its connections close with the isolate, as all its pools do. */
async function start(): Promise<Fixture> {
  const postgres = { DB_HOST: "127.0.0.1", DB_PORT: "1", DB_PASSWORD: "hunter2hunter2" };
  const fixture = await startFunction(({ variables, service }) => {
    if (typeof service !== "object") throw new Error("the fixture has pools");
    const all = { ...variables, ...postgres };
    return createReportsHandler({ variables: all, service, postgres: { acquireTimeoutMs: 60 } });
  });
  return {
    ...fixture,
    async [Symbol.asyncDispose]() {
      await endIsolate();
      await fixture[Symbol.asyncDispose]();
    },
  };
}

Deno.test("reports names every invalid parameter before it connects to Postgres", async () => {
  await using reports = await start();
  const bad: readonly (readonly [query: string, fields: string[]])[] = [
    ["", ["budget_id"]],
    ["budget_id=1", ["budget_id"]],
    [`budget_id=${ID}&from=2026`, ["from"]],
    [`budget_id=${ID}&from=2026-13&to=2026-00`, ["from", "to"]],
    [`budget_id=${ID}&from=2026-1`, ["from"]],
    [`budget_id=${ID}&from=1999-01`, ["from"]],
    [`budget_id=${ID}&from=2026-02&to=2026-01`, ["from"]],
    [`budget_id=${ID}&from=2024-01&to=2026-01`, ["from"]],
    [`budget_id=${ID}&from=2026-01-01`, ["from"]],
    [`budget_id=${ID}&from=2026-01&from=2026-02`, ["from"]],
    [`budget_id=${ID}&limit=5`, ["limit"]],
    [`budget_id=${ID}&to=2026-01'; drop table transfers`, ["to"]],
  ];
  for (const [query, fields] of bad) {
    const response = await reports.ask("GET", `/reports?${query}`);
    const { status, code, errors } = await response.json() as Problem;
    assertEquals([status, code, errors?.map(({ path }) => path)], [400, "VALIDATION_FAILED", fields], query);
  }
});

Deno.test("reports rejects other methods, paths and callers", async () => {
  await using reports = await start();
  const asked = [
    ["POST", "/reports", 405],
    ["DELETE", "/reports", 405],
    ["GET", `/reports/${ID}`, 404],
  ] as const;
  for (const [method, path, status] of asked) {
    const response = await reports.ask(method, path);
    await response.body?.cancel();
    assertEquals(response.status, status, `${method} ${path}`);
  }
  const withoutToken = await reports.ask("GET", `/reports?budget_id=${ID}`, { headers: { Authorization: undefined } });
  await withoutToken.body?.cancel();
  assertEquals(withoutToken.status, 401);
});

Deno.test("reports responds 503 without details when Postgres does not respond", async () => {
  await using reports = await start();
  const response = await reports.ask("GET", `/reports?budget_id=${ID}`);
  const text = await response.text();
  assertEquals([response.status, JSON.parse(text).code], [503, "ACQUIRE_TIMEOUT"]);
  assert(!/hunter2|127\.0\.0\.1|ECONN/.test(text), text);
});
