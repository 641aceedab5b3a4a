/**
 * The closing of resources.
 *
 * @module
 */
import { HookTimeoutError } from "./errors.ts";
import type { DestroyReason, EventHub, PoolEvents } from "./events.ts";
import type { HookRunner } from "./hook_run.ts";
import type { ResourceFactory } from "./resource_factory.ts";

/** Closes resources, each once, and counts what became of them. */
export class Closer<T extends object> {
  readonly #factory: ResourceFactory<T>;
  readonly #hooks: HookRunner;
  readonly #timeoutMs: number;
  readonly #events: EventHub<PoolEvents>;

  /** How many were closed, whether or not `destroy` failed. */
  destroyed = 0;
  /** How many were given up because their `destroy` hung. */
  abandoned = 0;

  /** @param timeoutMs How long a `destroy` is waited for. */
  constructor(
    factory: ResourceFactory<T>,
    hooks: HookRunner,
    timeoutMs: number,
    events: EventHub<PoolEvents>,
  ) {
    this.#factory = factory;
    this.#hooks = hooks;
    this.#timeoutMs = timeoutMs;
    this.#events = events;
  }

  /** Closes a resource; `done` is called when it has gone, or is waited for no longer. */
  close(resource: T, resourceId: number, reason: DestroyReason, done: () => void): void {
    const timeoutMs = this.#timeoutMs;
    const call = () => this.#factory.destroy(resource);
    this.#hooks.run(timeoutMs, () => new HookTimeoutError("destroy", timeoutMs), call, (outcome) => {
      const abandoned = !outcome.ok && outcome.gaveUp;
      if (abandoned) this.abandoned++;
      else this.destroyed++;
      if (!outcome.ok) this.#events.emit("error", { error: outcome.error, source: "destroy" });
      this.#events.emit("destroyed", { resourceId, reason, abandoned });
      done();
    });
  }
}
