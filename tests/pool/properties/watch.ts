/**
 * The onlooker's eyes: looks at each thing the pool does to its factory at the
 * moment it does it.
 *
 * @module
 */
import { CreateTimeoutError, type PoolEvents, type ResourcePool } from "../../../shared/pool/mod.ts";
import { at } from "../../support/scripted_factory.ts";
import type { Call, Item } from "./records.ts";
import type { Observer } from "./workshop.ts";
import type { World } from "./world.ts";

/** A lifetime may be rounded to whole ms. */
const ROUNDING_MS = 1;

/** A pool that nobody listens to may take a resource for given back so much too early. */
const TICK_MS = 1_000;

/** More creations than this in one turn come of no script. */
const MANY = 1_000;

/** The events of a pool that a script can bring about more than once. */
export const EVENTS = Object.freeze(
  ["created", "destroyed", "acquired", "released", "waited", "timedOut", "leaked", "returned", "error"] as const,
);

/** Observes the factory of a world's pool. */
export class Watch implements Observer {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** Subscribes to what only the pool can tell. */
  listen(pool: ResourcePool<Item>): void {
    // Events come in the order in which things happened: the first one created is the first of the items.
    const items = new Map<number, Item>();
    const itemOf = (resourceId: number) => items.get(resourceId) ?? this.#unknown(resourceId);
    pool.on("created", ({ resourceId }) => void items.set(resourceId, at(this.#world.items, items.size)));
    pool.on("acquired", ({ leaseId, resourceId }) => {
      this.#world.news.told.push({ leaseId, item: itemOf(resourceId) });
    });
    pool.on("destroyed", (event) => this.#destroyed(event, itemOf(event.resourceId)));
  }

  /** Adds a listener to each event that always throws. */
  disturb(pool: ResourcePool<Item>): void {
    for (const event of [...EVENTS, "resized", "closed"] as const) {
      pool.on(event, () => {
        throw new Error(`a listener to ${event} throws`);
      });
    }
  }

  now(): number {
    return this.#world.now;
  }

  later(ms: number, action: () => void): void {
    this.#world.timers++;
    this.#world.clock.setTimer(() => {
      this.#world.timers--;
      action();
    }, ms);
  }

  died(item: Item): void {
    item.diedIn ??= this.#world.turn;
  }

  called(call: Call): void {
    const { calls, transcript, verdict, traps } = this.#world;
    transcript.saw(`${call.name}${call.item ? ` of ${call.item}` : ""}`);
    if (call.hook === "create") this.#creating();
    calls.add(call);
    const { item } = call;
    if (item && call.hook === "destroy") this.#destroying(item);
    else if (item) {
      verdict.hold(15, item.live, () => `${call.name} of ${item}, which was destroyed`);
      verdict.hold(3, item.holder === undefined, () => `${call.name} of ${item} while it is lent`);
      item.hook = call;
    }
    const trap = traps.get(call.hook);
    traps.delete(call.hook);
    trap?.();
  }

  ended(call: Call, error: Error | undefined): void {
    const world = this.#world;
    world.calls.delete(call);
    world.transcript.saw(error ? error.message : `${call.name} is done${call.item ? `: ${call.item}` : ""}`);
    const { item } = call;
    if (call.hook === "create") return item ? this.#made(call, item) : this.#failed(call, error);
    if (!item) return;
    if (call.hook === "destroy") {
      item.destroyed = !world.isOver(call);
      return;
    }
    item.hook = undefined;
    if (error) item.failed = true;
    else item.checkedAt = world.now;
  }

  /** The pool begins to make one: there must be a slot for it, and no pause. */
  #creating(): void {
    const world = this.#world;
    const isEndless = ++world.attempts > MANY;
    world.verdict.hold(13, !isEndless, () => `${MANY} attempts in one turn`);
    // Or the run would never end.
    if (isEndless) world.workshop.modes.create = "hangs";
    const { maxConnections, minConnections } = world.limits;
    const closing = world.underWay("destroy").filter(({ item }) => item?.slotless === false);
    const taken = world.live.length + world.underWay("create").length + closing.length;
    world.verdict.hold(1, taken < maxConnections, () => `a creation begins with ${taken} of ${maxConnections} taken`);
    const total = world.stats.totalConnections;
    world.verdict.hold(1, total <= maxConnections, () => `the total grew to ${total} of ${maxConnections}`);
    world.verdict.hold(22, world.shutdown === undefined, () => "a creation begins after the shutdown");
    const { retryFrom, refillFrom } = world.pauses;
    world.verdict.hold(
      13,
      world.now >= retryFrom,
      () => `an attempt ${retryFrom - world.now} ms before its backoff ends`,
    );
    if (world.stats.waitingForConnection === 0) {
      const early = refillFrom - world.now;
      world.verdict.hold(13, early <= 0, () => `the floor of ${minConnections} is filled ${early} ms too early`);
    }
  }

  #made(call: Call, item: Item): void {
    const world = this.#world;
    item.bornAt = item.checkedAt = item.usedAt = world.now;
    item.expiresAt = world.endOfLife;
    item.late = call.abortedAt !== undefined && world.shutdown === undefined;
    // A shutdown aborts what it still waits for: when it waits no longer cannot be seen.
    const unseen = call.abortedAt !== undefined && world.shutdown !== undefined && !call.givenUp;
    item.slotless = unseen ? "unknown" : world.isForgotten(call);
    world.items.push(item);
    if (item.late || world.shutdown) return;
    if (item.invalid) this.#count(false, call);
    else world.pauses.succeeded();
  }

