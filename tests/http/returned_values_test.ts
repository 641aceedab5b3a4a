/** Tests what a handler may return and throw. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { HTTPException } from "hono/http-exception";
import { createRoutes, serveRoutes } from "../../shared/http/hono.ts";
import { type PooledHandler, RequestError } from "../support/http.ts";
import { setUp } from "./fake_handler.ts";

/** Returns a response as a handler of untyped code may: whatever it is. */
const returning = (value: unknown): PooledHandler<unknown> => () => value as Response;
const throwing = (value: unknown): PooledHandler<unknown> => () => {
  throw value;
};

async function locked(): Promise<Response> {
  const response = new Response("text");
  response.body?.getReader();
  await Promise.resolve();
  return response;
}

async function read(): Promise<Response> {
  const response = new Response(new ReadableStream({ start: (controller) => controller.close() }));
  await response.text();
  return response;
}

function lockedStream(): Response {
  const response = new Response(new ReadableStream());
  response.body?.getReader();
  return response;
}

const NOT_SENT: Record<string, readonly [PooledHandler<unknown>, logged: string]> = {
  "undefined": [returning(undefined), "it returned undefined"],
  "null": [returning(null), "it returned null"],
  "text": [returning("hello"), "it returned string"],
  "an object": [returning({ status: 200 }), "it returned object"],
  "a promise of nothing": [returning(Promise.resolve()), "it returned undefined"],
  "Response.error()": [returning(Response.error()), "Response.error()"],
  "a body that is locked": [locked, "locked to a reader"],
  "a stream that is locked": [returning(lockedStream()), "locked to a reader"],
  "a body that was read": [read, "already read"],
  "a body with a status without one": [() => new Response("x", { status: 204 }), "TypeError"],
  "a header with a control character": [
    returning(new Response("x", { headers: { "Content-Disposition": 'attachment; filename="\x1b.txt"' } })),
    "has a control character",
  ],
  "a header with DEL in a redirect": [
    returning(new Response(null, { status: 302, headers: { Location: "/\x7f" } })),
    "has a control character",
  ],
  "a thrown header with a control character": [
    throwing(new Response("x", { headers: { "X-Name": "\x01" } })),
    "its header X-Name has a control character",
  ],
  "a thrown Response.error()": [throwing(Response.error()), "Response.error()"],
  "a thrown locked Response": [throwing(lockedStream()), "locked to a reader"],
};

for (const [name, [handler, logged]] of Object.entries(NOT_SENT)) {
  Deno.test(`withPooledSupabase() responds 500 with all headers, and logs the reason, when the handler returns ${name}`, async () => {
    const { send, log } = setUp(handler);
    const response = await send();
    assertEquals([response.status, (await response.json()).code], [500, "INTERNAL_ERROR"]);
    assertEquals(response.headers.get("Access-Control-Allow-Origin"), "*");
    assert(response.headers.has("X-Pool-Total-Connections"));
    assertEquals(log.length, 1);
    assertStringIncludes(log[0] ?? "", logged);
  });
}

Deno.test("withPooledSupabase() responds 500 when the response of a RequestError cannot be sent", async (t) => {
  class Redirect extends RequestError {
    override toResponse(): Response {
      return new Response(null, { status: 302, headers: { Location: "/\x01" } });
    }
  }
  class Nothing extends RequestError {
    override toResponse(): Response {
      return undefined as unknown as Response;
    }
  }
  const init = { status: 409, code: "TAKEN", title: "Taken" };
  const rows = {
    "a header of its own": new RequestError({ ...init, headers: { "X-Name": "a\x02b" } }),
    "a class of its own": new Redirect(init),
    "no response": new Nothing(init),
  };
  for (const [name, error] of Object.entries(rows)) {
    await t.step(name, async () => {
      const { send, log } = setUp(throwing(error));
      const response = await send();
      assertEquals([response.status, (await response.json()).code], [500, "INTERNAL_ERROR"]);
      assert(response.headers.has("X-Pool-Total-Connections"));
      assertEquals(log.length, 1);
    });
  }
});

Deno.test("withPooledSupabase() sends headers with a tab and with Latin-1", async () => {
  const { send } = setUp(() => new Response("x", { headers: { "X-Tab": "a\tb", "X-Latin": "caf\xe9" } }));
  const { status, headers } = await send();
  assertEquals([status, headers.get("X-Tab"), headers.get("X-Latin")], [200, "a\tb", "caf\xe9"]);
});

const LOGGED: Record<string, readonly [thrown: unknown, logged: string]> = {
  "text": ["the quota is used up", "the quota is used up"],
  "undefined": [undefined, "undefined"],
  "null": [null, "null"],
  // Its members may be values of rows.
  "an object": [{ reason: "teapot" }, "a value of type Object"],
  "an object with a message": [{ message: "short and stout" }, "short and stout"],
  "a symbol": [Symbol("handle"), "a value of type symbol"],
};

for (const [name, [thrown, logged]] of Object.entries(LOGGED)) {
  for (const way of ["thrown", "rejected"] as const) {
    Deno.test(`withPooledSupabase() logs ${name} that is ${way}, with its text`, async () => {
      const { send, log } = setUp(way === "thrown" ? throwing(thrown) : () => Promise.reject(thrown));
      const response = await send();
      assertEquals([response.status, (await response.json()).code], [500, "INTERNAL_ERROR"]);
      assertEquals(log.length, 1);
      assertStringIncludes(log[0] ?? "", logged);
    });
  }
}

Deno.test("withPooledSupabase() returns a Response that the handler throws, with its headers", async (t) => {
  const rows: Record<string, readonly [unknown, status: number, body: string]> = {
    "a Response": [() => Response.json({ needed: true }, { status: 402 }), 402, '{"needed":true}'],
    "a redirect, whose headers are immutable": [() => Response.redirect("https://y.test/login"), 302, ""],
    "an HTTPException": [() => new HTTPException(418, { message: "teapot" }), 418, "teapot"],
    "an HTTPException with a Response": [
      () => new HTTPException(401, { res: new Response("no", { status: 401 }) }),
      401,
      "no",
    ],
  };
  for (const [name, [create, status, body]] of Object.entries(rows)) {
    await t.step(name, async () => {
      const { send, log } = setUp(() => Promise.reject((create as () => unknown)()));
      const response = await send();
      assertEquals([response.status, await response.text()], [status, body]);
      assertEquals(response.headers.get("Access-Control-Allow-Origin"), "*");
      assertEquals(response.headers.get("X-Pool-Total-Connections"), "8");
      assertEquals(log, []);
    });
  }
});

Deno.test("serveRoutes() returns the response of a thrown HTTPException and of a thrown Response", async (t) => {
  const routes = createRoutes<unknown>("f");
  routes.get("/exception", () => {
    throw new HTTPException(403, { message: "not yours" });
  });
  routes.get("/response", () => {
    throw new Response("gone", { status: 410 });
  });
  const { send, log } = setUp(serveRoutes(routes));
  for (const [path, status, body] of [["/f/exception", 403, "not yours"], ["/f/response", 410, "gone"]] as const) {
    await t.step(path, async () => {
      const response = await send({}, path);
      assertEquals([response.status, await response.text()], [status, body]);
      assert(response.headers.has("X-Pool-Total-Connections"));
    });
  }
  assertEquals(log, []);
});
