/**
 * Random scripts: sequences of commands that read as calls.
 *
 * @module
 */
import fc from "fast-check";
import type { Lane } from "../../../shared/pool/mod.ts";
import { requestLease } from "./acquire_oracle.ts";
import * as commands from "./commands.ts";
import { advance, assertInvariants, freeze } from "./assert_invariants.ts";
import { abortProbe, releaseProbe, requestProbe } from "./probes.ts";
import type { Ending, FlowName, Hook } from "./records.ts";
import { tamperWithLease, tamperWithPool } from "./tampering.ts";
import { EVENTS } from "./factory_observer.ts";
import { CREATE_MODES, type CreateMode, HOOK_MODES, type HookMode } from "./fake_factory.ts";
import type { Model, Setup } from "./model.ts";

/** The relative frequencies of the commands. */
export interface Weights {
  readonly ask: number;
  readonly probe: number;
  readonly tamper: number;
  readonly tryLease: number;
  readonly release: number;
  readonly misuse: number;
  readonly abort: number;
  readonly advance: number;
  readonly freeze: number;
  readonly create: number;
  readonly hooks: number;
  readonly finish: number;
  readonly invalidate: number;
  readonly listen: number;
  readonly resize: number;
  readonly shutdown: number;
}

/** The state that a script runs on. */
export interface Stage {
  readonly model: Model;
}

/** One step of a script. It has no state of the run, so that it can be replayed. */
export class Step implements fc.AsyncCommand<Stage, Stage> {
  readonly #text: string;
  readonly #possible: (model: Model) => boolean;
  readonly #act: (model: Model) => unknown;

  constructor(text: string, possible: (model: Model) => boolean, act: (model: Model) => unknown) {
    this.#text = text;
    this.#possible = possible;
    this.#act = act;
  }

  check({ model }: Stage): boolean {
    return this.#possible(model);
  }

  async run({ model }: Stage): Promise<void> {
    model.steps++;
    await this.#act(model);
    await assertInvariants(model);
  }

  toString(): string {
    return this.#text;
  }
}

const always = () => true;

/** Returns the element at `index`, modulo the length. */
function pick<T>(list: Iterable<T>, index: number): T | undefined {
  const all = [...list];
  return all[index % all.length];
}

/** Applies `act` to an element of a list that depends on the model's state. */
function on<T>(list: (model: Model) => Iterable<T>, index: number, act: (model: Model, target: T) => unknown) {
  return {
    possible: (model: Model) => [...list(model)].length > 0,
    act: (model: Model) => {
      const target = pick(list(model), index);
      return target === undefined ? undefined : act(model, target);
    },
  };
}

const index = fc.nat(7);
const flows = fc.constantFrom<FlowName>("", "a", "a", "a", "b", "c");
const lane = fc.constantFrom<Lane>("normal", "normal", "normal", "high", "low", "admin");
const timeoutMs = fc.constantFrom(0, 10, 30, 30, 120, 120, 500, Infinity);

const asks = fc.record({
  how: fc.constantFrom<"lease" | "acquire">("lease", "lease", "lease", "acquire"),
  lane,
  timeoutMs,
  abortable: fc.boolean(),
}).map((wish) => new Step(`${wish.how}(${JSON.stringify(wish)})`, always, (model) => requestLease(model, wish)));

const fairAsks = fc.record({
  how: fc.constantFrom<"lease" | "acquire">("lease", "lease", "lease", "acquire"),
  lane: fc.constantFrom<Lane>("normal", "normal", "normal", "normal", "high", "low", "admin"),
  timeoutMs,
  abortable: fc.boolean(),
  flow: flows,
}).map((wish) => new Step(`${wish.how}(${JSON.stringify(wish)})`, always, (model) => requestLease(model, wish)));

const fairTries = fc.tuple(lane, flows).map(([lane, flow]) =>
  new Step(
    `tryLease(${lane}, ${flow})`,
    always,
    (model) => requestLease(model, { how: "tryLease", lane, timeoutMs: 0, abortable: false, flow }),
  )
);

const tries = lane.map((lane) =>
  new Step(
    `tryLease(${lane})`,
    always,
    (model) => requestLease(model, { how: "tryLease", lane, timeoutMs: 0, abortable: false }),
  )
);

