/**
 * Functions with clients of the caller, of the service role, and of both.
 *
 * @module
 */
import { ADMIN, ANON, CREATE, NOTES, OPEN, reply, type SampleFunction, serve, SERVICE, URL_, USER } from "./sample.ts";

/** The functions, by what is special about them. */
export const ACTORS: Readonly<Record<string, SampleFunction>> = {
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
};
