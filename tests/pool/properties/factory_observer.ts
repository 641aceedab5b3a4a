/**
 * The onlooker's eyes: looks at each thing the pool does to its factory at the
 * moment it does it.
 *
 * @module
 */
import { CreateTimeoutError, type PoolEvents, type ResourcePool } from "../../../shared/pool/mod.ts";
import { at } from "../../support/scripted_factory.ts";
import type { Call, Item } from "./records.ts";
import { isProbeSlotHeld } from "./probes.ts";
import { liveValueIn } from "./tampering.ts";
import type { Observer } from "./fake_factory.ts";
import type { Model } from "./model.ts";

/** A lifetime may be rounded to whole ms. */
const ROUNDING_MS = 1;

/** The tolerance of release times in a pool without listeners, in ms. */
const TICK_MS = 1_000;

/** A number of creations in one turn that no script causes. */
const MANY = 1_000;

/** The events of a pool that a script can cause more than once. */
export const EVENTS = Object.freeze(
  ["created", "destroyed", "acquired", "released", "waited", "timedOut", "leaked", "returned", "error"] as const,
);

/** Observes the factory of a model's pool. */
export class FactoryObserver implements Observer {
  readonly #model: Model;

  constructor(model: Model) {
    this.#model = model;
  }

  /** Subscribes to the events, which have data that only the pool knows. */
  listen(pool: ResourcePool<Item>): void {
    // Events are emitted in order: the first `created` belongs to the first item.
    const items = new Map<number, Item>();
    const itemOf = (resourceId: number) => items.get(resourceId) ?? this.#unknown(resourceId);
    pool.on("created", ({ resourceId }) => void items.set(resourceId, at(this.#model.items, items.size)));
    pool.on("acquired", ({ leaseId, resourceId }) => {
      this.#model.news.acquired.push({ leaseId, item: itemOf(resourceId) });
    });
    for (const name of [...EVENTS, "resized", "closed"] as const) {
      pool.on(name, (event) => {
        const live = liveValueIn(event);
        this.#model.verdict.hold(16, live === undefined, () => `${live} of ${name} is not plain data`);
      });
    }
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
    return this.#model.now;
  }

  later(ms: number, action: () => void): void {
    this.#model.timers++;
    this.#model.clock.setTimer(() => {
      this.#model.timers--;
      action();
    }, ms);
  }

  died(item: Item): void {
    item.diedIn ??= this.#model.turn;
  }

  called(call: Call): void {
    const { calls, transcript, verdict, traps } = this.#model;
    transcript.saw(`${call.name}${call.item ? ` of ${call.item}` : ""}`);
    if (call.hook === "create") {
      if (call.forProbe) this.#creatingProbe();
      else this.#creating();
    }
    calls.add(call);
    const { item } = call;
    if (item && call.hook === "destroy") {
      if (item.forProbe) this.#destroyingProbe(item);
      else this.#destroying(item);
    } else if (item) {
      verdict.hold(15, item.live, () => `${call.name} of ${item}, which was destroyed`);
      verdict.hold(3, item.holder === undefined, () => `${call.name} of ${item} while it is leased`);
      item.hook = call;
    }
    const trap = traps.get(call.hook);
    traps.delete(call.hook);
    trap?.(call.hook === "destroy" ? undefined : item);
  }

  ended(call: Call, error: Error | undefined): void {
    const model = this.#model;
    model.calls.delete(call);
    model.transcript.saw(error ? error.message : `${call.name} is done${call.item ? `: ${call.item}` : ""}`);
    const { item } = call;
    if (call.hook === "create" && call.forProbe) return void (item && this.#createdForProbe(call, item));
    if (call.hook === "create") return item ? this.#created(call, item) : this.#failed(call, error);
    if (!item) return;
    if (call.hook === "destroy") {
      item.destroyed = !model.isOver(call);
      return;
    }
    item.hook = undefined;
    if (error) item.failed = true;
    else item.checkedAt = model.now;
  }

  /** Asserts that a creation starts with a free slot and outside of a pause. */
  #creating(): void {
    const model = this.#model;
    const isEndless = ++model.attempts > MANY;
    model.verdict.hold(13, !isEndless, () => `${MANY} attempts in one turn`);
    // Or the run would never end.
    if (isEndless) model.factory.modes.create = "hangs";
    const { maxConnections, minConnections } = model.limits;
    const closing = model.underWay("destroy").filter(({ item }) => item?.slotless === false);
    const taken = model.live.length + model.underWay("create").length + closing.length;
    model.verdict.hold(1, taken < maxConnections, () => `a creation begins with ${taken} of ${maxConnections} taken`);
    const total = model.stats.totalConnections;
    model.verdict.hold(1, total <= maxConnections, () => `the total grew to ${total} of ${maxConnections}`);
    model.verdict.hold(22, model.shutdown === undefined, () => "a creation begins after the shutdown");
    const { retryFrom, refillFrom } = model.pauses;
    model.verdict.hold(
      13,
      model.now >= retryFrom,
      () => `an attempt ${retryFrom - model.now} ms before its backoff ends`,
    );
    if (model.stats.waitingForConnection === 0) {
      const early = refillFrom - model.now;
      model.verdict.hold(13, early <= 0, () => `the floor of ${minConnections} is filled ${early} ms too early`);
    }
  }

  /** Asserts that a creation for a probe starts with a free probe slot and a waiting probe. */
  #creatingProbe(): void {
    const model = this.#model;
    if (++model.attempts > MANY) model.factory.modes.create = "hangs";
    model.verdict.hold(27, !isProbeSlotHeld(model), () => "a creation begins while the probe slot is held");
    model.verdict.hold(27, model.waitingProbes.size > 0, () => "a creation begins though no probe waits");
    model.verdict.hold(22, model.shutdown === undefined, () => "a creation begins after the shutdown");
    const { totalConnections: total, maxConnections: max } = model.stats;
    model.verdict.hold(1, total <= max || model.resizes > 0, () => `${total} of ${max} slots are held beside a probe`);
  }