const probes = fc.oneof(
  fc.tuple(fc.constantFrom(0, 10, 30, 120, 500, Infinity), fc.boolean()).map(([timeoutMs, abortable]) =>
    new Step(`probe(${timeoutMs}, ${abortable})`, always, (model) => requestProbe(model, timeoutMs, abortable))
  ),
  index.map((index) => {
    const { possible, act } = on(({ heldProbes }) => heldProbes, index, releaseProbe);
    return new Step(`releaseProbe(${index})`, possible, act);
  }),
  index.map((index) => {
    const { possible, act } = on(
      ({ waitingProbes }) => [...waitingProbes].filter(({ abort }) => abort),
      index,
      abortProbe,
    );
    return new Step(`abortProbe(${index})`, possible, act);
  }),
);

const tamperings = fc.option(index, { nil: undefined }).map((index) => {
  if (index === undefined) return new Step("tamper()", always, tamperWithPool);
  const { possible, act } = on(({ held, ended }) => [...held, ...ended.slice(-3)], index, tamperWithLease);
  return new Step(`tamper(${index})`, possible, act);
});

const releases = fc.tuple(index, fc.constantFrom(false, false, false, true)).map(([index, destroy]) => {
  const { possible, act } = on(
    ({ held }) => held,
    index,
    (model, grant) => commands.release(model, grant, { destroy }),
  );
  return new Step(`release(${index}${destroy ? ", broken" : ""})`, possible, act);
});

const misuses = index.map((index) => {
  const { possible, act } = on(({ ended }) => ended.slice(-8), index, commands.misuse);
  return new Step(`misuse(${index})`, possible, act);
});

const aborts = fc.tuple(index, fc.constantFrom(true, true, true, false)).map(([index, waits]) => {
  const abortable = (model: Model) =>
    waits ? [...model.waiting].filter(({ abort }) => abort) : [...model.held].flatMap(({ acquire }) => acquire ?? []);
  const { possible, act } = on(abortable, index, commands.abort);
  return new Step(`abort(${index}${waits ? "" : ", granted"})`, possible, act);
});

const advances = fc.constantFrom(0, 1, 5, 10, 20, 49, 100, 250, 600).map((ms) =>
  new Step(`advance(${ms})`, always, (model) => advance(model, ms))
);

const freezes = fc.constantFrom(5, 60, 450, 1_500).map((ms) =>
  new Step(`freeze(${ms})`, always, (model) => freeze(model, ms))
);

const creates = fc.constantFrom<CreateMode>(...CREATE_MODES, "returns", "resolves", "is slow").map((mode) =>
  new Step(`create ${mode}`, always, (model) => commands.setMode(model, { hook: "create", mode }))
);

const hooks = fc.tuple(
  fc.constantFrom<"validate" | "reset" | "destroy">("validate", "reset", "destroy"),
  fc.constantFrom<HookMode>(...HOOK_MODES, "returns", "resolves"),
).map(([hook, mode]) =>
  new Step(
    `${hook} ${mode}`,
    always,
    (model) => commands.setMode(model, { hook, mode: hook === "validate" ? mode : said(mode) }),
  )
);

/** Returns a mode for hooks other than `validate`: only a validation can say no. */
function said(mode: HookMode): HookMode {
  return mode === "says no" ? "throws" : mode;
}

const finishes = fc.tuple(index, fc.constantFrom<Ending>("well", "well", "badly", "for good")).map(([index, how]) =>
  new Step(
    `finish(${index}, ${how})`,
    (model) => [...model.calls].some(({ finish }) => finish),
    (model) => commands.finish(model, index, how),
  )
);

const invalidations = index.map((index) => {
  const { possible, act } = on(({ items }) => items.slice(-8), index, commands.invalidate);
  return new Step(`invalidate(${index})`, possible, act);
});

const listeners = fc.tuple(
  fc.constantFrom(...EVENTS),
  fc.constantFrom<commands.Interference>(
    "throws",
    "leases",
    "tryLease",
    "invalidates",
    "aborts",
    "releases",
    "probes",
    "tampers",
  ),
).map(([event, what]) => new Step(`at ${event} ${what}`, always, (model) => commands.listen(model, event, what)));

const traps = fc.tuple(
  fc.constantFrom<Hook>("create", "validate", "reset", "destroy", "destroy"),
  fc.constantFrom<Exclude<commands.Interference, "throws">>(
    "leases",
    "tryLease",
    "invalidates",
    "aborts",
    "releases",
    "probes",
    "tampers",
  ),
).map(([hook, what]) => new Step(`in ${hook} ${what}`, always, (model) => commands.trap(model, hook, what)));

