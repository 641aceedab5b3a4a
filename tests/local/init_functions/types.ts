/**
 * Functions with types of clients.
 *
 * @module
 */
import { CREATE, NOTES, reply, type SampleFunction, serve, SERVICE, URL_, USER } from "./sample.ts";

/** The functions, by what is special about them. */
export const TYPES: Readonly<Record<string, SampleFunction>> = {
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
};