  #failed(call: Call, error: unknown): void {
    const world = this.#world;
    if (call.abortedAt !== undefined || world.shutdown) return;
    const permanent = world.workshop.errors.get(error) === "permanent";
    this.#count(permanent, call);
    if (permanent) world.news.permanent.push({ error, seq: ++world.seq, pending: world.pending });
  }

  /** A creation is given up: it has failed, whatever becomes of it. */
  givenUp(call: Call, reason: unknown): void {
    call.abortedAt = this.#world.now;
    if (reason instanceof CreateTimeoutError) this.#count(false, call);
  }

  #count(permanent: boolean, call: Call): void {
    this.#world.failures++;
    this.#world.news.failed.push(call);
    this.#world.pauses.failed(permanent, call.startedAt, this.#world.now);
  }

  #destroying(item: Item): void {
    const world = this.#world;
    const { verdict, now } = world;
    const { idleTimeoutMs, maxUses } = world.setup.config;
    const before = world.live.length;
    item.destroys++;
    item.closedAt = now;
    verdict.hold(15, item.destroys === 1, () => `${item} is destroyed ${item.destroys} times`);
    const isHeld = item.holder !== undefined && (item.holder.lease?.active ?? !world.shutdown);
    verdict.hold(3, !isHeld, () => `${item} is destroyed while it is lent`);
    const done = item.hook === undefined || world.isOver(item.hook) || world.shutdown !== undefined;
    verdict.hold(3, done, () => `${item} is destroyed during ${item.hook?.name}`);

    const worn = now >= item.expiresAt - ROUNDING_MS || item.uses >= maxUses;
    const unusable = item.invalid || item.broken || item.failed || item.late || item.hook !== undefined;
    if (worn || unusable || world.shutdown) return;
    const size = before + world.stats.creatingConnections;
    if (size > world.limits.maxConnections) return;
    const idleMs = now - item.usedAt + (world.heard ? 0 : TICK_MS);
    verdict.hold(19, size > world.limits.minConnections, () => `${item} is evicted from a floor of ${size}`);
    verdict.hold(19, idleMs >= idleTimeoutMs, () => `${item} is evicted after ${idleMs} ms`);
  }

  #unknown(resourceId: number): never {
    throw new Error(`no event has told of resource ${resourceId}`);
  }

  #destroyed({ reason }: PoolEvents["destroyed"], item: Item): void {
    if (reason !== "lifetime") return;
    const { maxLifetimeMs, lifetimeJitter } = this.#world.setup.config;
    const least = maxLifetimeMs * (1 - lifetimeJitter) - ROUNDING_MS;
    const lived = item.closedAt - item.bornAt;
    const early = item.expiresAt - ROUNDING_MS - item.closedAt;
    const { verdict } = this.#world;
    verdict.hold(20, lived >= least, () => `${item} lived ${lived} ms, less than ${least}`);
    verdict.hold(20, early <= 0, () => `${item} ended ${early} ms early`);
  }
}
