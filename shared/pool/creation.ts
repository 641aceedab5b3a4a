/**
 * The making of one resource, from the call of `create` to what became of it.
 *
 * @module
 */
import { isPromiseLike } from "../resilience/mod.ts";
import { CreateTimeoutError, NoResourceError } from "./errors.ts";
import type { HookRunner } from "./hook_run.ts";
import type { ResourceFactory } from "./resource_factory.ts";

/** Whom a creation reports to. Each creation ends with exactly one of `made`, `failed` and `overdue` + `over`. */
export interface CreationOwner<T extends object> {
  /** There is a resource. */
  made(resource: T): void;
  /** There is none. */
  failed(error: unknown): void;
  /** It was not done within `createTimeoutMs`. What is under way may still hold something on the far side. */
  overdue(error: unknown): void;
  /** What was overdue has ended, in a resource that nobody may have any more or in none, or is waited for no longer. */
  over(late: T | undefined): void;
  /** A resource came even after that. */
  late(resource: T): void;
}

/** How long a creation may take, in ms. */
export interface CreationTimeouts {
  readonly createTimeoutMs: number;
  /** How long an overdue one is waited for. */
  readonly destroyTimeoutMs: number;
}

/** Whether a factory, which may have no types, yielded what its type says. */
function isResource(value: unknown): boolean {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

/** One call of `create`. */
export class Creation<T extends object> {
  /** When it began, in ms of the pool's clock. */
  readonly startedAt: number;
  /** Whether the resource has said that it is no good, and why. */
  invalid: { readonly reason: unknown } | undefined = undefined;
  /** Called when the resource says so later. */
  onInvalid: ((reason: unknown) => void) | undefined = undefined;

  readonly #controller = new AbortController();
  #result: T | PromiseLike<T> | undefined = undefined;

  constructor(startedAt: number) {
    this.startedAt = startedAt;
  }

  /** Calls `create`, once. A factory that needs no waiting is answered before this returns. */
  begin(
    factory: ResourceFactory<T>,
    runner: HookRunner,
    { createTimeoutMs, destroyTimeoutMs }: CreationTimeouts,
    owner: CreationOwner<T>,
  ): void {
    const timeoutError = () => new CreateTimeoutError(createTimeoutMs);
    const context = { signal: this.#controller.signal, invalidate: (reason?: unknown) => this.#invalidate(reason) };
    const call = () => {
      const result = factory.create(context);
      // It may be asked again when it is late: what begins its work when it is asked must not be asked twice.
      return this.#result = isPromiseLike(result) ? Promise.resolve(result) : result;
    };
    runner.run(createTimeoutMs, timeoutError, call, (outcome) => {
      if (outcome.ok && !isResource(outcome.value)) return owner.failed(new NoResourceError(outcome.value));
      if (outcome.ok) return owner.made(outcome.value);
      const late = this.#result;
      if (!outcome.gaveUp || late === undefined || !isPromiseLike(late)) return owner.failed(outcome.error);
      this.abort(outcome.error);
      runner.run(destroyTimeoutMs, timeoutError, () => late, (end) => {
        if (!end.ok && end.gaveUp) late.then((resource) => isResource(resource) && owner.late(resource), () => {});
        owner.over(end.ok && isResource(end.value) ? end.value : undefined);
      });
      owner.overdue(outcome.error);
    });
  }

  /** Tells the factory that nobody waits for it any more. */
  abort(reason: unknown): void {
    this.#controller.abort(reason);
  }

  #invalidate(reason: unknown): void {
    if (this.invalid) return;
    this.invalid = { reason };
    this.onInvalid?.(reason);
  }
}
