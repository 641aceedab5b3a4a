/**
 * A Data API with one response, twenty rows, and one reply to the reports of a
 * fleet. It does as little as possible, so that a benchmark measures its clients.
 *
 *     deno run --allow-net bench/support/data_api.ts
 *
 * prints its address and runs until its standard input ends.
 *
 * @module
 */

/** The number of rows. */
export const ROW_COUNT = 20;

const ROWS = Array.from({ length: ROW_COUNT }, (_, index) => ({
  id: `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
  budget_id: "11111111-1111-4111-8111-111111111111",
  name: `Category ${index}`,
  position: index,
  created_at: "2026-01-01T00:00:00+00:00",
}));

const BODY = new TextEncoder().encode(JSON.stringify(ROWS));
const HEADERS = {
  "content-type": "application/json; charset=utf-8",
  "content-range": `0-${ROW_COUNT - 1}/*`,
};

/** Returns the response. */
export function rowsResponse(): Response {
  return new Response(BODY, { headers: HEADERS });
}

/** Serves the Data API on a free loopback port. */
export function serveDataApi(onRequest: (request: Request) => void = () => {}): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    onRequest(request);
    // The store of the fleet, the only function that is called.
    return request.method === "POST" ? Response.json({ version: 1 }) : rowsResponse();
  });
}

if (import.meta.main) {
  const server = serveDataApi();
  console.log(`http://127.0.0.1:${server.addr.port}`);
  // The input ends when the parent process does.
  for await (const _ of Deno.stdin.readable);
  await server.shutdown();
}
