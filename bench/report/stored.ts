/**
 * The stored results of all benchmarks.
 *
 * @module
 */
import type { SoakResults } from "../soak/results.ts";
import type { CaseResult, Results } from "../support/results.ts";

/** The benchmarks of the report, in its order. */
export const BENCHMARKS = [
  "pool",
  "handler",
  "postgres",
  "data",
  "replicas",
  "cold_start",
  "compare",
  "claims",
  "fair",
  "adaptive",
  "cache",
] as const;

/** The name of a benchmark: that of its folder in `bench/` and of its files in the results. */
export type BenchmarkName = typeof BENCHMARKS[number];

/** The results of a folder. A benchmark that was not measured is absent. */
export interface StoredResults {
  readonly benchmarks: ReadonlyMap<BenchmarkName, Results<string>>;
  readonly soak: SoakResults | undefined;
}

async function readJson(url: URL): Promise<unknown> {
  try {
    return JSON.parse(await Deno.readTextFile(url));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Reads the results of a folder. */
export async function readStored(folder: URL): Promise<StoredResults> {
  const benchmarks = new Map<BenchmarkName, Results<string>>();
  for (const name of BENCHMARKS) {
    const results = await readJson(new URL(`${name}.json`, folder));
    if (results !== undefined) benchmarks.set(name, results as Results<string>);
  }
  return { benchmarks, soak: await readJson(new URL("soak.json", folder)) as SoakResults | undefined };
}

/** Reads figures of the results. */
export class Figures {
  readonly #stored: StoredResults;

  constructor(stored: StoredResults) {
    this.#stored = stored;
  }

  #case(name: BenchmarkName, caseId: string): CaseResult<string> | undefined {
    return this.#stored.benchmarks.get(name)?.cases.find(({ id }) => id === caseId);
  }

  /** Returns the median of a candidate; `NaN` if it was not measured. */
  median(name: BenchmarkName, caseId: string, candidateId: string, metric: string): number {
    const candidate = this.#case(name, caseId)?.candidates.find(({ id }) => id === candidateId);
    return candidate?.measured[metric]?.median ?? NaN;
  }

  /** Returns how much ours differs from a candidate, in percent: the median of the rounds' ratios. */
  change(name: BenchmarkName, caseId: string, candidateId: string, metric: string): number {
    const candidate = this.#case(name, caseId)?.candidates.find(({ id }) => id === candidateId);
    return (1 / (candidate?.measured[metric]?.timesOurs ?? NaN) - 1) * 100;
  }

  /** The soak, if one was run. */
  get soak(): SoakResults | undefined {
    return this.#stored.soak;
  }
}
