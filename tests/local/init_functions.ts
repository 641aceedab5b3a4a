/**
 * Functions that `init --migrate` must rewrite without a change of behavior, or leave alone for a reason.
 *
 * @module
 */

/** A function of a project, before its migration. */
export interface SampleFunction {
  readonly source: string;
  /** Modules beside it, by path relative to the function's folder. */
  readonly others?: Readonly<Record<string, string>>;
  /** The imports of its import map. */
  readonly imports?: Readonly<Record<string, string>>;
  /** Parts of the reasons for which clients stay; empty if none stays. */
  readonly left: readonly string[];
  /** True if clients are replaced. Default: whether none stays. */
  readonly isRewritten?: boolean;
  /** The file's name. Default: `index.ts`. */
  readonly file?: string;
  /** True if it only has to be left alone: it does not run by itself. */
  readonly isStatic?: boolean;
}

const CREATE = `import { createClient } from "@supabase/supabase-js";\n`;
const URL_ = `Deno.env.get("SUPABASE_URL")!`;
const ANON = `Deno.env.get("SUPABASE_ANON_KEY")!`;
const SERVICE = `Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!`;
const ADMIN = `createClient(${URL_}, ${SERVICE})`;
const OPEN = `createClient(${URL_}, ${ANON})`;
const USER =
  `createClient(${URL_}, ${ANON}, { global: { headers: { Authorization: req.headers.get("Authorization") ?? "" } } })`;
const NOTES = `.from("notes").select()`;
const serve = (body: string, before = "") => `${CREATE}${before}Deno.serve(async (req: Request) => {\n${body}\n});\n`;
const reply = (expression: string) => `  return Response.json(${expression});`;

