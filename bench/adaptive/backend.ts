/**
 * A Data API whose latency grows past its capacity. Arguments: latency in ms, capacity. Prints its URL.
 *
 * @module
 */
const [latencyMs = 20, capacity = 20] = Deno.args.map(Number);
let inFlight = 0;

const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async () => {
  inFlight++;
  await new Promise((resolve) => setTimeout(resolve, latencyMs * Math.max(1, inFlight / capacity)));
  inFlight--;
  return Response.json([]);
});
console.log(`http://127.0.0.1:${server.addr.port}`);
// The parent closes standard input when it is done.
for await (const _chunk of Deno.stdin.readable);
await server.shutdown();
