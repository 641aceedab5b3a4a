/**
 * Functions with other forms of a handler.
 *
 * @module
 */
import { ADMIN, CREATE, NOTES, type SampleFunction, serve, USER } from "./sample.ts";

/** The functions, by what is special about them. */
export const HANDLERS: Readonly<Record<string, SampleFunction>> = {
  "a handler by its name": {
    source: `${CREATE}async function handle(req: Request): Promise<Response> {
  return Response.json((await ${USER}${NOTES}).data);
}
Deno.serve(handle);
`,
    left: [],
  },
  "a default export": {
    source: `${CREATE}export default {
  fetch: async (req: Request): Promise<Response> => Response.json((await ${USER}${NOTES}).data),
};
`,
    left: [],
  },
  "a default export with a method": {
    source: `${CREATE}export default {
  async fetch(req: Request): Promise<Response> {
    return Response.json((await ${USER}${NOTES}).data);
  },
};
`,
    left: ["method"],
  },
  "a handler that reads its arguments": {
    source: `${CREATE}Deno.serve(async function () {
  const req = arguments[0] as Request;
  return Response.json({ count: arguments.length, data: (await ${ADMIN}${NOTES}).data, method: req.method });
});
`,
    left: ["arguments"],
  },
  "a handler with an optional parameter": {
    source: `${CREATE}Deno.serve(async (req?: Request) => Response.json([(await ${ADMIN}${NOTES}).data, req?.method]));
`,
    left: ["optional"],
  },
  "a response to errors of its own": {
    source: `${CREATE}Deno.serve({ onError: () => new Response("own", { status: 500 }) }, async (req) => {
  if (req.headers.get("x-all") === "1") throw new Error("failed");
  return Response.json((await ${ADMIN}${NOTES}).data);
});
`,
    left: ["onError"],
  },
  "an app": {
    source: `${CREATE}import { Hono } from "hono";
const app = new Hono();
app.get("*", async (c) => c.json((await ${ADMIN}${NOTES}).data));
Deno.serve(app.fetch);
`,
    left: ["an app's fetch"],
  },
  "an app in a handler": {
    source: `${CREATE}import { Hono } from "hono";
const app = new Hono();
app.get("*", async (c) => c.json((await ${ADMIN}${NOTES}).data));
Deno.serve((req) => app.fetch(req));
`,
    left: ["a function without a name"],
  },
  "a handler in a function": {
    source: `${CREATE}function main() {
  Deno.serve(async (_req) => Response.json((await ${ADMIN}${NOTES}).data));
}
main();
`,
    left: ["module level"],
  },
  "a handler that is chosen": {
    source: `${CREATE}const one = async (_req: Request) => Response.json((await ${ADMIN}${NOTES}).data);
const two = (_req: Request) => new Response("two");
Deno.serve(Deno.env.get("TWO") ? two : one);
`,
    left: ["not a function of this file"],
  },
  "a catch that responds with 401": {
    source: serve(`  try {
    const client = ${USER};
    const { data: { user }, error } = await client.auth.getUser();
    if (error || !user) throw new Error("Unauthorized");
    return Response.json({ id: user.id });
  } catch (error) {
    return Response.json({ error: (error as Error).message }, { status: 401 });
  }`),
    left: [],
  },
  "a 401 that a client at module level logs": {
    source: `${CREATE}const admin = ${ADMIN};
const deny = (client: unknown, status: number) => new Response(client ? "denied" : "no client", { status });
Deno.serve(async (req) => {
  const { data: { user } } = await ${USER}.auth.getUser();
  if (!user) return deny(admin, 401);
  return Response.json({ id: user.id, data: (await admin${NOTES}).data });
});
`,
    left: [],
  },
  "a 401 by a helper that receives the context": {
    source: `${CREATE}function deny(text: string, status = 401) {
  ${ADMIN}.from("notes").insert({ text }).then(() => {});
  return new Response(text, { status });
}
Deno.serve(async (req) => {
  const { data: { user } } = await ${USER}.auth.getUser();
  if (!user) return deny("denied", 401);
  return Response.json({ id: user.id });
});
`,
    left: [],
  },
};
