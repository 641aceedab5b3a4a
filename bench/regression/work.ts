/**
 * The work of the cases, and its samples.
 *
 * @module
 */
import type { Checkout } from "./checkout.ts";

/** An operation that both versions have. */
export type Work =
  & {
    /** The key in the results. */
    readonly id: string;
    /** The name in the report. */
    readonly title: string;
  }
  & (
    | {
      readonly unit: "ns";
      /** Runs it `ops` times. */
      readonly run: (ops: number) => Promise<void> | void;
    }
    | {
      readonly unit: "bytes";
      /** Returns the bytes of heap per instance. */
      readonly bytes: () => Promise<number> | number;
    }
  );

/** The work of one case on one version. */
export interface OpenCase extends AsyncDisposable {
  readonly work: readonly Work[];
}

/**
 * A module with a case. Each version gets its own copy of the module, because
 * shared loops would be compiled for both versions at once.
 */
export interface CaseModule {
  /** Opens the case on a version. `login` is the login of the Postgres case. */
  open(checkout: Checkout, login: string): OpenCase | Promise<OpenCase>;
}

/** The values of one round, on both sides. */
export interface Sample {
  /** Processor time per operation in ns, all threads of the process included, or bytes of heap. */
  readonly before: number;
  readonly after: number;
  /** Elapsed time per operation in ns; `NaN` for bytes. */
  readonly wallBefore: number;
  readonly wallAfter: number;
}

/** The samples of one work, first round first. */
export interface Series {
  readonly id: string;
  readonly title: string;
  readonly unit: "ns" | "bytes" | "ms";
  readonly samples: readonly Sample[];
}
