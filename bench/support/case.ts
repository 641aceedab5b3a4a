/**
 * What is measured, of whom.
 *
 * @module
 */

/** What one measurement found: a figure to each metric `M`, where there is one. */
export type Measurement<M extends string> = { readonly [K in M]?: number };

/** One of those measured in a case. */
export interface Entrant<M extends string> {
  readonly id: string;
  readonly title: string;
  /** Measures once. */
  measure(): Measurement<M> | Promise<Measurement<M>>;
}

/** Something to measure, and all of whom it is measured. In a round, each is measured once. */
export interface Case<M extends string> {
  readonly id: string;
  readonly title: string;
  readonly metrics: readonly M[];
  readonly entrants: readonly Entrant<M>[];
}
