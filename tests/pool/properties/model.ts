/**
 * A pool, its factory and its clock, and a model of their state from outside.
 *
 * @module
 */
import {
  type Lane,
  type PoolConfig,
  type PoolEvents,
  type PoolLimits,
  type PoolStats,
  ResourcePool,
} from "../../../shared/pool/mod.ts";
import { Turns } from "./turns.ts";
import type { Tally } from "./invariants.ts";
import { Verdict } from "./invariants.ts";
import { Pauses } from "./pauses.ts";
import type { Probe } from "./probes.ts";
import type { Acquire, Call, Grant, Hook, Item, Room } from "./records.ts";
import { FactoryObserver } from "./factory_observer.ts";
import { SteppingClock } from "./stepping_clock.ts";
import { FakeFactory } from "./fake_factory.ts";

/** The setup of a run. */
export interface Setup {
  readonly config: PoolConfig;
  readonly validates: boolean;
  readonly resets: boolean;
  /** The seed of the pool's random numbers. */
  readonly seed: number;
  /** The listeners of the pool. Without them it skips some work; their actions must not matter. */
  readonly listeners: "none" | "calm" | "throwing";
}

/** The commands of a run and their effects, line by line. */
export class Transcript {
  readonly lines: string[] = [];

  /** Records a command. */
  did(text: string): void {
    this.lines.push(text);
  }

  /** Records an effect. */
  saw(text: string): void {
    this.lines.push(`    ${text}`);
  }
}

/** The pool of one run, and the model of its state from outside. */
export class Model {
  readonly setup: Setup;
  readonly clock = new SteppingClock();
  readonly pool: ResourcePool<Item>;
  readonly factory: FakeFactory;
  readonly verdict: Verdict;
  readonly transcript = new Transcript();
  readonly pauses: Pauses;
  limits: PoolLimits;

  readonly items: Item[] = [];
  /** Hooks that have not settled. */
  readonly calls = new Set<Call>();
  /** Acquires that have not settled, in order. */
  readonly waiting = new Set<Acquire>();
  /** Active leases. */
  readonly held = new Set<Grant>();
  /** Probes that were requested and are not settled, in order. */
  readonly waitingProbes = new Set<Probe>();
  /** Probes whose leases are active. */
  readonly heldProbes = new Set<Probe>();
  /** Resources that were created for probes. */
  readonly probeItems: Item[] = [];
  probeCount = 0;
  /** Leases that have ended. */
  readonly ended: Grant[] = [];
  /** Grants, `acquired` events, settlements and failures since the last check. */
  readonly news: {
    grants: Grant[];
    acquired: { readonly leaseId: number; readonly item: Item }[];
    settled: Acquire[];
    failed: Call[];
    /** Permanent failures, each with the number of other pending resources. */
    permanent: { error: unknown; seq: number; pending: number }[];
  } = {
    grants: [],
    acquired: [],
    settled: [],
    failed: [],
    permanent: [],
  };
  /** The depth of calls inside the pool. */
  nested = 0;
  /** The latest turn with an acquire. */
  askedIn = -1;
  /** The number of creations in this turn. */
  attempts = 0;
  /** The latest turn in which the script was inside the pool. */
  nestedIn = -1;
  /** The actions that the next call of a hook starts with. */
  readonly traps = new Map<Hook, (item: Item | undefined) => void>();
  /** Listeners that misbehave. */
  readonly subscriptions = new Set<Disposable>();
  readonly leased = { admin: 0, others: 0 };
  /** The leases that waiting flows were passed over for. */
  readonly turns = new Turns();

  /** A sequence number of what happens. */
  seq = 0;
  /** The number of checks. */
  turn = 0;
  /** Steps of the script that were run. */
  steps = 0;
  acquires = 0;
  /** Creations that failed. */
  failures = 0;
  /** The number of random numbers that the pool drew. */
  draws = 0;
  /** `totalAcquired` at the last check. */
  leasedBefore = 0;
  /** `true` if time has passed without a timer running. */
  frozen = false;
  /** The end of the latest freeze. */
  wokeAt = -Infinity;
  /** The time since which there may be more resources than `minConnections`. */
  surplusSince = 0;
  resizes = 0;
  aborts = 0;
  shutdown:
    | { readonly since: number; readonly deadline: number; readonly promise: Promise<void>; readonly isForced: boolean }
    | undefined;
  closed = false;
  /** The number of the factory's own timers. */
  timers = 0;
  readonly #drawn: number;

