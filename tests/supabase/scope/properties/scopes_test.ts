/**
 * Invariant 27: a scope without members holds no slot and waits for none, after
 * any interleaving.
 *
 * `SCOPE_OPERATIONS` is the number of operations, 100,000 by default.
 * `SCOPE_SEED` and `SCOPE_PATH` replay a run: a failure prints both.
 *
 * @module
 */
import { assertGreater } from "@std/assert";
import fc from "fast-check";
import { commands } from "./commands.ts";
import { World } from "./world.ts";

/** The number of operations per run. */
const RUN = 200;
const OPERATIONS = Number(Deno.env.get("SCOPE_OPERATIONS") ?? 100_000);
const SEED = Number(Deno.env.get("SCOPE_SEED") ?? 27);

Deno.test(`CallerScope: without members it holds no slot and waits for none, in ${OPERATIONS} operations`, async () => {
  const path = Deno.env.get("SCOPE_PATH");
  const tally: Record<string, number> = {};
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 3 }), commands(RUN), async (maxConnections, all) => {
      const world = new World(maxConnections);
      for (const command of all) await world.run(command);
      await world.finish();
      for (const [kind, count] of Object.entries(world.tally)) tally[kind] = (tally[kind] ?? 0) + count;
    }),
    { numRuns: Math.ceil(OPERATIONS / RUN), seed: SEED, ...(path === undefined ? {} : { path }) },
  );
  // A run with few events proves little.
  if (path !== undefined) return;
  const kinds = ["openScope", "lease", "client", "call", "answer", "read", "release", "abortSignal", "abortScope"];
  const streams = ["takeBody", "readTaken", "releaseBetweenCalls"];
  for (const kind of [...kinds, ...streams, "closeScope", "outsideLease", "invalidate", "failCreation", "shutdown"]) {
    assertGreater(tally[kind] ?? 0, OPERATIONS / 1_000, kind);
  }
});
