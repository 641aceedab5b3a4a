/**
 * The creation of resources: the calls of `create` under way, the pauses after
 * a failure, and the resources that come too late.
 *
 * @module
 */
import { classifyFailure, isPromiseLike } from "../resilience/mod.ts";
import { CreationBackoff, type CreationFailure } from "./creation_backoff.ts";
import { PoolClosedError } from "./errors.ts";
import { NoResourceError, ResourceInvalidError } from "./resource_errors.ts";
import type { PoolContext, PoolHost } from "./pool_host.ts";
import type { ResourceHooks } from "./resource_hooks.ts";
import type { ResourceFactory } from "./resource_factory.ts";
import type { ResourceStore } from "./resource_store.ts";
import { Slot } from "./slot.ts";

/** Handles the end of creations. Each ends in one of `created`, `failed`, and `overdue` with a later `overdueEnded`. */
export interface CreationHandler<T extends object> {
  /** The creation has a resource. */
  created(creation: Creation<T>, resource: T): void;
  /** The creation failed. */
  failed(creation: Creation<T>, error: unknown): void;
  /** The creation did not settle within `createTimeoutMs`. It keeps its slot: it may still hold something remotely. */
  overdue(creation: Creation<T>, error: unknown): void;
  /** An overdue creation has settled, with a resource that is too late or with none, or is abandoned. */
  overdueEnded(creation: Creation<T>, late: T | undefined): void;
  /** An abandoned creation has yielded a resource after all. Its slot is no longer held. */
  arrivedAfterAbandon(creation: Creation<T>, resource: T): void;
}

/** Returns whether a factory, which may be untyped, yielded an object. */
function isResource(value: unknown): boolean {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

/** One call of `create`. */
export class Creation<T extends object> {
  /** The instant at which it began, in ms of the pool's clock. */
  readonly startedAt: number;
  /** Set once the resource has reported its death. */
  invalid: { readonly reason: unknown } | undefined = undefined;
  /** Called when the resource reports its death later. */
  onInvalid: ((reason: unknown) => void) | undefined = undefined;

  readonly #controller = new AbortController();
  #result: T | PromiseLike<T> | undefined = undefined;

  constructor(startedAt: number) {
    this.startedAt = startedAt;
  }

  /** Calls `create`. A factory that has nothing to wait for ends in `handler` before this returns. */
  run(factory: ResourceFactory<T>, hooks: ResourceHooks<T>, handler: CreationHandler<T>): void {
    hooks.run("create", () => this.#create(factory), (outcome) => {
      if (outcome.ok) {
        if (isResource(outcome.value)) handler.created(this, outcome.value);
        else handler.failed(this, new NoResourceError(outcome.value));
        return;
      }
      const late = this.#result;
      if (!outcome.abandoned || !isPromiseLike(late)) return handler.failed(this, outcome.error);
      this.abort(outcome.error);
      this.#awaitLate(late, hooks, handler);
      handler.overdue(this, outcome.error);
    });
  }

  /** Waits for the end of an overdue call of `create`, as long as for a `destroy`. */
  #awaitLate(late: PromiseLike<T>, hooks: ResourceHooks<T>, handler: CreationHandler<T>): void {
    hooks.run("destroy", () => late, (end) => {
      if (!end.ok && end.abandoned) {
        late.then((resource) => isResource(resource) && handler.arrivedAfterAbandon(this, resource), () => {});
      }
      handler.overdueEnded(this, end.ok && isResource(end.value) ? end.value : undefined);
    });
  }

  /** Aborts the signal that `create` got. */
  abort(reason: unknown): void {
    this.#controller.abort(reason);
  }

  #create(factory: ResourceFactory<T>): T | PromiseLike<T> {
    const invalidate = (reason?: unknown) => {
      if (this.invalid) return;
      this.invalid = { reason };
      this.onInvalid?.(reason);
    };
    const result = factory.create({ signal: this.#controller.signal, invalidate });
    // An overdue one is awaited twice, and a lazy thenable must not begin its work twice.
    return this.#result = isPromiseLike(result) ? Promise.resolve(result) : result;
  }
}

/** Creates the resources of a {@linkcode ResourceStore}. */
export class Creator<T extends object> implements CreationHandler<T> {
  readonly #context: PoolContext<T>;
  readonly #host: PoolHost<T>;
  readonly #store: ResourceStore<T>;
  readonly #backoff: CreationBackoff;
  readonly #running = new Set<Creation<T>>();
  #overdue = 0;
  #stopped = false;
  #latestId = 0;

  /** The number of resources created. */
  count = 0;