const losses = index.map((index) => {
  const { possible, act } = on(({ held }) => held, index, commands.releaseWhenLost);
  return new Step(`releaseWhenLost(${index})`, possible, act);
});

const limits = fc.record({ max: fc.integer({ min: 1, max: 5 }), min: fc.nat(5), reserved: fc.constantFrom(0, 0, 1, 2) })
  .map(({ max, min, reserved }) => ({
    maxConnections: max,
    minConnections: Math.min(min, max),
    reservedConnections: Math.min(reserved, max),
  }));

const resizes = limits.map((limits) =>
  new Step(`resize(${JSON.stringify(limits)})`, always, (model) => commands.resize(model, limits))
);

const shutdowns = fc.constantFrom(0, 50, 300).map((ms) =>
  new Step(`shutdown(${ms})`, always, (model) => commands.shutdown(model, ms))
);

/** Options of {@linkcode scripts}. */
export interface ScriptOptions {
  readonly maxCommands: number;
  /** Acquires have flows. */
  readonly flows: boolean;
  /** Selects the steps that fast-check kept after a failure. */
  readonly replayPath: string | undefined;
}

/** Generates scripts. */
export function scripts(
  weights: Weights,
  { maxCommands, flows, replayPath }: ScriptOptions,
): fc.Arbitrary<Iterable<Step>> {
  const arbitraries: Record<keyof Weights, fc.Arbitrary<Step>> = {
    ask: flows ? fairAsks : asks,
    probe: probes,
    tamper: tamperings,
    tryLease: flows ? fairTries : tries,
    release: releases,
    misuse: misuses,
    abort: aborts,
    advance: advances,
    freeze: freezes,
    create: creates,
    hooks,
    finish: finishes,
    invalidate: invalidations,
    listen: fc.oneof(listeners, traps, losses),
    resize: resizes,
    shutdown: shutdowns,
  };
  const kinds = Object.keys(arbitraries) as (keyof Weights)[];
  const weighted = kinds.map((kind) => ({ weight: weights[kind], arbitrary: arbitraries[kind] }));
  return fc.commands<Stage, Stage>([fc.oneof(...weighted.filter(({ weight }) => weight > 0))], {
    maxCommands,
    size: "max",
    ...(replayPath === undefined ? {} : { replayPath }),
  }) as fc.Arbitrary<Iterable<Step>>;
}

/** Generates the setups of runs. */
export const setups: fc.Arbitrary<Setup> = fc.record({
  limits,
  config: fc.record({
    priorities: fc.constant(true),
    agingMs: fc.constantFrom(10, 60),
    idleTimeoutMs: fc.constantFrom(150, 700),
    acquireTimeoutMs: fc.constant(500),
    maxWaiters: fc.constantFrom(0, 3, 1_000, 1_000),
    maxLifetimeMs: fc.constantFrom(400, 1_500, 1_000_000),
    lifetimeJitter: fc.constantFrom(0, 0.1, 0.5),
    maxUses: fc.constantFrom(1, 4, Infinity, Infinity),
    validateAfterIdleMs: fc.constantFrom(0, 30, 200),
    leakThresholdMs: fc.constantFrom(100, 60_000),
    captureLeaseStacks: fc.constant(false),
    createTimeoutMs: fc.constantFrom(40, 300),
    validateTimeoutMs: fc.constantFrom(40, 300),
    resetTimeoutMs: fc.constantFrom(40, 300),
    destroyTimeoutMs: fc.constantFrom(40, 300),
    shutdownTimeoutMs: fc.constant(100),
    createRetryDelayMs: fc.constantFrom(1, 10),
    createRetryMs: fc.constant(Infinity),
  }),
  validates: fc.boolean(),
  resets: fc.boolean(),
  seed: fc.nat(999),
  listeners: fc.constantFrom("none", "calm", "throwing"),
}).map(({ limits, config, ...rest }) => ({ config: { ...config, ...limits, fairShare: false }, ...rest }));

/** Generates the setups of runs whose flows share the lanes. The queue is mostly short, so that it is often full. */
export const fairSetups: fc.Arbitrary<Setup> = fc.tuple(setups, fc.constantFrom(3, 5, 8, 1_000))
  .map(([{ config, ...rest }, maxWaiters]) => ({ ...rest, config: { ...config, maxWaiters, fairShare: true } }));
