/**
 * One call of a factory's hook, bounded in time.
 *
 * @module
 */
import { type Clock, isPromiseLike, type Timer } from "../resilience/mod.ts";

/** How a hook ended. */
export type Outcome<R> =
  | { readonly ok: true; readonly value: R }
  | { readonly ok: false; readonly error: unknown; readonly gaveUp: boolean };

/** Something under way that can be waited for no longer. */
export interface Abandonable {
  /** Waits no longer. Does nothing once it has ended. */
  giveUp(error: unknown): void;
}

/**
 * Calls a hook and tells exactly once how it ended: at once, without a promise
 * or a timer, where it returns its result directly; with a timeout otherwise.
 * What a hook does after it was given up is ignored.
 */
export class HookRun<R> implements Abandonable {
  #done: ((outcome: Outcome<R>) => void) | undefined;
  #timer: Timer | undefined = undefined;

  /** @param done Told once. It may be told before the constructor returns. */
  constructor(
    clock: Clock,
    timeoutMs: number,
    timeoutError: () => unknown,
    call: () => R | PromiseLike<R>,
    done: (outcome: Outcome<R>) => void,
  ) {
    this.#done = done;
    const outcome = this.#begin(clock, timeoutMs, timeoutError, call);
    if (outcome) this.#end(outcome);
  }

  /** How it ended, where that is known at once. */
  #begin(
    clock: Clock,
    timeoutMs: number,
    timeoutError: () => unknown,
    call: () => R | PromiseLike<R>,
  ): Outcome<R> | undefined {
    try {
      const result = call();
      if (!isPromiseLike(result)) return { ok: true, value: result };
      this.#timer = clock.setTimer(() => this.giveUp(timeoutError()), timeoutMs);
      result.then(
        (value) => this.#end({ ok: true, value }),
        (error) => this.#end({ ok: false, error, gaveUp: false }),
      );
      return undefined;
    } catch (error) {
      // The hook threw, or what it returned did when it was asked whether it is a promise.
      return { ok: false, error, gaveUp: false };
    }
  }

  /** Whether it is still under way. */
  get pending(): boolean {
    return this.#done !== undefined;
  }

  giveUp(error: unknown): void {
    this.#end({ ok: false, error, gaveUp: true });
  }

  #end(outcome: Outcome<R>): void {
    const done = this.#done;
    if (!done) return;
    this.#done = undefined;
    this.#timer?.cancel();
    done(outcome);
  }
}

/** The hooks of one pool that are under way. */
export class HookRunner {
  readonly #clock: Clock;
  readonly #runs = new Set<Abandonable>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A {@linkcode HookRun} that {@linkcode giveUp} ends too. */
  run<R>(
    timeoutMs: number,
    timeoutError: () => unknown,
    call: () => R | PromiseLike<R>,
    done: (outcome: Outcome<R>) => void,
  ): void {
    const held: { run?: Abandonable } = {};
    const run = new HookRun(this.#clock, timeoutMs, timeoutError, call, (outcome) => {
      if (held.run) this.#runs.delete(held.run);
      done(outcome);
    });
    if (run.pending) this.#runs.add(held.run = run);
  }

  /** Waits for none of them any longer, nor for those that begin because of it. */
  giveUp(error: unknown): void {
    for (const run of this.#runs) run.giveUp(error);
  }
}
