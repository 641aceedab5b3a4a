/**
 * Functions that respond to preflight requests.
 *
 * @module
 */
import { ADMIN, NOTES, type SampleFunction, serve, USER } from "./sample.ts";

/** The functions, by what is special about them. */
export const PREFLIGHTS: Readonly<Record<string, SampleFunction>> = {
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
};
