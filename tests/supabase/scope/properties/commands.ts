/**
 * The commands of the property test: plain data, so that a failing run can be
 * shrunk and replayed.
 *
 * @module
 */
import fc from "fast-check";
import type { Lane } from "../../../../shared/pool/mod.ts";

/** The options of an acquire. */
export interface Terms {
  readonly lane: Lane | undefined;
  readonly timeoutMs: number | undefined;
  /** Gives the lease a signal, which {@linkcode Command} `abortSignal` may abort. */
  readonly signal: boolean;
}

/** One operation. Numbers select an existing object, modulo their count. */
export type Command =
  | { readonly kind: "openScope"; readonly signal: boolean; readonly lane: Lane | undefined }
  | { readonly kind: "lease"; readonly scope: number; readonly terms: Terms }
  | { readonly kind: "client"; readonly scope: number; readonly terms: Terms }
  | { readonly kind: "call"; readonly client: number }
  | { readonly kind: "answer"; readonly call: number; readonly fails: boolean }
  | { readonly kind: "read"; readonly response: number }
  | { readonly kind: "takeBody"; readonly response: number }
  | { readonly kind: "readTaken"; readonly response: number }
  | { readonly kind: "releaseBetweenCalls"; readonly scope: number }
  | { readonly kind: "release"; readonly lease: number; readonly destroy: boolean; readonly dispose: boolean }
  | { readonly kind: "abortSignal"; readonly signal: number }
  | { readonly kind: "abortScope"; readonly scope: number }
  | { readonly kind: "closeScope"; readonly scope: number }
  | { readonly kind: "outsideLease"; readonly terms: Terms }
  | { readonly kind: "outsideRelease"; readonly lease: number }
  | { readonly kind: "invalidate"; readonly slot: number }
  | { readonly kind: "failCreation"; readonly times: number }
  | { readonly kind: "advance"; readonly ms: number }
  | { readonly kind: "freeze"; readonly ms: number }
  | { readonly kind: "together"; readonly commands: readonly Command[] }
  | { readonly kind: "shutdown"; readonly deadlineMs: number };

const pick = fc.nat({ max: 1_000 });
const lane = fc.constantFrom<Lane | undefined>(undefined, undefined, "normal", "high", "low");
const terms: fc.Arbitrary<Terms> = fc.record({
  lane,
  timeoutMs: fc.constantFrom(undefined, undefined, 0, 20, 21, 50),
  signal: fc.boolean(),
});
const of = <K extends Command["kind"]>(
  kind: K,
  rest: { [P in Exclude<keyof Extract<Command, { kind: K }>, "kind">]: fc.Arbitrary<Extract<Command, { kind: K }>[P]> },
): fc.Arbitrary<Command> => fc.record({ kind: fc.constant(kind), ...rest }) as unknown as fc.Arbitrary<Command>;

const single = fc.oneof(
  { weight: 3, arbitrary: of("openScope", { signal: fc.boolean(), lane }) },
  { weight: 12, arbitrary: of("lease", { scope: pick, terms }) },
  { weight: 3, arbitrary: of("client", { scope: pick, terms }) },
  { weight: 9, arbitrary: of("call", { client: pick }) },
  { weight: 8, arbitrary: of("answer", { call: pick, fails: fc.boolean() }) },
  { weight: 4, arbitrary: of("read", { response: pick }) },
  { weight: 6, arbitrary: of("takeBody", { response: pick }) },
  { weight: 6, arbitrary: of("readTaken", { response: pick }) },
  { weight: 2, arbitrary: of("releaseBetweenCalls", { scope: pick }) },
  { weight: 10, arbitrary: of("release", { lease: pick, destroy: fc.boolean(), dispose: fc.boolean() }) },
  { weight: 5, arbitrary: of("abortSignal", { signal: pick }) },
  { weight: 1, arbitrary: of("abortScope", { scope: pick }) },
  { weight: 2, arbitrary: of("closeScope", { scope: pick }) },
  { weight: 6, arbitrary: of("outsideLease", { terms }) },
  { weight: 8, arbitrary: of("outsideRelease", { lease: pick }) },
  { weight: 1, arbitrary: of("invalidate", { slot: pick }) },
  { weight: 1, arbitrary: of("failCreation", { times: fc.integer({ min: 1, max: 2 }) }) },
  { weight: 6, arbitrary: of("advance", { ms: fc.constantFrom(1, 5, 20, 21, 60, 150) }) },
  { weight: 1, arbitrary: of("freeze", { ms: fc.constantFrom(10, 30, 200) }) },
);

/** Generates sequences of operations: most are single, some run within one turn of the event loop. */
export const commands = (count: number): fc.Arbitrary<Command[]> =>
  fc.array(
    fc.oneof(
      { weight: 400, arbitrary: single },
      {
        weight: 150,
        arbitrary: of("together", { commands: fc.array(single, { minLength: 2, maxLength: 4 }) }),
      },
      { weight: 2, arbitrary: of("shutdown", { deadlineMs: fc.constantFrom(0, 0, 10) }) },
    ),
    { minLength: count, maxLength: count, size: "max" },
  );
