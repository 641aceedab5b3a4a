/**
 * Tests that no value of a caller or a row is in a log line or an error response: a value that is planted into every
 * input of every function, while the project fails in every way, is searched for in all that they write.
 */
import { assert, assertEquals } from "@std/assert";
import { createBudgetsHandler } from "../../functions/budgets/handler.ts";
import { createCategoriesHandler } from "../../functions/categories/handler.ts";
import { createHealthHandler } from "../../functions/health/handler.ts";
import { createTemplatesHandler } from "../../functions/templates/handler.ts";
import { createReportsHandler } from "../../functions/reports/handler.ts";
import { createTransfersHandler } from "../../functions/transfers/handler.ts";
import { sharedSecretToken } from "../http/tokens.ts";
import { type AskInit, endIsolate, type Fixture, ID, OTHER_ID, type Problem, startFunction } from "./fixture.ts";

/** Different in each run, and in no other text. */
const CANARY = `canary${crypto.randomUUID().replaceAll("-", "")}`;
/** The test rig itself searches for credentials. */
const CREDENTIAL = `credential${crypto.randomUUID().replaceAll("-", "")}`;
const EMAIL = `${CANARY}@example.com`;

/** Collects what is printed while the collection is open. */
function collectOutput(): { readonly lines: string[] } & Disposable {
  const lines: string[] = [];
  const names = ["log", "info", "warn", "error", "debug"] as const;
  const originals = names.map((name) => console[name]);
  for (const name of names) {
    console[name] = (...parts: unknown[]) => lines.push(parts.map((part) => Deno.inspect(part)).join(" "));
  }
  return {
    lines,
    [Symbol.dispose]: () => names.forEach((name, index) => console[name] = originals[index] as typeof console.log),
  };
}

const row = { id: ID, name: CANARY, email: EMAIL };
const details = `Key (email)=(${EMAIL}) already exists.`;

function failed(status: number, code: string, message: string): () => Response {
  return () => Response.json({ code, message, details, hint: null }, { status });
}

/** The ways in which the project responds. */
const FAILURES: Readonly<Record<string, (request: Request) => Response | Promise<Response>>> = {
  "a row": () => Response.json([row], { headers: { "Content-Range": "0-0/1" } }),
  "several rows for one": () => Response.json([row, row, row]),
  "a duplicate": failed(409, "23505", 'duplicate key value violates unique constraint "a_key"'),
  "a data exception": failed(400, "22P02", `invalid input syntax for type uuid: "${CANARY}"`),
  "a missing column": failed(400, "42703", "column budgets.nam does not exist"),
  "no rights": failed(403, "42501", "permission denied for table budgets"),
  "a server's failure": failed(500, "XX000", "internal error"),
  "a raised error of another class": failed(500, "ZZ001", `budget of ${CANARY} exceeded`),
  "a database that is down": failed(503, "PGRST001", "Database client error. Retrying the connection."),
  "JSON that is not": () => new Response(`{"name": ${CANARY}`, { headers: { "Content-Type": "application/json" } }),
  "a page of 200": () => new Response(`<html>${CANARY}`, { headers: { "Content-Type": "text/html" } }),
  "a page of 502": () => new Response(`<html>${EMAIL} ${CANARY}`, { status: 502 }),
  "a page of 520": () => new Response(`<!DOCTYPE html>${CANARY}`, { status: 520 }),
  "a redirect": ({ url }) => new Response(null, { status: 302, headers: { Location: `${url}&again=${EMAIL}` } }),
  "a redirect elsewhere": () =>
    new Response(null, { status: 307, headers: { Location: `http://${CANARY}.invalid/a?q=${EMAIL}` } }),
  "a body that breaks off": () =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(`[{"name":"${CANARY}`));
          setTimeout(() => controller.error(new Error("ended")), 5);
        },
      }),
      { headers: { "Content-Type": "application/json" } },
    ),
  "a failed stand-in": () => Promise.reject(new Error("failed")),
};

type Input = readonly [method: string, path: string, init?: AskInit];

const JSON_TYPE = { "Content-Type": "application/json" };

/** Requests to the function `name` with the canary in one part. */
function inputsOf(name: string, body: Record<string, unknown> | undefined): Input[] {
  const headers = { "x-name": CANARY, "Idempotency-Key": `"${CANARY}"`, "User-Agent": EMAIL, Cookie: `a=${CANARY}` };
  const inputs: Input[] = [
    ["GET", `/${name}`, { headers }],
    ["GET", `/${name}?budget_id=${ID}`, { headers }],
    ["GET", `/${name}?budget_id=${ID}&limit=5`],
    ["GET", `/${name}?name=${CANARY}&limit=${CANARY}`],
    ["GET", `/${name}?${CANARY}=1`],
    ["GET", `/${name}/${ID}?q=${EMAIL}`],
    ["GET", `/${name}/${CANARY}`],
    ["GET", `/${name}/${encodeURIComponent(EMAIL)}\u2028%0a%1b[31m`],
    ["DELETE", `/${name}/${ID}`, { headers }],
    ["POST", `/${name}`, { json: { ...body, [CANARY]: CANARY } }],
    ["POST", `/${name}`, { body: `{"name": ${EMAIL}`, headers: JSON_TYPE }],
    ["POST", `/${name}`, { body: `${EMAIL}`, headers: { "Content-Type": `text/${CANARY}` } }],
    ["PATCH", `/${name}/${ID}`, { json: { name: CANARY } }],
    ["PUT", `/${name}/order`, { json: { budget_id: OTHER_ID, category_ids: [CANARY] } }],
    ["GET", `/${name}`, { headers: { Authorization: `Bearer ${CREDENTIAL}` } }],
    ["GET", `/${name}`, { headers: { Authorization: CREDENTIAL, apikey: CREDENTIAL } }],
  ];
  if (body) {
    inputs.push(["POST", `/${name}`, { json: body, headers }]);
    for (const key of Object.keys(body)) {
      inputs.push(["POST", `/${name}`, { json: { ...body, [key]: EMAIL }, headers }]);
    }
  }
  return inputs;
}