  constructor(setup: Setup, tally: Tally) {
    this.setup = setup;
    this.verdict = new Verdict(tally);
    this.pauses = new Pauses(setup.config.createRetryDelayMs);
    this.#drawn = (setup.seed % 1_000) / 1_000;
    const { maxConnections, minConnections, reservedConnections } = setup.config;
    this.limits = { maxConnections, minConnections, reservedConnections };
    const watch = new FactoryObserver(this);
    this.factory = new FakeFactory(watch, { validate: setup.validates, reset: setup.resets });
    // The constructor creates the minimum before a listener can be added: it is raised afterwards.
    const config = { ...setup.config, minConnections: 0 };
    this.pool = new ResourcePool<Item>(this.factory, config, {
      clock: this.clock,
      random: () => {
        this.draws++;
        return this.#drawn;
      },
    });
    if (setup.listeners !== "none") watch.listen(this.pool);
    if (setup.listeners === "throwing") watch.disturb(this.pool);
    this.pool.resize({ minConnections });
  }

  /** `true` if the pool has listeners. */
  get observed(): boolean {
    return this.setup.listeners !== "none";
  }

  get now(): number {
    return this.clock.now();
  }

  get stats(): PoolStats {
    return this.pool.getStats();
  }

  /** The number of further leases, by the model's count. */
  get room(): Room {
    return this.roomBeside(this.leased.admin, this.leased.others);
  }

  /** Returns the number of further leases beside those of `admin` and `others`. */
  roomBeside(admin: number, others: number): Room {
    const { maxConnections, reservedConnections } = this.limits;
    const separate = reservedConnections > 0;
    const room = maxConnections - admin - others;
    if (!separate) return { admin: room, others: room, separate };
    return { admin: reservedConnections - admin, others: maxConnections - reservedConnections - others, separate };
  }

  /** Resources that are neither closing nor closed. */
  get live(): Item[] {
    return this.items.filter((item) => item.live);
  }

  /** Returns the timeout of a hook, in ms. */
  timeoutOf({ hook }: Call): number {
    return this.setup.config[`${hook}TimeoutMs`];
  }

  /** Returns whether a `validate`, `reset` or `destroy` has timed out. */
  isOver(call: Call): boolean {
    return call.givenUp || this.clock.ran >= call.startedAt + this.timeoutOf(call);
  }

  /** Returns whether a `create` that timed out has freed its slot, after a second timeout. */
  isForgotten({ givenUp, abortedAt }: Call): boolean {
    return givenUp || (abortedAt !== undefined && this.clock.ran >= abortedAt + this.setup.config.destroyTimeoutMs);
  }

  /** Returns the calls of a hook that the pool waits for. */
  underWay(hook: Call["hook"]): Call[] {
    const settled = (call: Call) => hook === "create" ? this.isForgotten(call) : this.isOver(call);
    return [...this.calls].filter((call) => call.hook === hook && !call.forProbe && !settled(call));
  }

  /** The number of resources being created or validated for a waiter. One that is being reset may not reach a waiter. */
  get pending(): number {
    const creating = this.underWay("create").filter(({ abortedAt }) => abortedAt === undefined);
    return creating.length + this.underWay("validate").length;
  }

  /** Returns whether an idle resource must be validated before a lease. */
  isStale(item: Item): boolean {
    return this.setup.validates && this.now - item.checkedAt >= this.setup.config.validateAfterIdleMs;
  }

  /** The expiry of a resource created now. A run always draws the same number, so that it is known. */
  get endOfLife(): number {
    const { maxLifetimeMs, lifetimeJitter } = this.setup.config;
    return this.now + maxLifetimeMs * (1 - lifetimeJitter * this.#drawn);
  }

  /** Adds or removes a grant. */
  count(lane: Lane, change: 1 | -1): void {
    if (lane === "admin") this.leased.admin += change;
    else this.leased.others += change;
  }
}

/** The name of an event. */
export type AnyEvent = keyof PoolEvents;