/** The functions, by what is special about them. */
export const FUNCTIONS: Readonly<Record<string, SampleFunction>> = {
  // Who acts.
  "a service client for one branch": {
    source: serve(
      `  const client = ${USER};
  const { data: mine } = await client${NOTES};
  if (req.headers.get("x-all") === "1") {
    const admin = ${ADMIN};
    const { data } = await admin${NOTES};
    return Response.json({ mine, data });
  }
${reply("{ mine }")}`,
    ),
    left: [],
  },
  "both clients in one handler": {
    source: serve(`  const client = ${USER};\n  const admin = ${ADMIN};
  const [a, b] = await Promise.all([client${NOTES}, admin${NOTES}]);\n${reply("[a.data, b.data]")}`),
    left: [],
  },
  "getUser, then admin": {
    source: serve(`  const client = ${USER};
  const { data: { user } } = await client.auth.getUser();
  if (!user) return Response.json({ error: "Unauthorized" }, { status: 401 });
  const { data } = await ${ADMIN}${NOTES};
${reply("{ id: user.id, data }")}`),
    left: [],
  },
  "an anonymous client that checks a token, then admin": {
    source: serve(`  const client = ${OPEN};
  const token = (req.headers.get("Authorization") ?? "").replace("Bearer ", "");
  const { data: { user }, error } = await client.auth.getUser(token);
  if (error || !user) return new Response("no", { status: 401 });
${reply(`{ id: user.id, data: (await ${ADMIN}${NOTES}).data }`)}`),
    left: [],
  },
  "a key chosen at run time": {
    source: serve(`  const key = req.headers.get("x-all") === "1" ? ${SERVICE} : ${ANON};
  const { data } = await createClient(${URL_}, key)${NOTES};\n${reply("data")}`),
    left: ["its key is not one variable"],
  },
  "a variable's name chosen at run time": {
    source: serve(`  const name = req.headers.get("x-all") === "1" ? "SUPABASE_SERVICE_ROLE_KEY" : "SUPABASE_ANON_KEY";
  const { data } = await createClient(${URL_}, Deno.env.get(name)!)${NOTES};\n${reply("data")}`),
    left: ["its key is not one variable"],
  },
  "a key parameter that is reassigned": {
    source: `${CREATE}async function load(key: string, isPublic: boolean) {
  if (isPublic) key = ${ANON};
  const { data } = await createClient(${URL_}, key)${NOTES};
  return data;
}
Deno.serve(async (req) => Response.json(await load(${SERVICE}, req.headers.get("x-all") !== "1")));
`,
    left: ["its key is not one variable"],
  },
  "a key parameter with a default": {
    source: `${CREATE}async function load(key: string = ${SERVICE}) {
  const { data } = await createClient(${URL_}, key)${NOTES};
  return data;
}
Deno.serve(async (req) => Response.json(await load(req.headers.get("x-all") === "1" ? undefined : ${ANON})));
`,
    left: ["its key is not one variable"],
  },
  "a key that falls back to another": {
    source: serve(`  const { data } = await createClient(${URL_}, Deno.env.get("SUPABASE_SECRET") ?? ${ANON})${NOTES};
${reply("data")}`),
    left: ["its key is not one variable"],
  },
  "a client that is replaced for administrators": {
    source: serve(`  let client = ${USER};
  if (req.headers.get("x-all") === "1") client = ${ADMIN};
  const { data } = await client${NOTES};\n${reply("data")}`),
    left: [],
  },
  "a conditional client": {
    source: serve(`  const client = req.headers.get("x-all") === "1" ? ${ADMIN} : ${USER};
  const { data } = await client${NOTES};\n${reply("data")}`),
    left: [],
  },
  "a conditional client that checks a token": {
    source: serve(`  const client = req.headers.get("x-all") === "1" ? ${ADMIN} : ${OPEN};
  const { data: { user } } = await client.auth.getUser((req.headers.get("Authorization") ?? "").slice(7));
${reply("{ id: user?.id ?? null }")}`),
    left: ["a check of a token"],
    isRewritten: true,
  },

  // The caller's token.
  "a token with Bearer put before it": {
    source: serve(`  const token = (req.headers.get("Authorization") ?? "").replace("Bearer ", "");
  const client = createClient(${URL_}, ${ANON}, { global: { headers: { Authorization: \`Bearer \${token}\` } } });
  const { data } = await client${NOTES};\n${reply("data")}`),
    left: [],
  },
  "Bearer before the whole header": {
    source: serve(`  const token = req.headers.get("Authorization") ?? "";
  const client = createClient(${URL_}, ${ANON}, { global: { headers: { Authorization: \`Bearer \${token}\` } } });
  const { data } = await client${NOTES};\n${reply("data")}`),
    left: ["not evidently the caller's own"],
  },
  "a token without Bearer": {
    source: serve(`  const token = (req.headers.get("Authorization") ?? "").split(" ")[1] ?? "";
  const client = createClient(${URL_}, ${ANON}, { global: { headers: { Authorization: token } } });
  const { data } = await client${NOTES};\n${reply("data")}`),
    left: ["not evidently the caller's own"],
  },
  "a part of the token": {
    source: serve(`  const token = (req.headers.get("Authorization") ?? "").slice(7, 20);
  const client = createClient(${URL_}, ${ANON}, { global: { headers: { Authorization: \`Bearer \${token}\` } } });
  const { data } = await client${NOTES};\n${reply("data")}`),
    left: ["not evidently the caller's own"],
  },
  "a token of another header": {
    source: serve(`  const client = createClient(${URL_}, ${ANON}, {
    global: { headers: { Authorization: req.headers.get("x-user-token") ?? "" } },
  });
  const { data } = await client${NOTES};\n${reply("data")}`),
    left: ["not evidently the caller's own"],
  },
  "a request that is replaced": {
    source: `${CREATE}Deno.serve(async (req) => {
  req = new Request(req.url, { headers: { Authorization: \`Bearer \${Deno.env.get("OTHER_TOKEN")}\` } });
  const { data } = await ${USER}${NOTES};
  return Response.json(data);
});
`,
    left: ["not evidently the caller's own"],
  },
  "headers that are filled in later, with the service key": {
    source: serve(`  const headers: Record<string, string> = {};
  const token = req.headers.get("Authorization");
  if (token) headers.Authorization = token;
  const client = createClient(${URL_}, ${SERVICE}, { global: { headers } });
  const { data } = await client${NOTES};\n${reply("data")}`),
    left: ["options"],
  },
  "headers that are filled in later": {
    source: serve(`  const headers: Record<string, string> = {};
  Object.assign(headers, { Authorization: req.headers.get("Authorization") ?? "" });
  const client = createClient(${URL_}, ${ANON}, { global: { headers } });
  const { data } = await client${NOTES};\n${reply("data")}`),
    left: ["options"],
  },
  "options of a parameter, which differ by call": {
    source: `${CREATE}function load(options: Record<string, unknown>) {
  return createClient(${URL_}, ${SERVICE}, options)${NOTES};
}
Deno.serve(async (req) => {
  if (req.headers.get("x-all") === "1") return Response.json((await load({})).data);
  const { data } = await load({ global: { headers: { Authorization: req.headers.get("Authorization") ?? "" } } });
  return Response.json(data);
});
`,
    left: ["options"],
  },
  "a caller's token with the service key": {
    source: serve(`  const client = createClient(${URL_}, ${SERVICE}, {
    global: { headers: { Authorization: req.headers.get("Authorization") ?? "" } },
  });
  const { data } = await client${NOTES};\n${reply("data")}`),
    left: ["it sends a caller's token with the service role key"],
  },
  "a cron secret in Authorization beside a caller's client": {
    source: serve(`  if (req.headers.get("Authorization") === \`Bearer \${Deno.env.get("CRON_SECRET")}\`) {
    const { data } = await ${ADMIN}${NOTES};
    return Response.json(data);
  }
  const { data } = await ${USER}${NOTES};\n${reply("data")}`),
    left: ["compared"],
    isRewritten: true,
  },
  "the service role key as a bearer beside a caller's client": {
    source: serve(`  const header = req.headers.get("authorization") ?? "";
  const isService = header.replace("Bearer ", "") === ${SERVICE};
  const client = isService ? ${ADMIN} : ${USER};
  const { data } = await client${NOTES};\n${reply("data")}`),
    left: ["compared"],
    isRewritten: true,
  },
  "a cron secret and the service client": {
    source: serve(`  if (req.headers.get("Authorization") !== \`Bearer \${Deno.env.get("CRON_SECRET")}\`) {
    return new Response("Forbidden", { status: 403 });
  }
  const { data } = await ${ADMIN}${NOTES};\n${reply("data")}`),
    left: [],
  },
  "a signed webhook": {
    source: serve(`  const body = await req.text();
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode("whsec"), { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  const given = Uint8Array.from((req.headers.get("stripe-signature") ?? "").match(/../g) ?? [], (hex) => parseInt(hex, 16));
  if (!await crypto.subtle.verify("HMAC", key, given, new TextEncoder().encode(body))) {
    return new Response("bad signature", { status: 400 });
  }
  const { error } = await ${ADMIN}.from("notes").insert({ text: body });
${reply("{ received: !error }")}`),
    left: [],
  },
  "a call with a token of its own": {
    source: serve(`  const client = ${OPEN};
  const { data } = await client${NOTES}.setHeader("Authorization", req.headers.get("Authorization") ?? "");
${reply("data")}`),
    left: ["setHeader"],
  },
  "an invocation with a token of its own": {
    source: serve(`  const client = ${OPEN};
  const { data } = await client.functions.invoke("other", {
    headers: { Authorization: req.headers.get("Authorization") ?? "" },
  });\n${reply("data")}`),
    left: ["functions"],
  },
  "an invocation by the service client": {
    source: serve(`  const { data } = await ${ADMIN}.functions.invoke("other", { body: {} });\n${reply("data")}`),
    left: ["functions.invoke"],
  },
  "an invocation by the caller's client": {
    source: serve(`  const { data } = await ${USER}.functions.invoke("other", { body: {} });\n${reply("data")}`),
    left: [],
  },
  "a header that is set on the client": {
    source: serve(`  const client = ${ADMIN};
  // deno-lint-ignore no-explicit-any
  (client as any).rest.headers.set("Authorization", req.headers.get("Authorization") ?? "");
  const { data } = await client${NOTES};\n${reply("data")}`),
    left: ["rest"],
  },
  "a session that is set": {
    source: serve(`  const client = ${OPEN};
  await client.auth.setSession({ access_token: (req.headers.get("Authorization") ?? "").slice(7), refresh_token: "x" });
  const { data } = await client${NOTES};\n${reply("data")}`),
    left: ["auth.setSession"],
  },
  "auth taken apart": {
    source: serve(`  const { auth } = ${OPEN};
  const { data } = await auth.signInWithPassword({ email: "a@example.test", password: "x" });
${reply("{ id: data.user?.id ?? null }")}`),
    left: ["taken apart"],
  },
  "a method of auth in a variable": {
    source: serve(`  const client = ${OPEN};
  const auth = client.auth;
  const { data } = await auth.signInWithPassword({ email: "a@example.test", password: "x" });
${reply("{ id: data.user?.id ?? null }")}`),
    left: ["auth"],
  },
  "a member by a name in brackets": {
    source: serve(`  const client = ${OPEN};
  const { data } = await client["auth"]["signInAnonymously"]();\n${reply("{ id: data.user?.id ?? null }")}`),
    left: ["brackets"],
  },

  // Where a client lives.
  "a service client at module level": {
    source: `${CREATE}const admin = ${ADMIN};
Deno.serve(async (_req) => {
  const { data } = await admin${NOTES};
  return Response.json(data);
});
`,
    left: [],
  },
  "a client at module level in a default parameter": {
    source: `${CREATE}const admin = ${ADMIN};
async function load(client = admin) {
  const { data } = await client${NOTES};
  return data;
}
Deno.serve(async (_req) => Response.json(await load()));
`,
    left: ["default"],
  },
  "a client that is cached at its first use": {
    source: `${CREATE}let cached: ReturnType<typeof createClient> | undefined;
Deno.serve(async (_req) => {
  cached ??= ${ADMIN};
  const { data } = await cached${NOTES};
  return Response.json(data);
});
`,
    left: ["outlives"],
  },
  "a factory that caches": {
    source: `${CREATE}// deno-lint-ignore no-explicit-any
let cached: any;
function admin() {
  if (!cached) cached = ${ADMIN};
  return cached;
}
Deno.serve(async (_req) => Response.json((await admin()${NOTES}).data));
`,
    left: ["outlives"],
  },
  "a factory whose result is cached": {
    source: `${CREATE}const create = () => ${ADMIN};
// deno-lint-ignore no-explicit-any
let cached: any;
Deno.serve(async (_req) => {
  cached ||= create();
  const { data } = await cached${NOTES};
  return Response.json(data);
});
`,
    left: ["outlives"],
  },
  "clients by tenant in a map": {
    source: `${CREATE}const clients = new Map<string, ReturnType<typeof createClient>>();
Deno.serve(async (req) => {
  const tenant = req.headers.get("x-tenant") ?? "a";
  if (!clients.has(tenant)) clients.set(tenant, ${ADMIN});
  const { data } = await clients.get(tenant)!${NOTES};
  return Response.json(data);
});
`,
    left: ["outlives"],
  },
  "a client of globalThis": {
    source: `${CREATE}// deno-lint-ignore no-explicit-any
const scope = globalThis as any;
Deno.serve(async (_req) => {
  scope.db ??= ${ADMIN};
  const { data } = await scope.db${NOTES};
  return Response.json(data);
});
`,
    left: ["outlives"],
  },
  "a service that is kept": {
    source: `${CREATE}class Notes {
  // deno-lint-ignore no-explicit-any
  constructor(private readonly db: any) {}
  list() { return this.db${NOTES}; }
}
let notes: Notes | undefined;
Deno.serve(async (_req) => {
  notes ??= new Notes(${ADMIN});
  return Response.json((await notes.list()).data);
});
`,
    left: ["outlives"],
  },
  "a service of each request": {
    source: `${CREATE}class Notes {
  // deno-lint-ignore no-explicit-any
  constructor(private readonly db: any) {}
  list() { return this.db${NOTES}; }
}
Deno.serve(async (req) => {
  const mine = new Notes(${USER});
  const all = new Notes(${ADMIN});
  return Response.json([(await mine.list()).data, (await all.list()).data]);
});
`,
    left: [],
  },
  "a class that creates its client": {
    source: `${CREATE}class Notes {
  readonly #db;
  constructor() {
    this.#db = ${ADMIN};
  }
  list() { return this.#db${NOTES}; }
}
Deno.serve(async (_req) => Response.json((await new Notes().list()).data));
`,
    left: ["a constructor"],
  },
  "a class with a client in a field": {
    source: `${CREATE}class Notes {
  db = ${ADMIN};
  list() { return this.db${NOTES}; }
}
const notes = new Notes();
Deno.serve(async (_req) => Response.json((await notes.list()).data));
`,
    left: ["module level"],
  },
  "a constructor with a closure": {
    source: `${CREATE}class Notes {
  list: () => PromiseLike<{ data: unknown }>;
  constructor() {
    const db = ${ADMIN};
    const list = () => { return db${NOTES}; };
    this.list = list;
  }
}
const notes = new Notes();
Deno.serve(async (_req) => Response.json((await notes.list()).data));
`,
    left: ["a constructor"],
  },
  "an object with a getter": {
    source: `${CREATE}const services = { get admin() { return ${ADMIN}; } };
Deno.serve(async (_req) => Response.json((await services.admin${NOTES}).data));
`,
    left: ["an accessor"],
  },
  "a closure of the handler": {
    source: serve(`  const client = () => ${USER};
  const load = async () => (await client()${NOTES}).data;
${reply("await load()")}`),
    left: [],
  },
  "top-level await": {
    source: `${CREATE}const admin = ${ADMIN};
const { data: settings } = await admin${NOTES};
Deno.serve(() => Response.json(settings));
`,
    left: ["module level"],
  },
  "a client that exists under a condition only": {
    source: `${CREATE}const admin = Deno.env.get("WITHOUT_ADMIN") ? undefined : ${ADMIN};
Deno.serve(async (_req) => Response.json(admin ? (await admin${NOTES}).data : []));
`,
    left: ["module level"],
  },
  "a helper with a parameter before it": {
    source: `${CREATE}const count = /* of a table */ async (table: string): Promise<number> => {
  const { data } = await ${ADMIN}.from(table).select();
  return data?.length ?? 0;
};
Deno.serve(async (_req) => Response.json({ count: await count("notes") }));
`,
    left: [],
  },
  "a helper with overloads": {
    source: `${CREATE}function load(table: string): Promise<unknown>;
function load(table: number): Promise<unknown>;
async function load(table: string | number): Promise<unknown> {
  return (await ${ADMIN}.from(String(table)).select()).data;
}
Deno.serve(async (_req) => Response.json(await load("notes")));
`,
    left: ["overloads"],
  },

  // Work after the response.
  "work that goes on after the response": {
    source: serve(`  const admin = ${ADMIN};
  const work = async () => {
    await admin${NOTES};
    await new Promise((resolve) => setTimeout(resolve, 20));
    await admin.from("notes").insert({ text: "later" });
  };
  work();
${reply('"accepted"')}`),
    left: ["not awaited"],
  },
  "work in a function called at once": {
    source: serve(`  const admin = ${ADMIN};
  (async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    await admin.from("notes").insert({ text: "later" });
  })().catch(console.error);
${reply('"accepted"')}`),
    left: ["not awaited"],
  },
  "work in a timer": {
    source: serve(`  const admin = ${ADMIN};
  setTimeout(() => void admin.from("notes").insert({ text: "later" }).then(() => {}), 20);
${reply('"accepted"')}`),
    left: ["setTimeout"],
  },
  "work that a callback continues": {
    source: serve(`  const admin = ${ADMIN};
  admin${NOTES}.then(() => admin.from("notes").insert({ text: "later" }).then(() => {}));
${reply('"accepted"')}`),
    left: ["not awaited"],
  },
  "one call that is not awaited": {
    source: serve(`  const admin = ${ADMIN};
  admin.from("notes").insert({ text: "once" }).then(() => {}, console.error);
${reply('"accepted"')}`),
    left: [],
  },
  "work given to the runtime": {
    source: serve(`  const admin = ${ADMIN};
  const work = async () => {
    await admin${NOTES};
    await admin.from("notes").insert({ text: "later" });
  };
  const runtime = (globalThis as unknown as { EdgeRuntime?: { waitUntil(work: Promise<unknown>): void } }).EdgeRuntime;
  if (runtime) runtime.waitUntil(work()); else await work();
${reply('"accepted"')}`),
    left: [],
  },
  "a stream that a function fills": {
    source: serve(`  const admin = ${ADMIN};
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  (async () => {
    await writer.write(new TextEncoder().encode("one"));
    await writer.close();
    await admin.from("notes").insert({ text: "one" });
  })();
  return new Response(readable);`),
    left: ["not awaited"],
  },
  "a stream that saves at its end": {
    source: serve(`  const client = ${USER};
  const stream = new ReadableStream<Uint8Array>({
    async start(controller) {
      const { data } = await client${NOTES};
      controller.enqueue(new TextEncoder().encode(JSON.stringify(data)));
      controller.close();
    },
  });
  return new Response(stream);`),
    left: [],
  },

  // Imports.
  "createClient under another name": {
    source: `import { createClient as connect } from "@supabase/supabase-js";
Deno.serve(async (_req) => Response.json((await connect(${URL_}, ${SERVICE})${NOTES}).data));
`,
    left: [],
  },
  "a namespace import": {
    source: `import * as supabase from "@supabase/supabase-js";
Deno.serve(async (_req) => Response.json((await supabase.createClient(${URL_}, ${SERVICE})${NOTES}).data));
`,
    left: [],
  },
  "createClient that another module passes on": {
    source: `import { createClient } from "./deps.ts";
Deno.serve(async (_req) => Response.json((await createClient(${URL_}, ${SERVICE})${NOTES}).data));
`,
    others: { "deps.ts": `export { createClient } from "@supabase/supabase-js";\n` },
    left: [],
  },
  "createClient of an import map": {
    source: `import { createClient } from "supabase-js";
Deno.serve(async (_req) => Response.json((await createClient(${URL_}, ${SERVICE})${NOTES}).data));
`,
    imports: { "supabase-js": "npm:@supabase/supabase-js@2" },
    isStatic: true,
    left: [],
  },
  "a dynamic import": {
    source: `Deno.serve(async (_req) => {
  const { createClient } = await import("@supabase/supabase-js");
  const { data } = await ${ADMIN}${NOTES};
  return Response.json(data);
});
`,
    left: ["imported when it runs"],
  },
  "a createClient of its own": {
    source:
      `const createClient = (url: string, key: string) => ({ from: (table: string) => ({ select: () => ({ data: [url !== "", key !== "", table] }) }) });
Deno.serve((_req) => Response.json(${ADMIN}${NOTES}.data));
`,
    left: [],
    isRewritten: false,
  },
  "createClient shadowed by a parameter": {
    source: `${CREATE}const load = (createClient: (url: string, key: string) => string) => ${ADMIN};
Deno.serve((_req) => Response.json([load((url, key) => String(url !== key)), typeof createClient]));
`,
    left: [],
    isRewritten: false,
  },
  "createClient passed to a function": {
    source: `${CREATE}const open = (create: typeof createClient) => create(${URL_}, ${SERVICE});
Deno.serve(async (_req) => Response.json((await open(createClient)${NOTES}).data));
`,
    left: ["createClient is passed on"],
  },

  // Helpers of other modules.
  "a factory in another module": {
    source: `import { admin, caller } from "./clients.ts";
Deno.serve(async (req) => {
  const mine = caller(req);
  const [a, b] = await Promise.all([mine${NOTES}, admin()${NOTES}]);
  return Response.json([a.data, b.data]);
});
`,
    others: {
      "clients.ts":
        `${CREATE}export const admin = () => ${ADMIN};\nexport function caller(req: Request) { return ${USER}; }\n`,
    },
    left: [],
  },
  "a factory in another module that caches": {
    source: `import { admin } from "./clients.ts";
Deno.serve(async (_req) => Response.json((await admin()${NOTES}).data));
`,
    others: {
      "clients.ts":
        `${CREATE}// deno-lint-ignore no-explicit-any\nlet cached: any;\nexport function admin() {\n  cached ??= ${ADMIN};\n  return cached;\n}\n`,
    },
    left: [],
  },
  "a factory in another module that caches by key": {
    source: `import { admin } from "./clients.ts";
Deno.serve(async (_req) => Response.json((await admin()${NOTES}).data));
`,
    others: {
      "clients.ts": `${CREATE}// deno-lint-ignore no-explicit-any
let cached: any = null;
let cachedKey: string | null = null;
export function admin() {
  const url = Deno.env.get("SUPABASE_URL");
  const secret = Deno.env.get("SUPABASE_SERVICE_ROLE_KEY");
  if (!url) throw new Error("Missing SUPABASE_URL");
  if (!secret) throw new Error("Missing the key");
  const key = \`\${url}|\${secret}\`;
  if (cached && cachedKey === key) return cached;
  cached = createClient(url, secret, { global: { headers: { "X-Client-Info": "functions" } } });
  cachedKey = key;
  return cached;
}
`,
    },
    left: [],
  },
  "a factory with a type of its own": {
    source: `import { admin } from "./clients.ts";
import { load } from "./load.ts";
Deno.serve(async (_req) => {
  const client = admin();
  return Response.json(await load(client));
});
`,
    others: {
      "clients.ts":
        `${CREATE}export type Client = ReturnType<typeof createClient>;\nexport function admin(): Client {\n  return ${ADMIN};\n}\n`,
      "load.ts":
        `import type { Client } from "./clients.ts";\nexport const load = async (client: Client) => (await client${NOTES}).data;\n`,
    },
    left: [],
  },
  "a factory whose cache others fill": {
    source: `import { admin } from "./clients.ts";
Deno.serve(async (_req) => Response.json((await admin()${NOTES}).data));
`,
    others: {
      "clients.ts": `${CREATE}// deno-lint-ignore no-explicit-any
let cached: any;
// deno-lint-ignore no-explicit-any
export const use = (client: any) => cached = client;
export function admin() {
  if (cached) return cached;
  cached = ${ADMIN};
  return cached;
}
`,
    },
    left: ["it does more"],
  },
  "a factory with a check": {
    source: `import { admin } from "./clients.ts";
Deno.serve(async (req) => {
  try {
    return Response.json((await admin(req)${NOTES}).data);
  } catch (error) {
    return Response.json({ error: (error as Error).message }, { status: 403 });
  }
});
`,
    others: {
      "clients.ts":
        `${CREATE}export function admin(req: Request) {\n  if (req.headers.get("x-key") !== "secret") throw new Error("Forbidden");\n  return ${ADMIN};\n}\n`,
    },
    left: ["admin()"],
    isRewritten: false,
  },
  "a factory without parameters that checks": {
    source: `import { admin } from "./clients.ts";
Deno.serve(async (_req) => {
  try {
    return Response.json((await admin()${NOTES}).data);
  } catch {
    return new Response("disabled", { status: 503 });
  }
});
`,
    others: {
      "clients.ts":
        `${CREATE}export function admin() {\n  if (!Deno.env.get("ADMIN_ENABLED")) throw new Error("Disabled");\n  return ${ADMIN};\n}\n`,
    },
    left: ["admin()"],
    isRewritten: false,
  },
  "a helper in another module that checks a token": {
    source: `import { createClient } from "@supabase/supabase-js";
import { userOf } from "./auth.ts";
Deno.serve(async (req) => {
  const client = ${OPEN};
  return Response.json({ id: await userOf(client, req) });
});
`,
    others: {
      "auth.ts":
        `// deno-lint-ignore no-explicit-any\nexport async function userOf(client: any, req: Request) {\n  const { data } = await client.auth.getUser((req.headers.get("Authorization") ?? "").slice(7));\n  return data.user?.id ?? null;\n}\n`,
    },
    left: ["a check of a token"],
  },
  "a helper in another module that keeps the client": {
    source: `import { createClient } from "@supabase/supabase-js";
import { load } from "./notes.ts";
Deno.serve(async (_req) => Response.json(await load(${ADMIN})));
`,
    others: {
      "notes.ts":
        `// deno-lint-ignore no-explicit-any\nlet db: any;\n// deno-lint-ignore no-explicit-any\nexport async function load(client: any) {\n  db ??= client;\n  return (await db${NOTES}).data;\n}\n`,
    },
    left: ["outlives"],
  },
  "a client given to a package": {
    source: `${CREATE}import { Store } from "npm:some-store@1";
Deno.serve(async (_req) => Response.json(await new Store(${ADMIN}).list()));
`,
    isStatic: true,
    left: ["npm:some-store@1"],
  },

  "a closure that is kept": {
    source: `${CREATE}let load: (() => PromiseLike<{ data: unknown }>) | undefined;
Deno.serve(async (_req) => {
  if (!load) {
    const admin = ${ADMIN};
    load = () => admin${NOTES};
  }
  return Response.json((await load()).data);
});
`,
    left: ["outlives"],
  },
  "an object of closures that is kept": {
    source: `${CREATE}function repository() {
  const db = ${ADMIN};
  return { list: () => db${NOTES} };
}
let notes: ReturnType<typeof repository> | undefined;
Deno.serve(async (_req) => {
  notes ??= repository();
  return Response.json((await notes.list()).data);
});
`,
    left: ["outlives"],
  },
  "an object of methods that another module keeps": {
    source: `import { createClient } from "@supabase/supabase-js";
import { repository } from "./notes.ts";
let notes: ReturnType<typeof repository> | undefined;
Deno.serve(async (_req) => {
  notes ??= repository(${ADMIN});
  return Response.json((await notes.list()).data);
});
`,
    others: {
      "notes.ts":
        `// deno-lint-ignore no-explicit-any\nexport function repository(db: any) {\n  return { list() { return db${NOTES}; } };\n}\n`,
    },
    left: ["outlives"],
  },
  "rows that are kept": {
    source: `${CREATE}let rows: unknown;
// deno-lint-ignore no-explicit-any
const load = async (client: any) => (await client${NOTES}).data;
Deno.serve(async (_req) => {
  rows ??= await load(${ADMIN});
  return Response.json(rows);
});
`,
    left: [],
  },
  "a closure of each request": {
    source: serve(`  const admin = ${ADMIN};
  const repository = { list: () => admin${NOTES}, count: async () => (await admin${NOTES}).data?.length };
  const [a, b] = await Promise.all([repository.list(), repository.count()]);
${reply("[a.data, b]")}`),
    left: [],
  },

  // Handlers.
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

  // Preflights.
  "a branch for preflights": {
    source: serve(
      `  if (req.method === "OPTIONS") return new Response("ok", { headers: cors });
  const { data } = await ${USER}${NOTES};
  return Response.json(data, { headers: cors });`,
      `const cors = { "Access-Control-Allow-Origin": "*" };\n`,
    ),
    left: [],
  },
  "preflights with the condition turned around": {
    source: serve(
      `  if ("OPTIONS" === req.method) { return new Response(null, { status: 204, headers: cors }); }
  const { data } = await ${USER}${NOTES};
  return Response.json(data, { headers: cors });`,
      `const cors = { "Access-Control-Allow-Origin": "*" };\n`,
    ),
    left: [],
  },
  "preflights with headers that change": {
    source: serve(
      `  if (req.method === "OPTIONS") return new Response("ok", { headers: cors });
  cors["Access-Control-Allow-Origin"] = req.headers.get("Origin") ?? "*";
  const { data } = await ${USER}${NOTES};
  return Response.json(data, { headers: cors });`,
      `const cors: Record<string, string> = { "Access-Control-Allow-Origin": "*" };\n`,
    ),
    left: [],
  },
  "preflights by origin": {
    source: serve(
      `  const cors = { "Access-Control-Allow-Origin": req.headers.get("Origin") === "https://app.test" ? "https://app.test" : "null" };
  if (req.method === "OPTIONS") return new Response("ok", { headers: cors });
  const { data } = await ${USER}${NOTES};
  return Response.json(data, { headers: cors });`,
    ),
    left: [],
  },
  "preflights in a switch": {
    source: serve(`  switch (req.method) {
    case "OPTIONS":
      return new Response(null, { status: 204, headers: { "Access-Control-Allow-Origin": "https://app.test" } });
    case "GET":
      return Response.json((await ${USER}${NOTES}).data);
    default:
      return new Response(null, { status: 405 });
  }`),
    left: [],
  },
  "preflights with an else": {
    source: serve(
      `  if (req.method === "OPTIONS") {
    return new Response("ok", { headers: cors });
  } else {
    return Response.json((await ${ADMIN}${NOTES}).data, { headers: cors });
  }`,
      `const cors = { "Access-Control-Allow-Origin": "*" };\n`,
    ),
    left: [],
  },
  "preflights that count": {
    source: serve(
      `  if (req.method === "OPTIONS") {
    await ${ADMIN}.from("notes").insert({ text: "preflight" });
    return new Response("ok", { headers: cors });
  }
  return Response.json((await ${ADMIN}${NOTES}).data, { headers: cors });`,
      `const cors = { "Access-Control-Allow-Origin": "*" };\n`,
    ),
    left: [],
  },

  // Options.
  "a fetch of its own": {
    source: serve(
      `  const client = createClient(${URL_}, ${SERVICE}, { global: { fetch: (input, init) => fetch(input, init) } });
${reply(`(await client${NOTES}).data`)}`,
    ),
    left: ["global.fetch"],
  },
  "another schema": {
    source: serve(
      `  const client = createClient(${URL_}, ${SERVICE}, { db: { schema: "app" } });\n${
        reply(`(await client${NOTES}).data`)
      }`,
    ),
    left: ["db"],
  },
  "realtime options": {
    source: serve(`  const client = createClient(${URL_}, ${SERVICE}, { realtime: { params: { eventsPerSecond: 1 } } });
${reply(`(await client${NOTES}).data`)}`),
    left: ["realtime"],
  },
  "a session that is not kept": {
    source: serve(
      `  const client = createClient(${URL_}, ${SERVICE}, { auth: { persistSession: false, autoRefreshToken: false } });
${reply(`(await client${NOTES}).data`)}`,
    ),
    left: [],
  },
  "options with a spread": {
    source: serve(`  const common = { auth: { persistSession: false } };
  const client = createClient(${URL_}, ${SERVICE}, { ...common });\n${reply(`(await client${NOTES}).data`)}`),
    left: ["not written out"],
  },
  "a token by a function": {
    source: serve(`  const client = createClient(${URL_}, ${ANON}, {
    accessToken: () => Promise.resolve((req.headers.get("Authorization") ?? "").slice(7)),
  });\n${reply(`(await client${NOTES}).data`)}`),
    left: ["accessToken"],
  },
  "a header of its own": {
    source: serve(
      `  const client = createClient(${URL_}, ${SERVICE}, { global: { headers: { "x-source": "function" } } });
${reply(`(await client${NOTES}).data`)}`,
    ),
    left: ["global.headers.x-source"],
  },

  // Types.
  "types of the database": {
    source: `${CREATE}type Row = { id: string };
interface Database { public: { Tables: { notes: { Row: Row; Insert: Row; Update: Row; Relationships: [] } }; Views: Record<never, never>; Functions: Record<never, never> } }
Deno.serve(async (_req) => {
  const client = createClient<Database>(${URL_}, ${SERVICE});
  const { data } = await client${NOTES};
  return Response.json(data?.map(({ id }) => id));
});
`,
    left: [],
  },
  "three type arguments": {
    source: serve(
      `  const client = createClient<any, "public", any>(${URL_}, ${SERVICE});\n${
        reply(`(await client${NOTES}).data`)
      }`,
    ),
    left: ["type arguments"],
  },
  "types in one client only": {
    source: `${CREATE}type Row = { id: string };
interface Database { public: { Tables: { notes: { Row: Row; Insert: Row; Update: Row; Relationships: [] } }; Views: Record<never, never>; Functions: Record<never, never> } }
Deno.serve(async (req) => {
  const typed = createClient<Database>(${URL_}, ${SERVICE});
  const open = ${USER};
  const [a, b] = await Promise.all([typed${NOTES}, open.from("others").select()]);
  return Response.json([a.data, b.data]);
});
`,
    left: ["different types", "different types"],
  },
  "a type that the handler declares": {
    source: serve(`  type Row = { id: string };
  interface Database { public: { Tables: { notes: { Row: Row; Insert: Row; Update: Row; Relationships: [] } }; Views: Record<never, never>; Functions: Record<never, never> } }
  const client = createClient<Database>(${URL_}, ${SERVICE});\n${reply(`(await client${NOTES}).data`)}`),
    left: ["type arguments"],
  },

  // Text.
  "the pattern in a comment, a text, a template and a regular expression": {
    source: `${CREATE}// createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!)
const text = 'Deno.serve(async (req) => createClient("a", "b"))';
const shown = \`\${text} Deno.serve(() => createClient())\`;
const pattern = /createClient\\(Deno\\.env/;
Deno.serve(async (_req) => {
  /* const admin = ${ADMIN}; */
  const { data } = await ${ADMIN}${NOTES};
  return Response.json({ data, shown, matches: pattern.test("createClient(Deno.env") });
});
`,
    left: [],
  },
  "CRLF line breaks and tabs": {
    source: serve(`\tconst client = ${USER};\n\tconst { data } = await client${NOTES};\n\treturn Response.json(data);`)
      .replaceAll("\n", "\r\n"),
    left: [],
  },
  "a shebang": {
    source: `#!/usr/bin/env -S deno run\n${serve(reply(`(await ${ADMIN}${NOTES}).data`))}`,
    left: [],
  },
  "directives before an import": {
    source: `// @ts-ignore: the types of this import are not needed
import { createClient } from "@supabase/supabase-js";
// @ts-expect-error: a module without types
import * as other from "./other.js";
Deno.serve(async (_req) => Response.json([(await ${ADMIN}${NOTES}).data, typeof other]));
`,
    others: { "other.js": "export const value = 1;\n" },
    isStatic: true,
    left: [],
  },
  "JavaScript": {
    source: `import { createClient } from "@supabase/supabase-js";
const helper = async (table) => (await createClient(Deno.env.get("SUPABASE_URL"), Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")).from(table).select()).data;
Deno.serve(async () => Response.json(await helper("notes")));
`,
    file: "index.js",
    left: [],
  },
  "JSX": {
    source: `/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
import { createClient } from "@supabase/supabase-js";
const Page = ({ count }: { count: number }) => <p title="createClient()">{count} Deno.serve(handler)</p>;
Deno.serve(async (_req) => {
  const { data } = await ${ADMIN}${NOTES};
  return new Response(String(<Page count={data?.length ?? 0} />));
});
`,
    file: "index.tsx",
    isStatic: true,
    left: [],
  },
};
