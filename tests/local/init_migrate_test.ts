/**
 * The rewriting of functions by `init --migrate`.
 *
 * @module
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ModuleGraph } from "../../local/init/source/graph.ts";
import { migrate as migrateModule } from "../../local/init/source/migrate.ts";
import type { Migration } from "../../local/init/source/migration.ts";

const ENTRY = "/p/supabase/functions/notes/index.ts";

/** Migrates a module, with the modules that it imports by path. */
function migrate(text: string, others: Readonly<Record<string, string>> = {}, path = ENTRY): Migration {
  const graph = new ModuleGraph((wanted) => wanted === path ? text : others[wanted]);
  const module = graph.at(path);
  assert(module);
  return migrateModule(module, graph, "pool");
}

function left(text: string, others: Readonly<Record<string, string>> = {}): string {
  const { text: result, left } = migrate(text, others);
  assertEquals(result, undefined);
  return left.map(({ line, text }) => `${line}: ${text}`).join("\n");
}

const IMPORT = `import { createClient } from "npm:@supabase/supabase-js@2";\n`;
const ADMIN = `createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!)`;

Deno.test("init --migrate: a client with the caller's token becomes ctx.supabase, and the OPTIONS branch the option cors", () => {
  const { text, rewritten } = migrate(`// Notes.
import { createClient } from "npm:@supabase/supabase-js@2";

const corsHeaders = { "Access-Control-Allow-Origin": "*" };

Deno.serve(async (req) => {
  if (req.method === "OPTIONS") {
    return new Response("ok", { headers: corsHeaders });
  }

  // The caller's client.
  const supabase = createClient(Deno.env.get("SUPABASE_URL") ?? "", Deno.env.get("SUPABASE_ANON_KEY") ?? "", {
    global: { headers: { Authorization: req.headers.get("Authorization")! } },
  });
  const { data } = await supabase.from("notes").select(); /* all */
  return Response.json(data, { headers: corsHeaders });
});
`);
  assertEquals(
    text,
    `// Notes.
import { withPooledSupabase } from "pool";

const corsHeaders = { "Access-Control-Allow-Origin": "*" };

Deno.serve(withPooledSupabase({ auth: ["user", "publishable", "none"], cors: { headers: corsHeaders } }, async (req, ctx) => {
  // The caller's client.
  const supabase = ctx.supabase;
  const { data } = await supabase.from("notes").select(); /* all */
  return Response.json(data, { headers: corsHeaders });
}));
`,
  );
  assertEquals(rewritten.map(({ line }) => line), [6, 7, 12]);
});

Deno.test("init --migrate: a service client, std serve and unused constants go; single quotes and no semicolons stay", () => {
  const { text } = migrate(`import { serve } from 'https://deno.land/std@0.168.0/http/server.ts'
import { createClient } from 'https://esm.sh/@supabase/supabase-js@2'

serve(async req => {
  const url = Deno.env.get('SUPABASE_URL')!
  const key = Deno.env.get('SUPABASE_SERVICE_ROLE_KEY')!
  const admin = createClient(url, key, { auth: { persistSession: false } })
  const { data: { user } } = await admin.auth.getUser(req.headers.get('x-token')!)
  return Response.json(user)
})
`);
  assertEquals(
    text,
    `import { withPooledSupabase } from 'pool'

Deno.serve(withPooledSupabase({ auth: 'none', cors: 'disabled' }, async (req, ctx) => {
  const admin = ctx.supabaseAdmin
  const { data: { user } } = await admin.auth.getUser(req.headers.get('x-token')!)
  return Response.json(user)
}))
`,
  );
});

Deno.test("init --migrate: a client at module level moves into the functions that use it, which receive the context", () => {
  const { text } = migrate(`${IMPORT}
const admin = ${ADMIN};

async function count(table: string) {
  const { count } = await admin.from(table).select("*", { count: "exact", head: true });
  return count;
}

Deno.serve(async () => Response.json(await count("notes")));
`);
  assertEquals(
    text,
    `import { type PooledContext, withPooledSupabase } from "pool";

async function count(ctx: PooledContext, table: string) {
  const admin = ctx.supabaseAdmin;
  const { count } = await admin.from(table).select("*", { count: "exact", head: true });
  return count;
}

Deno.serve(withPooledSupabase({ auth: "none", cors: "disabled" }, async (_request, ctx) => Response.json(await count(ctx, "notes"))));
`,
  );
});

Deno.test("init --migrate: a client that only checks tokens becomes ctx.supabaseAdmin.auth, which may check any token", () => {
  const { text } = migrate(`${IMPORT}
Deno.serve(async (req) => {
  const client = createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_ANON_KEY")!);
  const token = req.headers.get("Authorization")!.replace("Bearer ", "");
  const { data, error } = await client.auth.getUser(token);
  return Response.json(error ? { error: "no" } : data, { status: error ? 401 : 200 });
});
`);
  assertStringIncludes(text ?? "", "await ctx.supabaseAdmin.auth.getUser(token)");
  assertStringIncludes(text ?? "", 'auth: "none"');
  assert(!text?.includes("createClient"));
});

