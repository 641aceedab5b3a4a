/**
 * Random scripts: sequences of deeds that read as calls.
 *
 * @module
 */
import fc from "fast-check";
import type { Lane } from "../../../shared/pool/mod.ts";
import { ask } from "./asking.ts";
import * as deeds from "./deeds.ts";
import { advance, freeze, look } from "./look.ts";
import type { Ending, Hook } from "./records.ts";
import { EVENTS } from "./watch.ts";
import { CREATE_MODES, type CreateMode, HOOK_MODES, type HookMode } from "./workshop.ts";
import type { Setup, World } from "./world.ts";

/** How often each kind of deed comes, against the others. */
export interface Weights {
  readonly ask: number;
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

/** Where a script is played. */
export interface Stage {
  readonly world: World;
}

/** One step of a script; it holds nothing of the run, so that it can be run again. */
export class Step implements fc.AsyncCommand<Stage, Stage> {
  readonly #text: string;
  readonly #possible: (world: World) => boolean;
  readonly #act: (world: World) => unknown;

  constructor(text: string, possible: (world: World) => boolean, act: (world: World) => unknown) {
    this.#text = text;
    this.#possible = possible;
    this.#act = act;
  }

  check({ world }: Stage): boolean {
    return this.#possible(world);
  }

  async run({ world }: Stage): Promise<void> {
    world.steps++;
    await this.#act(world);
    await look(world);
  }

