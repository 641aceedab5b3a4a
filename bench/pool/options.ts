/**
 * The command line.
 *
 * @module
 */

import type { Known } from "../support/options.ts";

/** What `--help` prints. */
export const HELP = `Usage: deno task bench:pool [options]

Measures the pool core beside other pools and beside the least a pool can
cost, in interleaved rounds, and says which of its bars hold.

  --quick          Fewer rounds, and nothing that takes seconds
  --rounds <n>     How many rounds are counted (default 31, quick 9);
                   of what takes long, a quarter of them
  --only <cases>   Measure only these, separated by commas: sync, one, callers,
                   crowd_10k, crowd_100k, bytes, expiry_10k, expiry_50k, retention
  --out <folder>   Where pool.json and pool.svg go (default bench/results for
                   a whole run; a quick or partial one writes none)
  --strict         Exit with 1 when a bar does not hold
  --help           Print this

Bytes are of V8's heap; what the runtime keeps outside it is not seen.
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

/** What the benchmark can be asked for. */
export const KNOWN: Known = { caseIds: CASE_IDS, rounds: { full: 31, quick: 9 } };
