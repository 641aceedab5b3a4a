/**
 * Functions with unusual text.
 *
 * @module
 */
import { ADMIN, CREATE, NOTES, reply, type SampleFunction, serve, USER } from "./sample.ts";

/** The functions, by what is special about them. */
export const TEXTS: Readonly<Record<string, SampleFunction>> = {
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
