/**
 * Cases and the candidates they compare.
 *
 * @module
 */

/** The values of one measurement, by metric. */
export type Measurement<M extends string> = { readonly [K in M]?: number };

/** A candidate of a case. */
export interface Candidate<M extends string> {
  readonly id: string;
  readonly title: string;
  /** Measures once. */
  measure(): Measurement<M> | Promise<Measurement<M>>;
}

/** A comparison of candidates. Each round measures each candidate once. */
export interface Case<M extends string> {
  readonly id: string;
  readonly title: string;
  readonly metrics: readonly M[];
  readonly candidates: readonly Candidate<M>[];
}