  toString(): string {
    return this.#text;
  }
}

const always = () => true;

/** The element at `index`, counted round and round. */
function pick<T>(list: Iterable<T>, index: number): T | undefined {
  const all = [...list];
  return all[index % all.length];
}

/** Acts on one of a list that depends on how the world stands. */
function on<T>(list: (world: World) => Iterable<T>, index: number, act: (world: World, target: T) => unknown) {
  return {
    possible: (world: World) => [...list(world)].length > 0,
    act: (world: World) => {
      const target = pick(list(world), index);
      return target === undefined ? undefined : act(world, target);
    },
  };
}

const index = fc.nat(7);
const lane = fc.constantFrom<Lane>("normal", "normal", "normal", "high", "low", "admin");
const timeoutMs = fc.constantFrom(0, 10, 30, 30, 120, 120, 500, Infinity);

const asks = fc.record({
  how: fc.constantFrom<"lease" | "acquire">("lease", "lease", "lease", "acquire"),
  lane,
  timeoutMs,
  abortable: fc.boolean(),
}).map((wish) => new Step(`${wish.how}(${JSON.stringify(wish)})`, always, (world) => ask(world, wish)));

const tries = lane.map((lane) =>
  new Step(
    `tryLease(${lane})`,
    always,
    (world) => ask(world, { how: "tryLease", lane, timeoutMs: 0, abortable: false }),
  )
);

const releases = fc.tuple(index, fc.constantFrom(false, false, false, true)).map(([index, destroy]) => {
  const { possible, act } = on(({ held }) => held, index, (world, grant) => deeds.release(world, grant, { destroy }));
  return new Step(`release(${index}${destroy ? ", broken" : ""})`, possible, act);
});

const misuses = index.map((index) => {
  const { possible, act } = on(({ ended }) => ended.slice(-8), index, deeds.misuse);
  return new Step(`misuse(${index})`, possible, act);
});

const aborts = fc.tuple(index, fc.constantFrom(true, true, true, false)).map(([index, waits]) => {
  const abortable = (world: World) =>
    waits ? [...world.waiting].filter(({ abort }) => abort) : [...world.held].flatMap(({ acquire }) => acquire ?? []);
  const { possible, act } = on(abortable, index, deeds.abort);
  return new Step(`abort(${index}${waits ? "" : ", granted"})`, possible, act);
});

const advances = fc.constantFrom(0, 1, 5, 10, 20, 49, 100, 250, 600).map((ms) =>
  new Step(`advance(${ms})`, always, (world) => advance(world, ms))
);

const freezes = fc.constantFrom(5, 60, 450, 1_500).map((ms) =>
  new Step(`freeze(${ms})`, always, (world) => freeze(world, ms))
);

const creates = fc.constantFrom<CreateMode>(...CREATE_MODES, "returns", "resolves", "is slow").map((mode) =>
  new Step(`create ${mode}`, always, (world) => deeds.setMode(world, { hook: "create", mode }))
);

const hooks = fc.tuple(
  fc.constantFrom<"validate" | "reset" | "destroy">("validate", "reset", "destroy"),
  fc.constantFrom<HookMode>(...HOOK_MODES, "returns", "resolves"),
).map(([hook, mode]) =>
  new Step(
    `${hook} ${mode}`,
    always,
    (world) => deeds.setMode(world, { hook, mode: hook === "validate" ? mode : said(mode) }),
  )
);

/** Only a validation can say no. */
function said(mode: HookMode): HookMode {
  return mode === "says no" ? "throws" : mode;
}

const finishes = fc.tuple(index, fc.constantFrom<Ending>("well", "well", "badly", "for good")).map(([index, how]) =>
  new Step(
    `finish(${index}, ${how})`,
    (world) => [...world.calls].some(({ finish }) => finish),
    (world) => deeds.finish(world, index, how),
  )
);

const invalidations = index.map((index) => {
  const { possible, act } = on(({ items }) => items.slice(-8), index, deeds.invalidate);
  return new Step(`invalidate(${index})`, possible, act);
});

const listeners = fc.tuple(
  fc.constantFrom(...EVENTS),
  fc.constantFrom<deeds.Mischief>("throws", "leases", "tryLease", "invalidates", "aborts", "releases"),
).map(([event, what]) => new Step(`at ${event} ${what}`, always, (world) => deeds.listen(world, event, what)));

const traps = fc.tuple(
  fc.constantFrom<Hook>("create", "validate", "reset", "destroy", "destroy"),
  fc.constantFrom<Exclude<deeds.Mischief, "throws">>("leases", "tryLease", "invalidates", "aborts", "releases"),
).map(([hook, what]) => new Step(`in ${hook} ${what}`, always, (world) => deeds.trap(world, hook, what)));

const losses = index.map((index) => {
  const { possible, act } = on(({ held }) => held, index, deeds.letGo);
  return new Step(`letGo(${index})`, possible, act);
});

const limits = fc.record({ max: fc.integer({ min: 1, max: 5 }), min: fc.nat(5), reserved: fc.constantFrom(0, 0, 1, 2) })
  .map(({ max, min, reserved }) => ({
    maxConnections: max,
    minConnections: Math.min(min, max),
    reservedConnections: Math.min(reserved, max),
  }));

const resizes = limits.map((limits) =>
  new Step(`resize(${JSON.stringify(limits)})`, always, (world) => deeds.resize(world, limits))
);

const shutdowns = fc.constantFrom(0, 50, 300).map((ms) =>
  new Step(`shutdown(${ms})`, always, (world) => deeds.shutdown(world, ms))
);

/** Scripts of up to `maxCommands` steps. `replayPath` says which of them fast-check had left over when one failed. */
export function scripts(weights: Weights, maxCommands: number, replayPath?: string): fc.Arbitrary<Iterable<Step>> {
  const arbitraries: Record<keyof Weights, fc.Arbitrary<Step>> = {
    ask: asks,
    tryLease: tries,
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

/** What pools are made with. */
export const setups: fc.Arbitrary<Setup> = fc.record({
  limits,
  config: fc.record({
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
  }),
  validates: fc.boolean(),
  resets: fc.boolean(),
  seed: fc.nat(999),
  listeners: fc.constantFrom("none", "calm", "throwing"),
}).map(({ limits, config, ...rest }) => ({ config: { ...config, ...limits }, ...rest }));