Deno.test("init --migrate: a factory in _shared becomes the context's client", () => {
  const shared = {
    "/p/supabase/functions/_shared/db.ts": `${IMPORT}
export const adminClient = () => ${ADMIN};
export function callerClient(req: Request) {
  const client = createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_ANON_KEY")!, {
    global: { headers: { Authorization: req.headers.get("Authorization")! } },
  });
  return client;
}`,
  };
  const { text, left } = migrate(
    `import { adminClient, callerClient } from "../_shared/db.ts";
Deno.serve(async (req) => {
  const [mine, all] = await Promise.all([callerClient(req).from("a").select(), adminClient().from("a").select()]);
  return Response.json([mine.data, all.data]);
});
`,
    shared,
  );
  assertEquals(left, []);
  assertStringIncludes(
    text ?? "",
    'Promise.all([ctx.supabase.from("a").select(), ctx.supabaseAdmin.from("a").select()])',
  );
  assert(!text?.includes("_shared"));
});

Deno.test("init --migrate: a name ctx that the module has is not shadowed", () => {
  const { text } = migrate(`${IMPORT}Deno.serve(async (req) => {
  const ctx = { now: Date.now() };
  const { data } = await ${ADMIN}.from("notes").select();
  return Response.json({ ctx, data });
});
`);
  assertStringIncludes(text ?? "", "async (req, pooled) =>");
  assertStringIncludes(text ?? "", "pooled.supabaseAdmin.from");
});

Deno.test("init --migrate: withSupabase becomes withPooledSupabase; other imports of its module stay", () => {
  const { text } = migrate(`import { withSupabase, type SupabaseContext } from "npm:@supabase/server@1";

export default { fetch: withSupabase({ auth: "user" }, async (_req, ctx: SupabaseContext) => Response.json(ctx.userClaims)) };
`);
  assertStringIncludes(text ?? "", 'import { withPooledSupabase } from "pool";\nimport { type SupabaseContext } from');
  assertStringIncludes(text ?? "", 'fetch: withPooledSupabase({ auth: "user" }');
});

Deno.test("init --migrate: CRLF line breaks and types of the database stay", () => {
  const { text } = migrate(
    `${IMPORT}import type { Database } from "./database.ts";
Deno.serve(async (req) => {
  const admin = createClient<Database>(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!);
  return Response.json(await admin.from("notes").select());
});
`.replaceAll("\n", "\r\n"),
  );
  assertStringIncludes(text ?? "", 'withPooledSupabase<Database>({ auth: "none"');
  assert(!/[^\r]\n/.test(text ?? ""));
});

Deno.test("init --migrate leaves what is not certain, with the line and the reason", async (t) => {
  const handler = (body: string) => `${IMPORT}Deno.serve(async (req) => {\n${body}\n  return new Response();\n});\n`;
  const cases: Record<string, [text: string, reason: string]> = {
    "a key that falls back to another": [
      handler(
        `const c = createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY") || Deno.env.get("SUPABASE_ANON_KEY")!); await c.rpc("a");`,
      ),
      "3: createClient stays: its key is not one variable of the environment",
    ],
    "another project": [
      handler(
        `const c = createClient(Deno.env.get("OTHER_URL")!, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!); await c.rpc("a");`,
      ),
      "3: createClient stays: its address is not SUPABASE_URL alone",
    ],
    "signing in": [
      handler(
        `const c = createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_ANON_KEY")!); await c.auth.signInAnonymously();`,
      ),
      "auth.signInAnonymously outlives a request",
    ],
    "realtime": [
      handler(`const c = ${ADMIN}; c.channel("a").subscribe();`),
      "channel outlives a request",
    ],
    "another schema": [
      handler(
        `const c = createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_ANON_KEY")!, { db: { schema: "app" } }); await c.rpc("a");`,
      ),
      "it has options the context's client lacks: db",
    ],
    "a token that is not evidently the caller's": [
      handler(
        `const { token } = await req.json(); const c = createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_ANON_KEY")!, { global: { headers: { Authorization: token } } }); await c.rpc("a");`,
      ),
      "its Authorization is not evidently the caller's own",
    ],
    "an exported helper": [
      `${IMPORT}export function load() { return ${ADMIN}.from("a").select(); }\nDeno.serve(async () => Response.json(await load()));`,
      "load is exported or passed on",
    ],
    "a second argument": [
      `${IMPORT}Deno.serve(async (req, info) => Response.json([await ${ADMIN}.rpc("a"), info, req.url]));`,
      "The handler takes a second argument",
    ],
    "an app": [
      `${IMPORT}import { Hono } from "npm:hono";\nconst app = new Hono();\nDeno.serve(app.fetch);`,
      "with Hono, use pooledSupabase",
    ],
    "WebSockets": [
      handler(`Deno.upgradeWebSocket(req); await ${ADMIN}.rpc("a");`),
      "It serves WebSockets",
    ],
    "a file that does not parse": [`${IMPORT}Deno.serve((req) => {`, "The file does not parse"],
    "no handler": [`${IMPORT}console.log(await ${ADMIN}.rpc("a"));`, "nothing to wrap"],
  };
  for (const [name, [text, reason]] of Object.entries(cases)) {
    await t.step(name, () => assertStringIncludes(left(text), reason));
  }
});

