/**
 * Functions that read, change or pass on the token of the caller.
 *
 * @module
 */
import { ADMIN, ANON, CREATE, NOTES, OPEN, reply, type SampleFunction, serve, SERVICE, URL_, USER } from "./sample.ts";

/** The functions, by what is special about them. */
export const CALLER_TOKENS: Readonly<Record<string, SampleFunction>> = {
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
};
