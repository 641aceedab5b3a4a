/**
 * The hooks that decide whether a resource can be lent: `validate` and `reset`.
 *
 * @module
 */
import type { PoolConfig } from "./config.ts";
import { HookTimeoutError } from "./errors.ts";
import type { EventHub, PoolEvents } from "./events.ts";
import type { HookRunner } from "./hook_run.ts";
import type { ResourceFactory } from "./resource_factory.ts";
import { READY, RESETTING, type Slot, VALIDATING } from "./slot.ts";

/** Has resources checked and cleaned. */
export class Preparer<T extends object> {
  readonly #factory: ResourceFactory<T>;
  readonly #hooks: HookRunner;
  readonly #config: Readonly<PoolConfig>;
  readonly #events: EventHub<PoolEvents>;
  /** Told of each resource when its hook has ended, and whether it may be lent. */
  readonly #done: (slot: Slot<T>, fit: boolean) => void;

  /** How many are being validated. */
  validating = 0;

  constructor(
    factory: ResourceFactory<T>,
    hooks: HookRunner,
    config: Readonly<PoolConfig>,
    events: EventHub<PoolEvents>,
    done: (slot: Slot<T>, fit: boolean) => void,
  ) {
    this.#factory = factory;
    this.#hooks = hooks;
    this.#config = config;
    this.#events = events;
    this.#done = done;
  }

  /** Asks the factory whether a resource still works. */
  validate(slot: Slot<T>): void {
    slot.state = VALIDATING;
    this.validating++;
    const call = () => this.#factory.validate?.(slot.resource);
    this.#run("validate", slot, this.#config.validateTimeoutMs, call, () => this.validating--);
  }

  /** Has the factory bring a resource into its first state. */
  reset(slot: Slot<T>): void {
    slot.state = RESETTING;
    this.#run("reset", slot, this.#config.resetTimeoutMs, () => this.#factory.reset?.(slot.resource), () => {});
  }

  #run(
    source: "validate" | "reset",
    slot: Slot<T>,
    timeoutMs: number,
    call: () => unknown,
    ended: () => void,
  ): void {
    this.#hooks.run(timeoutMs, () => new HookTimeoutError(source, timeoutMs), call, (outcome) => {
      ended();
      slot.state = READY;
      if (!outcome.ok) this.#events.emit("error", { error: outcome.error, source });
      const refused = source === "validate" && outcome.ok && outcome.value === false;
      this.#done(slot, outcome.ok && !refused && !slot.invalid);
    });
  }
}