Deno.test("init --migrate leaves an anonymous client beside one of the caller", () => {
  const { text, left } = migrate(`${IMPORT}Deno.serve(async (req) => {
  const url = Deno.env.get("SUPABASE_URL")!;
  const key = Deno.env.get("SUPABASE_ANON_KEY")!;
  const open = createClient(url, key);
  const mine = createClient(url, key, { global: { headers: { Authorization: \`Bearer \${req.headers.get("authorization")!.split(" ")[1]}\` } } });
  return Response.json([await open.from("a").select(), await mine.from("a").select()]);
});
`);
  assertStringIncludes(text ?? "", "const open = createClient(url, key);");
  assertStringIncludes(text ?? "", "const mine = ctx.supabase;");
  assertEquals(left.map(({ line }) => line), [5]);
});

Deno.test("init --migrate: the function's own 401 becomes onRejected, if it uses nothing of the handler", () => {
  const handler = (unauthorized: string) =>
    `${IMPORT}
const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status });

Deno.serve(async (req) => {
  const locale = "en";
  const client = createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_ANON_KEY")!, {
    global: { headers: { Authorization: req.headers.get("Authorization")! } },
  });
  const { data: { user } } = await client.auth.getUser();
  if (!user) return ${unauthorized};
  return json({ id: user.id, locale });
});
`;
  const own = migrate(handler('json({ error: "Unauthorized" }, 401)'));
  assertStringIncludes(
    own.text ?? "",
    'auth: ["user", "publishable", "none"], cors: "disabled", onRejected: () => json({ error: "Unauthorized" }, 401) }',
  );
  assertEquals(own.differences.length, 2);
  const local = migrate(handler("json({ error: locale }, 401)"));
  assert(!local.text?.includes("onRejected"));
  assertEquals(local.differences.length, 3);
});

Deno.test("init --migrate: a function without clients is not rewritten", () => {
  const result = migrate(`Deno.serve(() => new Response("hello"));`);
  assertEquals([result.text, result.left], [undefined, []]);
});

Deno.test("init --migrate rewrites a module whose expressions are nested deeply, and a long one", () => {
  const terms = Array.from({ length: 5_000 }, (_, index) => String(index));
  const { text } = migrate(`${IMPORT}Deno.serve(async () => Response.json(await ${ADMIN}.from("a").select()));
export const sum = ${terms.join(" + ")};
${terms.map((term) => `export const value${term} = "createClient ${term}";`).join("\n")}
`);
  assertStringIncludes(text ?? "", "ctx.supabaseAdmin.from");
});

Deno.test("init --migrate: withSupabase accepts no more credentials afterwards", () => {
  const server = (options: string, helper = "") =>
    `import { withSupabase } from "npm:@supabase/server@1";
${helper}export default { fetch: withSupabase(${options}, (_req, ctx) => Response.json(ctx.authMode)) };
`;
  const keyed = migrate(server('{ auth: ["user", "secret"] }'));
  assertStringIncludes(keyed.text ?? "", 'withPooledSupabase({ auth: ["user", "secret"], legacyKeys: false }');
  assertEquals(keyed.differences.length, 1);
  assertStringIncludes(migrate(server('{ auth: "user" }')).text ?? "", 'withPooledSupabase({ auth: "user" }');
  assertStringIncludes(left(server("options", 'const options = { auth: "secret" } as const;\n')), "not written out");
  assertStringIncludes(
    left(server("{ ...options }", 'const options = { auth: "user" } as const;\n')),
    "not written out",
  );
  const others = {
    "/p/supabase/functions/_shared/login.ts":
      "// deno-lint-ignore no-explicit-any\nexport const login = (client: any) => client.auth.signInAnonymously();\n",
  };
  const imported = server('{ auth: "user" }', 'import { login } from "../_shared/login.ts";\nconsole.log(login);\n');
  assertStringIncludes(left(imported, others), "auth.signInAnonymously outlives a request");
});