  constructor(context: PoolContext<T>, host: PoolHost<T>, store: ResourceStore<T>) {
    this.#context = context;
    this.#host = host;
    this.#store = store;
    const { clock, random, config } = context;
    this.#backoff = new CreationBackoff(clock, config.createRetryDelayMs, random, () => host.schedule());
  }

  /** The number of creations under way, the overdue ones included. */
  get size(): number {
    return this.#running.size;
  }

  /** The number of creations under way that may still serve a waiter. */
  get pending(): number {
    return this.#running.size - this.#overdue;
  }

  /** The number of the latest resource. */
  get latestId(): number {
    return this.#latestId;
  }

  /** The latest failure that no success has followed. */
  get lastFailure(): CreationFailure | undefined {
    return this.#backoff.last;
  }

  /** Returns whether a resource may be created for a waiter. */
  mayServe(now: number): boolean {
    return !this.#stopped && now >= this.#backoff.retryAt;
  }

  /** Returns whether a resource may be created for the floor. */
  mayRefill(now: number): boolean {
    return !this.#stopped && now >= this.#backoff.refillAt;
  }

  /** Begins to create a resource. */
  begin(now: number): void {
    const creation = new Creation<T>(now);
    this.#running.add(creation);
    creation.run(this.#context.factory, this.#context.hooks, this);
  }

  /** Creates nothing any more, and aborts what is under way. */
  stop(): void {
    this.#stopped = true;
    this.#backoff.stop();
    for (const creation of [...this.#running]) creation.abort(new PoolClosedError());
  }

  created(creation: Creation<T>, resource: T): void {
    const slot = this.#createSlot(creation, resource);
    this.#running.delete(creation);
    if (creation.invalid) {
      const error = new ResourceInvalidError(creation.invalid.reason);
      // The pause begins first: closing the resource makes room for another creation at once.
      this.#pause(creation, error, "transient");
      this.#store.close(slot, "invalid");
      return this.#host.schedule();
    }
    creation.onInvalid = (reason) => this.#store.invalidate(slot, reason);
    const paused = this.#backoff.last !== undefined;
    this.#backoff.succeeded();
    this.#store.add(slot);
    // Others may have waited for the pause that has just ended.
    if (paused) this.#host.schedule();
  }

  failed(creation: Creation<T>, error: unknown): void {
    this.#running.delete(creation);
    const kind = classifyFailure(error) === "permanent" ? "permanent" : "transient";
    this.#pause(creation, error, kind);
    if (kind === "permanent" && !this.#stopped) this.#host.onPermanentFailure(error);
    else this.#failedForNow(error);
  }

  overdue(creation: Creation<T>, error: unknown): void {
    this.#overdue++;
    this.#pause(creation, error, "transient");
    this.#failedForNow(error);
  }

  overdueEnded(creation: Creation<T>, late: T | undefined): void {
    this.#overdue--;
    this.#running.delete(creation);
    if (late) this.#store.close(this.#createSlot(creation, late), "late");
    this.#host.schedule();
  }

  arrivedAfterAbandon(creation: Creation<T>, resource: T): void {
    const now = this.#context.clock.now();
    const id = this.#emitCreated(creation, now);
    // Counted as created and as destroyed when it has closed.
    this.#store.destroyOrphan(resource, id, now, () => this.count++);
  }

  #createSlot(creation: Creation<T>, resource: T): Slot<T> {
    const { clock, random, config: { maxLifetimeMs, lifetimeJitter } } = this.#context;
    const now = clock.now();
    const id = this.#emitCreated(creation, now);
    this.count++;
    const expiresAt = now + Math.ceil(maxLifetimeMs * (1 - lifetimeJitter * random()));
    return new Slot(resource, id, this.#host, now, expiresAt);
  }

  #emitCreated({ startedAt }: Creation<T>, now: number): number {
    const resourceId = ++this.#latestId;
    this.#context.events.emit("created", { resourceId, durationMs: now - startedAt });
    return resourceId;
  }

  /** Rejects waiters if creating has failed for `createRetryMs` in a row, or tries again later. */
  #failedForNow(error: unknown): void {
    const { clock, config: { createRetryMs } } = this.#context;
    if (!this.#stopped && clock.now() - this.#backoff.failingSince >= createRetryMs) {
      this.#host.onLastingFailure(error);
    }
    this.#host.schedule();
  }

  /** Begins the pause after a failure. */
  #pause({ startedAt }: Creation<T>, error: unknown, kind: "transient" | "permanent"): void {
    if (this.#stopped) return;
    this.#backoff.failed({ error, kind, startedAt }, this.#context.clock.now());
    this.#context.events.emit("error", { error, source: "create" });
  }
}
