/**
 * Random programs of transactions.
 *
 * @module
 */
import fc from "fast-check";

/** One step of a transaction's function. */
export type Step =
  /** Inserts a row; `wait` is false for a statement that is not awaited. */
  | { readonly kind: "insert"; readonly wait: boolean }
  /** A statement that the server rejects; `caught` is true where the function goes on. */
  | { readonly kind: "fail"; readonly wait: boolean; readonly caught: boolean }
  /** A value that cannot be sent. */
  | { readonly kind: "badValue"; readonly caught: boolean }
  /** A statement that controls transactions. */
  | { readonly kind: "control"; readonly text: string }
  /** A row that a constraint rejects at COMMIT. */
  | { readonly kind: "deferred" }
  /** A statement that takes 30 ms, with a time limit or without. */
  | { readonly kind: "slow"; readonly wait: boolean; readonly timeoutMs: number | undefined; readonly caught: boolean }
  | { readonly kind: "abort" }
  /** Terminates the transaction's backend. */
  | { readonly kind: "kill" }
  /** Ends the transaction of this level by hand. */
  | { readonly kind: "commit" }
  | { readonly kind: "rollback" }
  /** Leaves the turn, so that other work can run. */
  | { readonly kind: "pause"; readonly ms: number }
  | {
    readonly kind: "nested";
    readonly steps: readonly Step[];
    readonly wait: boolean;
    readonly throws: boolean;
    readonly caught: boolean;
  };

/** The ways of a program to its connection. */
export const VIAS = ["pool", "lease", "list", "query"] as const;

/** One transaction. */
export interface Program {
  readonly asCaller: boolean;
  readonly via: typeof VIAS[number];
  readonly steps: readonly Step[];
  readonly throws: boolean;
  readonly timeoutMs: number | undefined;
  readonly abortAfterMs: number | undefined;
}

const { step } = fc.letrec<{ step: Step }>((tie) => ({
  step: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    { weight: 12, arbitrary: fc.record({ kind: fc.constant("insert" as const), wait: mostly(true) }) },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant("fail" as const), wait: mostly(true), caught: fc.boolean() }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("badValue" as const), caught: mostly(true) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("control" as const),
        text: fc.constantFrom("commit", "rollback", "begin", "/* x */ end"),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: "deferred" as const }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("slow" as const),
        wait: mostly(true),
        timeoutMs: fc.constantFrom(undefined, 5),
        caught: fc.boolean(),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: "abort" as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: "kill" as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: "commit" as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: "rollback" as const }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("pause" as const), ms: fc.constantFrom(0, 1, 3) }) },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant("nested" as const),
        steps: fc.array(tie("step"), { maxLength: 4 }),
        wait: fc.integer({ min: 0, max: 9 }).map((n) => n > 2),
        throws: fc.boolean(),
        caught: mostly(true),
      }),
    },
  ) as fc.Arbitrary<Step>,
}));

/** `usual` nine times of ten. */
function mostly(usual: boolean): fc.Arbitrary<boolean> {
  return fc.integer({ min: 0, max: 9 }).map((n) => n > 0 ? usual : !usual);
}

/** Steps inside a nested transaction of a program that commits. */
const { inner } = fc.letrec<{ inner: Step }>((tie) => ({
  inner: fc.oneof(
    { maxDepth: 2 },
    { weight: 3, arbitrary: fc.constant({ kind: "insert", wait: true }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("fail"), wait: fc.constant(true), caught: fc.boolean() }) },
    { weight: 1, arbitrary: fc.constant({ kind: "rollback" }) },
    { weight: 2, arbitrary: nestedOf(tie("inner")) },
  ) as fc.Arbitrary<Step>,
}));

function nestedOf(each: fc.Arbitrary<Step>): fc.Arbitrary<Step> {
  return fc.record({
    kind: fc.constant("nested" as const),
    steps: fc.array(each, { maxLength: 3 }),
    wait: fc.constant(true),
    throws: fc.boolean(),
    caught: fc.constant(true),
  });
}

/** Programs whose failures are all contained in nested transactions: each must commit. */
const committing: fc.Arbitrary<Program> = fc.record({
  asCaller: fc.boolean(),
  via: fc.constantFrom("pool", "lease"),
  steps: fc.array(fc.oneof(fc.constant<Step>({ kind: "insert", wait: true }), nestedOf(inner)), {
    minLength: 1,
    maxLength: 5,
  }),
  throws: fc.constant(false),
  timeoutMs: fc.constant(undefined),
  abortAfterMs: fc.constant(undefined),
});

const any: fc.Arbitrary<Program> = fc.record({
  asCaller: fc.boolean(),
  via: fc.constantFrom(...VIAS, "pool", "lease"),
  steps: fc.array(step, { maxLength: 6 }),
  throws: mostly(false),
  timeoutMs: fc.integer({ min: 0, max: 9 }).map((n) => n === 0 ? 20 : undefined),
  abortAfterMs: fc.integer({ min: 0, max: 9 }).map((n) => n === 0 ? 4 : undefined),
});

/** Programs. */
export const program: fc.Arbitrary<Program> = fc.oneof({ weight: 3, arbitrary: any }, {
  weight: 1,
  arbitrary: committing,
});

/**
 * Returns whether a program certainly commits: nothing aborts it, and each failure is inside a nested transaction whose
 * error the function catches.
 */
export function mustCommit({ via, steps, throws, timeoutMs, abortAfterMs }: Program): boolean {
  if (via === "list" || via === "query" || throws || timeoutMs !== undefined || abortAfterMs !== undefined) {
    return false;
  }
  return steps.every((each) => isContained(each, true));
}

/** @param outer Whether the step is not in a nested transaction. */
function isContained(each: Step, outer: boolean): boolean {
  switch (each.kind) {
    case "insert":
      return each.wait;
    case "pause":
    case "control":
      return true;
    case "badValue":
      return each.caught || !outer;
    case "fail":
      return each.wait && !outer;
    case "rollback":
      return !outer;
    case "nested":
      return each.wait && each.caught && each.steps.every((inner) => isContained(inner, false));
    default:
      return false;
  }
}
