/**
 * The command line of `bench:pool`.
 *
 * @module
 */

import type { Known } from "../support/options.ts";

/** The text of `--help`. */
export const HELP = `Usage: deno task bench:pool [options]

Compares the pool core with other pools and with the minimum cost of a pool, in
interleaved rounds, and checks its targets.

  --quick          Fewer rounds, and nothing that takes seconds
  --rounds <n>     The number of counted rounds (default 31, quick 9);
                   a quarter of it for cases that take seconds
  --only <cases>   Measure only these, separated by commas: sync, one, callers,
                   crowd_10k, crowd_100k, bytes, expiry_10k, expiry_50k, retention
  --out <folder>   The folder for pool.json and pool.svg (default bench/results
                   for a whole run; none for a quick or partial one)
  --strict         Exit with 1 when a target is missed
  --help           Print this

Bytes are those of V8's heap, without what the runtime allocates outside of it.
`;

/** The ids of all cases, as `--only` takes them. */
export const CASE_IDS: readonly string[] = [
  "sync",
  "one",
  "callers",
  "crowd_10k",
  "crowd_100k",
  "bytes",
  "expiry_10k",
  "expiry_50k",
  "retention",
];

/** The cases and the default number of rounds. */
export const KNOWN: Known = { caseIds: CASE_IDS, rounds: { full: 31, quick: 9 } };
