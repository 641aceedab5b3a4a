/**
 * A pool, everything around it, and what an onlooker knows of both.
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
import type { Tally } from "./invariants.ts";
import { Verdict } from "./invariants.ts";
import { Pauses } from "./pauses.ts";
import type { Probe } from "./probes.ts";
import type { Acquire, Call, Grant, Hook, Item, Room } from "./records.ts";
import { FactoryObserver } from "./factory_observer.ts";
import { SteppingClock } from "./stepping_clock.ts";
import { FakeFactory } from "./fake_factory.ts";

/** What a run is made with. */
export interface Setup {
  readonly config: PoolConfig;
  readonly validates: boolean;
  readonly resets: boolean;
  /** From which the pool's random numbers follow. */
  readonly seed: number;
  /** Who listens to the pool. To one that nobody listens to some work is spared; it must not matter what listeners do. */
  readonly listeners: "none" | "calm" | "throwing";
}

/** What was done and what came of it, line by line. */
export class Transcript {
  readonly lines: string[] = [];

  /** Something was done to the pool. */
  did(text: string): void {
    this.lines.push(text);
  }

  /** Something came of it. */
  saw(text: string): void {
    this.lines.push(`    ${text}`);
  }
}

/** The pool of one run, and what is known of it from outside. */
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
  /** Those that were asked for and are not settled, in order. */
  readonly waiting = new Set<Acquire>();
  /** Leases that last. */
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
  /** Grants, and what the pool says it has leased, settlements and failures since the last look. */
  readonly news: {
    grants: Grant[];
    told: { readonly leaseId: number; readonly item: Item }[];
    settled: Acquire[];
    failed: Call[];
    /** Failures for good, and how many other resources were on their way then. */
    permanent: { error: unknown; seq: number; pending: number }[];
  } = {
    grants: [],
    told: [],
    settled: [],
    failed: [],
    permanent: [],
  };
  /** How deep inside the pool the script is. */
  nested = 0;
  /** The latest turn in which somebody asked for a resource. */
  askedIn = -1;
  /** How often the factory was asked in this turn. */
  attempts = 0;
  /** The latest turn in which the script was inside the pool. */
  nestedIn = -1;
  /** What the next call of a hook does before anything else. */
  readonly traps = new Map<Hook, (item: Item | undefined) => void>();
  /** Listeners that misbehave. */
  readonly subscriptions = new Set<Disposable>();
  readonly leased = { admin: 0, others: 0 };

  /** Numbers what happens, in the order in which it does. */
  seq = 0;
  /** Counts the times the onlooker looked. */
  turn = 0;
  /** Steps of the script that were run. */
  steps = 0;
  acquires = 0;
  /** Creations that failed. */
  failures = 0;
  /** How often the pool drew a number. */
  draws = 0;
  /** How many the pool had leased at the last look. */
  lentBefore = 0;
  /** Time has passed and no timer has run. */
  frozen = false;
  /** When the latest freeze ended. */
  wokeAt = -Infinity;
  /** Since when there have been no more resources than the floor asks for. */
  surplusSince = 0;
  resizes = 0;
  aborts = 0;
  shutdown:
    | { readonly since: number; readonly deadline: number; readonly promise: Promise<void>; readonly isCut: boolean }
    | undefined;
  closed = false;
  /** Timers of the factory, which are none of the pool's. */
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
    // The floor is made inside the constructor, before anybody can listen: it is raised afterwards.
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

  /** Whether anybody listens to the pool. */
  get observed(): boolean {
    return this.setup.listeners !== "none";
  }

  get now(): number {
    return this.clock.now();
  }

  get stats(): PoolStats {
    return this.pool.getStats();
  }

  /** How many more may be leased, going by what was leased and given back. */
  get room(): Room {
    return this.roomBeside(this.leased.admin, this.leased.others);
  }

  /** How many more may be leased beside so many. */
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

  /** How long the pool waits for a hook, in ms. */
  timeoutOf({ hook }: Call): number {
    return this.setup.config[`${hook}TimeoutMs`];
  }

  /** Whether the pool has given a `validate`, `reset` or `destroy` up: its timer has run. */
  isOver(call: Call): boolean {
    return call.givenUp || this.clock.ran >= call.startedAt + this.timeoutOf(call);
  }

  /** Whether a `create` that was given up keeps its slot no longer: the timer of its second wait has run. */
  isForgotten({ givenUp, abortedAt }: Call): boolean {
    return givenUp || (abortedAt !== undefined && this.clock.ran >= abortedAt + this.setup.config.destroyTimeoutMs);
  }

  /** Hooks of one kind that the pool waits for. */
  underWay(hook: Call["hook"]): Call[] {
    const over = (call: Call) => hook === "create" ? this.isForgotten(call) : this.isOver(call);
    return [...this.calls].filter((call) => call.hook === hook && !call.forProbe && !over(call));
  }

  /** Resources on their way to somebody who waits: being made or validated. One that is reset may never come. */
  get pending(): number {
    const creating = this.underWay("create").filter(({ abortedAt }) => abortedAt === undefined);
    return creating.length + this.underWay("validate").length;
  }

  /** Whether a free resource has to be validated before it is leased. */
  isStale(item: Item): boolean {
    return this.setup.validates && this.now - item.checkedAt >= this.setup.config.validateAfterIdleMs;
  }

  /** When a resource made now ends. A run draws the same number all the time, so that it is known. */
  get endOfLife(): number {
    const { maxLifetimeMs, lifetimeJitter } = this.setup.config;
    return this.now + maxLifetimeMs * (1 - lifetimeJitter * this.#drawn);
  }

  /** Counts a grant in or out. */
  count(lane: Lane, change: 1 | -1): void {
    if (lane === "admin") this.leased.admin += change;
    else this.leased.others += change;
  }
}

/** A listener that can be put on any event. */
export type AnyEvent = keyof PoolEvents;
