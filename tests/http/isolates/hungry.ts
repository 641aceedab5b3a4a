/** A function that uses more and more memory, and then frees it: prints what its pool and its log say. */
import { withPooledSupabase } from "../../../shared/http/mod.ts";

const MB = 2 ** 20;
const kept: Uint8Array<ArrayBuffer>[] = [];
const events: string[] = [];

const handle = withPooledSupabase(
  {
    auth: "none",
    pool: { maxConnections: 8, fetch: () => Promise.resolve(Response.json([])) },
    log: (line) => events.push(JSON.parse(line).event),
  },
  async (_request, { pool }) => {
    const leases: Disposable[] = [];
    for (let n = 0; n < 8; n++) leases.push(await pool.lease());
    const { totalMemoryLow = 0, limit } = pool.getStats();
    for (const lease of leases) lease[Symbol.dispose]();
    return Response.json({ totalMemoryLow, limit });
  },
);

/** Sends requests for longer than the time between two checks of the memory. */
async function report(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 2_100));
  const response = await handle(new Request("https://x.test/hungry"));
  const { heapUsed, external } = Deno.memoryUsage();
  const usedMb = Math.round((heapUsed + external) / MB);
  console.log(JSON.stringify({ ...await response.json(), events: events.splice(0), usedMb }));
}

await report();
for (let n = 0; n < 20; n++) kept.push(new Uint8Array(8 * MB).fill(1));
await report();
// Freed at once: nothing waits for a collection.
for (const { buffer } of kept.splice(0)) buffer.transfer(0);
await report();
Deno.exit();
