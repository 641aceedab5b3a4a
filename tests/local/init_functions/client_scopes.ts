/**
 * Functions whose clients live in a module, a class, a closure or a cache.
 *
 * @module
 */
import { ADMIN, CREATE, NOTES, reply, type SampleFunction, serve, USER } from "./sample.ts";

/** The functions, by what is special about them. */
export const CLIENT_SCOPES: Readonly<Record<string, SampleFunction>> = {
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
};