/** Returns an error response without what may repeat the caller: the names of unknown fields. */
function withoutFieldNames(body: string): string {
  try {
    const { errors, ...rest } = JSON.parse(body) as Problem;
    return JSON.stringify({ ...rest, errors: errors?.map(({ message }) => message) });
  } catch {
    return body;
  }
}

/** Creates a function whose Postgres does not respond. */
function withoutPostgres(create: typeof createTransfersHandler): typeof createBudgetsHandler {
  return (options = {}) => {
    const { service, ...rest } = options;
    if (typeof service !== "object") throw new Error("the fixture has pools");
    return create({
      ...rest,
      service,
      variables: { ...options.variables, DB_HOST: "127.0.0.1", DB_PORT: "1", DB_PASSWORD: CREDENTIAL },
      postgres: { acquireTimeoutMs: 60, connectionTimeoutMs: 50 },
    });
  };
}

const FUNCTIONS = {
  budgets: { create: createBudgetsHandler, body: { name: CANARY, currency: "EUR" } },
  categories: { create: createCategoriesHandler, body: { budget_id: OTHER_ID, name: CANARY } },
  templates: { create: createTemplatesHandler, body: undefined },
  health: { create: createHealthHandler, body: undefined },
  reports: { create: withoutPostgres(createReportsHandler), body: undefined },
  transfers: {
    create: withoutPostgres(createTransfersHandler),
    body: { from_category_id: ID, to_category_id: OTHER_ID, amount: 250 },
  },
};

/** Sends every input while the project responds as `failure` says, and returns what was found. */
async function leaksOf(fixture: Fixture, inputs: readonly Input[], token: string): Promise<string[]> {
  const leaks: string[] = [];
  for (const [method, path, { headers, ...init } = {}] of inputs) {
    const all = { Authorization: `Bearer ${token}`, ...headers };
    const response = await fixture.ask(method, path, { ...init, headers: all });
    const text = await response.text().catch(() => "");
    if (response.status < 400) continue;
    const shown = withoutFieldNames(text) + JSON.stringify([...response.headers]);
    if (shown.includes(CANARY)) leaks.push(`${method} ${path}: ${shown}`);
  }
  return leaks;
}

for (const [name, { create, body }] of Object.entries(FUNCTIONS)) {
  Deno.test(`${name} shows no value of a caller or a row in a log line or an error response`, async (t) => {
    using output = collectOutput();
    let logged = 0;
    await using fixture = await startFunction(create);
    const token = await sharedSecretToken({
      email: EMAIL,
      sub: `${CANARY}`,
      user_metadata: { name: CANARY, deep: { [CANARY]: [EMAIL] } },
    });
    const inputs = inputsOf(name, body);
    for (const [failure, answer] of Object.entries(FAILURES)) {
      await t.step(failure, async () => {
        output.lines.length = 0;
        fixture.project.answer = answer;
        assertEquals(await leaksOf(fixture, inputs, token), []);
        logged += output.lines.length;
        const leaks = output.lines.filter((line) => line.includes(CANARY) && !isFixtures(line));
        assertEquals(leaks, []);
      });
    }
    await t.step("no project", async () => {
      output.lines.length = 0;
      await fixture.project[Symbol.asyncDispose]();
      // The timers of the pools keep no process alive.
      const alive = setInterval(() => {}, 1_000);
      assertEquals(await leaksOf(fixture, inputs, token), []);
      assertEquals(output.lines.filter((line) => line.includes(CANARY)), []);
      clearInterval(alive);
    });
    // Attempts to connect that are under way end with it, which takes longer on a loaded machine.
    await endIsolate(500);
    if (name !== "health") assert(logged > 0, "the failures are logged");
  });
}

/** Returns whether the stand-in for the project printed a line: its handler rejects. */
function isFixtures(line: string): boolean {
  return !line.includes('"correlationId"');
}

Deno.test("functions respond 4xx to bodies that are nested 100,000 deep, and log nothing", async () => {
  using output = collectOutput();
  for (const [name, { create, body }] of Object.entries(FUNCTIONS)) {
    if (!body) continue;
    await using fixture = await startFunction(create);
    for (const depth of [15_000, 30_000, 100_000]) {
      for (const [open, close] of [["[", "]"], ['{"a":', "}"]] as const) {
        const deep = open.repeat(depth) + "1" + close.repeat(depth);
        const fields = Object.keys(body).map((key) => `{${JSON.stringify(key)}:${deep}}`);
        for (const text of [deep, ...fields, `{"unknown":${deep}}`]) {
          const response = await fixture.ask("POST", `/${name}`, { body: text, headers: JSON_TYPE });
          assert([400, 413].includes(response.status), `${name} ${response.status}`);
          assert((await response.text()).length < 5_000);
        }
      }
    }
    await endIsolate();
  }
  assertEquals(output.lines, []);
});
