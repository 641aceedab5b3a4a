/**
 * The calls of a factory's hooks, each bounded in time.
 *
 * @module
 */
import { type Clock, isPromiseLike, type Timer } from "../resilience/mod.ts";
import type { PoolConfig } from "./config.ts";
import { PoolClosedError } from "./errors.ts";
import { CreateTimeoutError, HookTimeoutError } from "./resource_errors.ts";
import type { ErrorSource, PoolEventHub } from "./events.ts";
import type { PoolParts } from "./pool_host.ts";
import type { ResourceFactory } from "./resource_factory.ts";
import type { Slot } from "./slot.ts";

/** The hooks of a {@linkcode ResourceFactory}. */
export type Hook = "create" | "validate" | "reset" | "destroy";

/** The result of a hook. `abandoned` says that it did not settle in time, or before the pool closed. */
export type Outcome<R> =
  | { readonly ok: true; readonly value: R }
  | { readonly ok: false; readonly error: unknown; readonly abandoned: boolean };

/** A hook that has not settled. It reports one outcome; whatever follows is ignored. */
class PendingHook<R> {
  timer: Timer | undefined = undefined;
  #done: ((outcome: Outcome<R>) => void) | undefined;

  constructor(done: (outcome: Outcome<R>) => void) {
    this.#done = done;
  }

  get settled(): boolean {
    return this.#done === undefined;
  }

  settle(outcome: Outcome<R>): void {
    const done = this.#done;
    this.#done = undefined;
    this.timer?.cancel();
    done?.(outcome);
  }
}

/** Calls the hooks of one factory. */
export class ResourceHooks<T extends object> {
  readonly #factory: ResourceFactory<T>;
  readonly #config: Readonly<PoolConfig>;
  readonly #clock: Clock;
  readonly #events: PoolEventHub;
  readonly #pending = new Set<PendingHook<never>>();

  constructor({ factory, config, clock, events }: PoolParts<T>) {
    this.#factory = factory;
    this.#config = config;
    this.#clock = clock;
    this.#events = events;
  }

  /**
   * Calls a hook and reports its outcome exactly once: before this returns,
   * without a promise or a timer, where the hook returns its result directly;
   * within `...TimeoutMs` otherwise.
   */
  run<R>(hook: Hook, call: () => R | PromiseLike<R>, done: (outcome: Outcome<R>) => void): void {
    let outcome: Outcome<R>;
    try {
      const result = call();
      if (isPromiseLike(result)) return this.#follow(hook, result, done);
      outcome = { ok: true, value: result };
    } catch (error) {
      outcome = { ok: false, error, abandoned: false };
    }
    done(outcome);
  }

  /** Validates a resource; `done` gets whether it passed. */
  validate(slot: Slot<T>, done: (usable: boolean) => void): void {
    slot.beginHook();
    this.run("validate", () => this.#factory.validate?.(slot.resource), (outcome) => {
      slot.endHook();
      this.#report(outcome, "validate");
      done(outcome.ok && outcome.value !== false);
    });
  }

  /**
   * Resets a resource. Returns whether that succeeded where `reset` has nothing
   * to wait for, and `undefined` otherwise: `done` gets it then.
   */
  reset(slot: Slot<T>, done: (slot: Slot<T>, usable: boolean) => void): boolean | undefined {
    slot.beginHook();
    try {
      const result: unknown = this.#factory.reset?.(slot.resource);
      if (result !== undefined && isPromiseLike(result)) {
        this.#follow("reset", result, (outcome) => done(slot, this.#endReset(slot, outcome)));
        return undefined;
      }
    } catch (error) {
      return this.#endReset(slot, { ok: false, error, abandoned: false });
    }
    slot.endHook();
    return true;
  }

  /** Destroys a resource. `done` is called when it has closed, or is abandoned because `destroy` hangs. */
  destroy(resource: T, done: (abandoned: boolean) => void): void {
    this.run("destroy", () => this.#factory.destroy(resource), (outcome) => {
      this.#report(outcome, "destroy");
      done(!outcome.ok && outcome.abandoned);
    });
  }

  /** Waits for no hook any longer, nor for those that begin because of it. */
  abandonAll(error: unknown): void {
    for (const pending of this.#pending) pending.settle({ ok: false, error, abandoned: true });
  }

  #endReset(slot: Slot<T>, outcome: Outcome<unknown>): boolean {
    slot.endHook();
    this.#report(outcome, "reset");
    return outcome.ok;
  }

  /** Reports a failure. That a shutdown waits no longer is not one: it was asked to. */
  #report(outcome: Outcome<unknown>, source: ErrorSource): void {
    if (outcome.ok || (outcome.abandoned && outcome.error instanceof PoolClosedError)) return;
    this.#events.emit("error", { error: outcome.error, source });
  }

  #follow<R>(hook: Hook, promise: PromiseLike<R>, done: (outcome: Outcome<R>) => void): void {
    const pending = new PendingHook<R>((outcome) => {
      this.#pending.delete(pending);
      done(outcome);
    });
    try {
      promise.then(
        (value) => pending.settle({ ok: true, value }),
        (error) => pending.settle({ ok: false, error, abandoned: false }),
      );
    } catch (error) {
      pending.settle({ ok: false, error, abandoned: false });
    }
    if (pending.settled) return;
    this.#pending.add(pending);
    const timeoutMs = this.#config[`${hook}TimeoutMs`];
    pending.timer = this.#clock.setTimer(() => {
      const error = hook === "create" ? new CreateTimeoutError(timeoutMs) : new HookTimeoutError(hook, timeoutMs);
      pending.settle({ ok: false, error, abandoned: true });
    }, timeoutMs);
  }
}
