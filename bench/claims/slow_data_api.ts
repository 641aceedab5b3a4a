/**
 * A Data API with one response, sent after a delay, in a process of its own.
 * The first argument is the delay in ms. Prints its URL, and stops when its
 * standard input ends.
 *
 * @module
 */
import { rowsResponse } from "../support/data_api.ts";

const delayMs = Number(Deno.args[0] ?? 0);

const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async () => {
  if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
  return rowsResponse();
});
console.log(`http://127.0.0.1:${server.addr.port}`);
for await (const _ of Deno.stdin.readable);
await server.shutdown();
