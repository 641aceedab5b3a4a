/** Drives every function from a page of another origin, in a real browser. */
import { assert, assertEquals } from "@std/assert";
import { chromium } from "playwright-core";
import type { RuntimeOptions } from "../../shared/mod.ts";
import type { Database } from "../../functions/_app/database.ts";
import { component } from "../support/components.ts";
import { ID, OTHER_ID, startFunction } from "../functions/fixture.ts";

type Create = (options: RuntimeOptions<Database>) => (request: Request) => Promise<Response>;

/** The requests of a page to one function. */
interface Visit {
  readonly method: string;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly json?: unknown;
  /** The status that the page reads. */
  readonly status: number;
  /** Response headers that the page reads, besides those of the pool. */
  readonly exposed?: readonly string[];
}

const ORDER = { from_category_id: ID, to_category_id: OTHER_ID, amount: 250 };
const EXTRA = { "x-region": "eu-west-1", "prefer": "return=minimal", "if-none-match": '"1"', "x-request-id": "r-1" };

const VISITS: Record<string, readonly Visit[]> = {
  budgets: [{ method: "GET", path: "/budgets", status: 200, headers: EXTRA }],
  categories: [
    { method: "GET", path: `/categories?budget_id=${ID}`, status: 200 },
    { method: "POST", path: "/categories", json: { budget_id: ID, name: "Rent" }, status: 201, exposed: ["location"] },
    { method: "DELETE", path: `/categories/${ID}`, status: 204 },
    { method: "PUT", path: "/categories", json: {}, status: 405, exposed: ["allow"] },
  ],
  health: [{
    method: "GET",
    path: "/health/pool",
    status: 200,
    headers: { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` },
  }],
  reports: [
    { method: "GET", path: `/reports?budget_id=${ID}`, status: 503, exposed: ["retry-after"] },
    { method: "GET", path: "/reports", status: 400 },
  ],
  templates: [{ method: "GET", path: "/templates", status: 200 }],
  transfers: [
    {
      method: "POST",
      path: "/transfers",
      json: ORDER,
      headers: { "Idempotency-Key": "8e03978e-40d5-43e8-bc93-6894a57f9324" },
      status: 503,
      exposed: ["retry-after"],
    },
    { method: "POST", path: "/transfers", json: ORDER, status: 400 },
  ],
};

/** Returns the `create…Handler` of each folder of `functions/`. */
async function functions(): Promise<Record<string, Create>> {
  const found: Record<string, Create> = {};
  const root = new URL("../../functions/", import.meta.url);
  for await (const { name, isDirectory } of Deno.readDir(root)) {
    if (!isDirectory || name.startsWith("_")) continue;
    const module: Record<string, unknown> = await import(new URL(`${name}/handler.ts`, root).href);
    const create = Object.entries(module).find(([member]) => /^create\w+Handler$/.test(member))?.[1];
    assert(typeof create === "function", `functions/${name}/handler.ts has no create…Handler`);
    found[name] = create as Create;
  }
  return found;
}

const browser = component("chromium");

Deno.test({
  name: `every function of functions/ can be called by a page of another origin${browser.note}`,
  ignore: browser.ignore,
  async fn(t) {
    const all = await functions();
    assertEquals(Object.keys(VISITS).sort(), Object.keys(all).sort());
    const page = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      () => new Response("<!doctype html><title>page</title>", { headers: { "Content-Type": "text/html" } }),
    );
    // Root needs --no-sandbox; the small /dev/shm of a container, the second one.
    const chrome = await chromium.launch({
      executablePath: "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
    });
    try {
      for (const [name, create] of Object.entries(all)) {
        await t.step(name, () => visit(`http://127.0.0.1:${page.addr.port}/`, name, create));
      }
    } finally {
      await chrome.close();
      await page.shutdown();
    }

    async function visit(address: string, name: string, create: Create): Promise<void> {
      const postgres = { acquireTimeoutMs: 60 };
      await using fixture = await startFunction((options) =>
        create(
          {
            ...options,
            variables: { ...options.variables, DB_HOST: "127.0.0.1", DB_PORT: "1", DB_PASSWORD: "none" },
            postgres,
          } as RuntimeOptions<Database>,
        )
      );
      fixture.project.answer = (request) =>
        request.method === "GET"
          ? Response.json([], { headers: { "Content-Range": "*/0" } })
          : Response.json({ id: ID, name: "Rent" }, { status: request.method === "DELETE" ? 200 : 201 });
      const arrived: Request[] = [];
      const server = Deno.serve({ hostname: "localhost", port: 0, onListen() {} }, async (request) => {
        arrived.push(request);
        const { pathname, search } = new URL(request.url);
        const body = request.body === null ? undefined : await request.text();
        // The fixture signs the user in.
        const { authorization: _, ...headers } = Object.fromEntries(request.headers);
        return await fixture.ask(request.method, pathname + search, { headers, ...(body ? { body } : {}) });
      });
      const kept = new Set<string>();
      const tab = await chrome.newPage();
      try {
        await tab.goto(address);
        for (const { method, path, headers = {}, json, status, exposed = [] } of VISITS[name] ?? []) {
          arrived.length = 0;
          const seen = await tab.evaluate(async ({ url, method, headers, body }) => {
            const response = await fetch(url, { method, headers, ...(body === undefined ? {} : { body }) });
            return {
              status: response.status,
              headers: Object.fromEntries(response.headers),
              length: (await response.text()).length,
            };
          }, {
            url: `http://localhost:${server.addr.port}${path}`,
            method,
            headers: {
              ...headers,
              Authorization: "Bearer of-the-page",
              ...(json === undefined ? {} : { "Content-Type": "application/json" }),
            },
            body: json === undefined ? undefined : JSON.stringify(json),
          });
          const what = `${method} ${path}`;
          assertEquals([seen.status, seen.length > 0], [status, status !== 204], what);
          // The browser keeps a preflight for its Access-Control-Max-Age.
          const expected = kept.has(path) ? [method] : ["OPTIONS", method];
          kept.add(path);
          assertEquals(arrived.map((request) => request.method), expected, what);
          const asked = arrived[0]?.headers.get("Access-Control-Request-Headers")?.split(",") ?? [];
          for (const header of Object.keys(headers)) {
            assert(asked.includes(header.toLowerCase()), `${what} asks for ${header}`);
            assertEquals(arrived.at(-1)?.headers.get(header), headers[header], what);
          }
          for (const header of ["x-pool-total-connections", "server-timing", ...exposed]) {
            assert(header in seen.headers, `${what} shows ${header}`);
          }
        }
      } finally {
        await tab.close();
        dispatchEvent(new CustomEvent("beforeunload", { detail: { reason: "early_drop" } }));
        await server.shutdown();
      }
    }
  },
});
