/**
 * The transaction half of invariant 25: a transaction ends committed, rolled back, or with its connection destroyed, and
 * says which.
 *
 * `PROPERTY_SCALE` multiplies the number of programs, 1 by default. `PROPERTY_SEED` and `PROPERTY_PATH` replay a run: a
 * failure prints both. The server and the clock are real, so that a replay may need several attempts.
 *
 * @module
 */
import { assertGreater } from "@std/assert";
import fc from "fast-check";
import { TestDatabase } from "../support.ts";
import { program } from "./program.ts";
import { World } from "./world.ts";

const { PROPERTY_SCALE = "1", PROPERTY_SEED = "25", PROPERTY_PATH } = Deno.env.toObject();
const RUNS = Math.ceil(150 * Number(PROPERTY_SCALE));
const SEED = Number(PROPERTY_SEED);

Deno.test(`Transaction: its outcome is that of its rows, in ${RUNS} runs of up to 3 programs, seed ${SEED}`, async () => {
  await using database = await TestDatabase.start();
  const world = await World.create(database);
  await fc.assert(
    fc.asyncProperty(fc.array(program, { minLength: 1, maxLength: 3 }), (programs) => world.run(programs)),
    { numRuns: RUNS, seed: SEED, ...(PROPERTY_PATH === undefined ? {} : { path: PROPERTY_PATH }) },
  );
  // A run with few events proves little.
  if (PROPERTY_PATH !== undefined) return;
  const kinds = ["insert", "fail", "badValue", "control", "deferred", "slow", "abort", "kill", "commit", "rollback"];
  for (const kind of [...kinds, "nested", "pool", "lease", "list", "query", "committed", "rolledBack"]) {
    assertGreater(world.tally[kind] ?? 0, RUNS / 100, kind);
  }
});
