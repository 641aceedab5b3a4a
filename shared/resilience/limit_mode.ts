/**
 * The states of an adaptive limit, and its calls.
 *
 * @module
 */
import type { Cohort, LatencyLevel } from "./cohort.ts";

/** The result of a call, as a limit judges it. */
export type LimitOutcome =
  /** It took the time it needed, whatever its result. */
  | "ok"
  /** The target refused it for lack of capacity, or did not respond in time. */
  | "overload"
  /** It was aborted, or says nothing about the target. */
  | "ignored";

/** A call under way, as `AdaptiveLimit.begin` returned it. */
export interface LimitedCall {
  /** The instant at which it began, in ms. */
  readonly at: number;
  /** The number of calls under way when it began, including it. */
  readonly inFlight: number;
  /** The calls it is compared with; `undefined` where it says nothing about the limit. */
  readonly cohort: Cohort | undefined;
}

/** The state of a limit: what the calls of its cohort are for. */
export type LimitMode =
  /** They are the latency to compare with. `step` is that of the experiment after them. */
  | { readonly kind: "measure"; readonly step: number }
  /** They show whether latency changes by itself until the next experiment. */
  | { readonly kind: "hold"; readonly until: number }
  /** They show whether latency is still higher, as it was in the calls before. */
  | { readonly kind: "doubt"; readonly until: number }
  /** They show the effect of a changed limit. */
  | {
    readonly kind: "probe";
    readonly from: number;
    readonly before: LatencyLevel;
    readonly isUp: boolean;
    /** True if latency had risen by itself. */
    readonly isShift: boolean;
    /** True for the second cohort at the same limit. */
    readonly isRepeated: boolean;
  };

/** An experiment. */
export type Probe = Extract<LimitMode, { kind: "probe" }>;
