/**
 * Runs random scripts, and reports how to reproduce a failure.
 *
 * @module
 */
import { assert } from "@std/assert";
import fc from "fast-check";
import { checkTeardown } from "./teardown_checks.ts";
import { type Invariant, InvariantError, INVARIANTS, Tally } from "./invariants.ts";
import { assertInvariants } from "./assert_invariants.ts";
import { fairSetups, scripts, setups, type Step, type Weights } from "./script.ts";
import { Model, type Setup } from "./model.ts";

/** The default seed, so that runs are the same everywhere. */
const SEED = 20_260_105;

/** Maximum number of steps of a script. */
const MAX_STEPS = 120;

/** Scripts with one emphasis, and the invariants that they test. */
export interface Group {
  readonly name: string;
  readonly weights: Weights;
  /** Minimum number of steps of all scripts together. */
  readonly steps: number;
  readonly invariants: readonly Invariant[];
  /** Minimum number of checks of each invariant. */
  readonly looks: number;
  /** Flows share the lanes. */
  readonly fair?: boolean;
  /** Runs one script. Default: on one pool. */
  readonly run?: (setup: Setup, script: Iterable<Step>, tally: Tally) => Promise<Model>;
}

/** Options from the environment. */
export interface RunOptions {
  readonly seed: number;
  readonly path?: string;
  readonly replayPath?: string;
  readonly scale: number;
  /** A file that gets the number of each broken invariant; failures are not shrunk then. */
  readonly brokenLog?: string;
}

/** Reads the options. */
export function readOptions(): RunOptions {
  const { PROPERTY_SEED, PROPERTY_PATH, PROPERTY_REPLAY, PROPERTY_SCALE, PROPERTY_BROKEN_LOG } = Deno.env.toObject();
  const seed = PROPERTY_SEED === "random" ? Math.trunc(Math.random() * 2 ** 31) : Number(PROPERTY_SEED ?? SEED);
  if (!Number.isInteger(seed)) {
    throw new RangeError(`PROPERTY_SEED is "${PROPERTY_SEED}", must be a whole number or random`);
  }
  const scale = Number(PROPERTY_SCALE ?? 1);
  if (!(scale > 0 && scale < Infinity)) throw new RangeError(`PROPERTY_SCALE is "${PROPERTY_SCALE}", must be above 0`);
  return {
    seed,
    ...(PROPERTY_PATH === undefined ? {} : { path: PROPERTY_PATH }),
    ...(PROPERTY_REPLAY === undefined ? {} : { replayPath: PROPERTY_REPLAY }),
    ...(PROPERTY_BROKEN_LOG === undefined ? {} : { brokenLog: PROPERTY_BROKEN_LOG }),
    scale,
  };
}

/** Appends the number of the invariant that an error is about to a file, and throws the error. */
export async function noteBroken(path: string, error: unknown): Promise<never> {
  const invariant = error instanceof FailedRun || error instanceof InvariantError ? error.invariant : undefined;
  await Deno.writeTextFile(path, `${invariant ?? 0}\n`, { append: true });
  throw error;
}

/**
 * Runs one script, from the creation of its pool to its close.
 *
 * @throws {FailedRun} when an invariant did not hold.
 */
export async function runScript(setup: Setup, script: Iterable<Step>, tally: Tally): Promise<Model> {
  const model = new Model(setup, tally);
  try {
    await assertInvariants(model);
    await fc.asyncModelRun(() => ({ model: { model }, real: { model } }), script);
    await checkTeardown(model);
  } catch (error) {
    // The slots' own checks guard against a second lease of their resource.
    const isGuard = error instanceof Error && error.message.startsWith("Bug in the pool");
    throw new FailedRun(isGuard ? new InvariantError(3, error.message) : error, model.transcript.lines);
  }
  return model;
}

/**
 * Runs one script twice, with listeners that do nothing and with listeners that
 * throw: nothing else may differ.
 */
