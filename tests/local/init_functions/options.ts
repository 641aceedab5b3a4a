/**
 * Functions with options of clients.
 *
 * @module
 */
import { ANON, NOTES, reply, type SampleFunction, serve, SERVICE, URL_ } from "./sample.ts";

/** The functions, by what is special about them. */
export const OPTIONS: Readonly<Record<string, SampleFunction>> = {
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
};