  #createdForProbe(call: Call, item: Item): void {
    const model = this.#model;
    item.bornAt = item.checkedAt = item.usedAt = model.now;
    item.slotless = model.isForgotten(call);
    model.probeItems.push(item);
  }

  #destroyingProbe(item: Item): void {
    const { verdict, heldProbes } = this.#model;
    item.destroys++;
    verdict.hold(15, item.destroys === 1, () => `${item} is destroyed ${item.destroys} times`);
    const isHeld = [...heldProbes].some(({ lease }) => lease?.active && lease.resource === item);
    verdict.hold(3, !isHeld, () => `${item} is destroyed while a probe holds it`);
  }

  #created(call: Call, item: Item): void {
    const model = this.#model;
    item.bornAt = item.checkedAt = item.usedAt = model.now;
    item.expiresAt = model.endOfLife;
    item.late = call.abortedAt !== undefined && model.shutdown === undefined;
    // A shutdown aborts the creations it waits for: the end of that wait is not visible.
    const unseen = call.abortedAt !== undefined && model.shutdown !== undefined && !call.givenUp;
    item.slotless = unseen ? "unknown" : model.isForgotten(call);
    model.items.push(item);
    if (item.late || model.shutdown) return;
    if (item.invalid) this.#count(false, call);
    else model.pauses.succeeded();
  }

  #failed(call: Call, error: unknown): void {
    const model = this.#model;
    if (call.abortedAt !== undefined || model.shutdown) return;
    const permanent = model.factory.errors.get(error) === "permanent";
    this.#count(permanent, call);
    if (permanent) model.news.permanent.push({ error, seq: ++model.seq, pending: model.pending });
  }

  /** Counts a creation that timed out as failed, whatever its result. */
  givenUp(call: Call, reason: unknown): void {
    call.abortedAt = this.#model.now;
    if (reason instanceof CreateTimeoutError && !call.forProbe) this.#count(false, call);
  }

  #count(permanent: boolean, call: Call): void {
    this.#model.failures++;
    this.#model.news.failed.push(call);
    this.#model.pauses.failed(permanent, call.startedAt, this.#model.now);
  }

  #destroying(item: Item): void {
    const model = this.#model;
    const { verdict, now } = model;
    const { idleTimeoutMs, maxUses } = model.setup.config;
    const before = model.live.length;
    item.destroys++;
    item.closedAt = now;
    verdict.hold(15, item.destroys === 1, () => `${item} is destroyed ${item.destroys} times`);
    const isHeld = item.holder !== undefined && (item.holder.lease?.active ?? !model.shutdown);
    verdict.hold(3, !isHeld, () => `${item} is destroyed while it is leased`);
    const done = item.hook === undefined || model.isOver(item.hook) || model.shutdown !== undefined;
    verdict.hold(3, done, () => `${item} is destroyed during ${item.hook?.name}`);

    const worn = now >= item.expiresAt - ROUNDING_MS || item.uses >= maxUses;
    const unusable = item.invalid || item.broken || item.failed || item.late || item.hook !== undefined;
    if (worn || unusable || model.shutdown) return;
    const size = before + model.stats.creatingConnections;
    if (size > model.limits.maxConnections) return;
    const idleMs = now - item.usedAt + (model.observed ? 0 : TICK_MS);
    verdict.hold(19, size > model.limits.minConnections, () => `${item} is evicted from a floor of ${size}`);
    verdict.hold(19, idleMs >= idleTimeoutMs, () => `${item} is evicted after ${idleMs} ms`);
  }

  #unknown(resourceId: number): never {
    throw new Error(`no created event for resource ${resourceId}`);
  }

  #destroyed({ reason }: PoolEvents["destroyed"], item: Item): void {
    if (reason !== "lifetime") return;
    const { maxLifetimeMs, lifetimeJitter } = this.#model.setup.config;
    const least = maxLifetimeMs * (1 - lifetimeJitter) - ROUNDING_MS;
    const lived = item.closedAt - item.bornAt;
    const early = item.expiresAt - ROUNDING_MS - item.closedAt;
    const { verdict } = this.#model;
    verdict.hold(20, lived >= least, () => `${item} lived ${lived} ms, less than ${least}`);
    verdict.hold(20, early <= 0, () => `${item} ended ${early} ms early`);
  }
}
