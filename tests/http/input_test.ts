import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import * as z from "zod";
import {
  type PooledHandler,
  readJson,
  readParam,
  readQuery,
  RequestError,
  withPooledSupabase,
} from "../support/http.ts";
import { FakePools, VARIABLES } from "./fake_pools.ts";

/** Returns the response of a plain handler, without routes, and the number of lines it logs. */
async function ask(handler: PooledHandler<unknown>, init: RequestInit = {}, path = "/f") {
  const lines: string[] = [];
  const handle = withPooledSupabase<unknown>(
    { auth: "none", variables: VARIABLES, service: new FakePools(), log: (line) => lines.push(line) },
    handler,
  );
  const response = await handle(new Request(`https://x.test${path}`, init));
  const { code, errors } = await response.json();
  return { status: response.status, headers: response.headers, code, errors, logged: lines.length, lines };
}

function post(body: string, type = "application/json"): RequestInit {
  return { method: "POST", body, headers: { "Content-Type": type } };
}

Deno.test("readJson(), readQuery() and readParam() throw errors that a handler without routes responds to", async (t) => {
  const body = z.strictObject({ name: z.string({ error: "must be a name" }) });
  const read: PooledHandler<unknown> = async (request) => Response.json(await readJson(request, body));
  const query: PooledHandler<unknown> = (request) => Response.json(readQuery(request, z.strictObject({})));
  const param: PooledHandler<unknown> = () => Response.json(readParam("id", "x", z.guid({ error: "must be a UUID" })));
  const own: PooledHandler<unknown> = () => {
    throw new RequestError({ status: 409, code: "TAKEN", title: "Taken", headers: { "X-Mine": "1" } });
  };
  const rows: Record<string, readonly [PooledHandler<unknown>, RequestInit, string, status: number, code: string]> = {
    "a field": [read, post('{"name":1}'), "/f", 400, "VALIDATION_FAILED"],
    "no JSON": [read, post("{"), "/f", 400, "MALFORMED_JSON"],
    "a type": [read, post("{}", "text/plain"), "/f", 415, "UNSUPPORTED_MEDIA_TYPE"],
    "a length": [read, post(`"${"x".repeat(70_000)}"`), "/f", 413, "BODY_TOO_LARGE"],
    "a query": [query, {}, "/f?a=1", 400, "VALIDATION_FAILED"],
    "a path": [param, {}, "/f", 400, "VALIDATION_FAILED"],
    "an error of the handler": [own, {}, "/f", 409, "TAKEN"],
  };
  for (const [name, [handler, init, path, status, code]] of Object.entries(rows)) {
    await t.step(name, async () => {
      const answer = await ask(handler, init, path);
      assertEquals([answer.status, answer.code, answer.logged], [status, code, 0]);
      assertEquals(answer.headers.get("X-Mine"), code === "TAKEN" ? "1" : null);
      assertEquals(answer.headers.get("X-Pool-Total-Connections"), "8");
    });
  }
});

Deno.test("readJson() says which type a value must have, in the words of the schema if it has any", async (t) => {
  const rows: readonly (readonly [z.ZodType, unknown, message: string])[] = [
    [z.strictObject({}), [], "must be an object"],
    [z.object({}), "x", "must be an object"],
    [z.array(z.string()), {}, "must be a list"],
    [z.string(), 1, "must be text"],
    [z.number(), "1", "must be a number"],
    [z.boolean(), null, "must be true or false"],
    [z.string({ error: "must be a name" }), 1, "must be a name"],
  ];
  for (const [schema, value, message] of rows) {
    await t.step(message, async () => {
      const read: PooledHandler<unknown> = async (request) => Response.json(await readJson(request, schema));
      const { status, errors } = await ask(read, post(JSON.stringify(value)));
      assertEquals([status, errors], [400, [{ path: "", message }]]);
    });
  }
});

Deno.test("readJson() of a body that the program has read, or is reading, is a fault of the program: 500, logged", async () => {
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" };
  const before: readonly ((request: Request) => unknown)[] = [
    (request) => request.text(),
    (request) => request.body?.getReader(),
  ];
  for (const use of before) {
    const handler: PooledHandler<unknown> = async (request) => {
      await use(request);
      return Response.json(await readJson(request, z.strictObject({})));
    };
    const { status, code, lines } = await ask(handler, init);
    assertEquals([status, code], [500, "INTERNAL_ERROR"]);
    assertStringIncludes(lines[0] ?? "", "it was already read, or is locked");
  }
});

Deno.test("readJson() distinguishes an empty body from one that is not JSON", async () => {
  for (
    const [body, says] of [["", "The body is empty"], [" \n", "The body is empty"], [
      "{",
      "The body is not JSON",
    ]] as const
  ) {
    const request = new Request("https://x.test/", {
      method: "POST",
      body,
      headers: { "content-type": "application/json" },
    });
    await assertRejects(() => readJson(request, z.unknown()), Error, says);
  }
});
