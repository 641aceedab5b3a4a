/**
 * Functions with clients in other modules.
 *
 * @module
 */
import { ADMIN, CREATE, NOTES, OPEN, reply, type SampleFunction, serve, USER } from "./sample.ts";

/** The functions, by what is special about them. */
export const HELPERS: Readonly<Record<string, SampleFunction>> = {
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
};
