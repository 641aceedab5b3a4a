/**
 * Functions that import `createClient` in other ways.
 *
 * @module
 */
import { ADMIN, CREATE, NOTES, type SampleFunction, SERVICE, URL_ } from "./sample.ts";

/** The functions, by what is special about them. */
export const IMPORTS: Readonly<Record<string, SampleFunction>> = {
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
};