export async function runBeside(setup: Setup, script: Iterable<Step>, tally: Tally): Promise<Model> {
  const calm = await runScript({ ...setup, listeners: "calm" }, script, tally);
  const throwing = await runScript({ ...setup, listeners: "throwing" }, script, tally).catch((error: unknown) => {
    if (!(error instanceof FailedRun)) throw error;
    throw new FailedRun(new InvariantError(24, `with listeners that throw, ${error.message}`), error.transcript);
  });
  const [wanted, got] = [calm, throwing].map(({ transcript }) => transcript.lines);
  const index = wanted?.findIndex((line, i) => line !== got?.[i]) ?? -1;
  tally.add(24);
  if (index < 0 && wanted?.length === got?.length) return throwing;
  const error = new InvariantError(24, `"${got?.[index]}" instead of "${wanted?.[index]}"`);
  throw new FailedRun(error, got?.slice(0, index + 1) ?? []);
}

/** A broken invariant, with the transcript of the run. */
class FailedRun extends Error {
  readonly transcript: readonly string[];
  readonly invariant: Invariant | undefined;

  constructor(cause: unknown, transcript: readonly string[]) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.transcript = transcript;
    this.invariant = cause instanceof InvariantError ? cause.invariant : undefined;
  }
}

/** Removes all steps from a script without which it still fails. */
async function minimise(
  run: typeof runScript,
  setup: Setup,
  script: Iterable<Step>,
  failure: FailedRun,
): Promise<FailedRun> {
  let smallest = failure;
  let steps = [...script];
  for (let size = Math.ceil(steps.length / 2); size > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < steps.length;) {
      const fewer = steps.toSpliced(start, size);
      const failed = await run(setup, fewer, new Tally()).then(() => undefined, (error: unknown) => error);
      if (failed instanceof FailedRun && failed.invariant === failure.invariant) {
        smallest = failed;
        steps = fewer;
      } else start += size;
    }
  }
  return smallest;
}

/** Returns the report of a failure: the shrunk script, and the command that reproduces it. */
async function report(group: Group, details: fc.RunDetails<[Setup, Iterable<Step>]>): Promise<string> {
  const { counterexample, counterexamplePath, seed, errorInstance } = details;
  if (!counterexample || !(errorInstance instanceof FailedRun)) return String(errorInstance);
  const [setup, script] = counterexample;
  const replay = /replayPath="([^"]*)"/.exec(String(script))?.[1] ?? "";
  const { message, transcript } = await minimise(group.run ?? runScript, setup, script, errorInstance);
  return [
    message,
    "\nThe smallest script found:",
    `pool: ${Deno.inspect(setup, { breakLength: Infinity, compact: true })}`,
    ...transcript,
    "\nReproduce:",
    `PROPERTY_SEED=${seed} PROPERTY_PATH=${counterexamplePath} PROPERTY_REPLAY=${replay} ` +
    `npx -y deno test -A tests/pool/properties/ --filter "${group.name}"`,
  ].join("\n");
}

/** Defines the test of a group; each invariant is a step of it. */
export function testGroup(group: Group): void {
  Deno.test(`properties: ${group.name}`, async (t) => {
    const { scale, replayPath, brokenLog, ...options } = readOptions();
    const { run = runScript, fair = false } = group;
    const drawn = scripts(group.weights, { maxCommands: MAX_STEPS, flows: fair, replayPath });
    const tally = new Tally();
    const wanted = group.steps * scale;
    let steps = 0;
    const property = fc.asyncProperty(fair ? fairSetups : setups, drawn, async (setup, script) => {
      steps += (await run(setup, script, tally)).steps;
    });
    // Scripts have any length: batches run until there are enough steps, each with a seed of its own.
    for (let batch = 0; steps < wanted; batch++) {
      const details = await fc.check(property, {
        ...options,
        seed: options.seed + batch,
        numRuns: 100,
        endOnFailure: brokenLog !== undefined,
      });
      if (details.failed && brokenLog !== undefined) await noteBroken(brokenLog, details.errorInstance);
      if (details.failed) throw new Error(await report(group, details));
      if (options.path !== undefined) return;
    }
    await t.step(`${steps.toLocaleString("en")} operations from seed ${options.seed}`, () => assert(steps >= wanted));
    for (const number of group.invariants) {
      await t.step(`invariant ${number}: ${INVARIANTS[number]}`, () => {
        const looks = tally.of(number);
        assert(looks >= group.looks, `checked ${looks} times in ${steps} steps`);
      });
    }
  });
}
