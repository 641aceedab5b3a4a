/**
 * A factory whose every step a test decides.
 *
 * @module
 */
import type { CreateContext, ResourceFactory } from "../../shared/pool/mod.ts";

/** A resource of the scripted factory. */
export interface Thing {
  readonly id: number;
}

/** A promise and its handles. */
export type Deferred<T> = PromiseWithResolvers<T>;

/** An error that counts as transient. */
export function transient(message = "connection refused"): Error {
  return Object.assign(new Error(message), { code: "ECONNREFUSED" });
}

/**
 * Makes numbered things at once; any hook can be replaced by a test.
 */
export class ScriptedFactory implements ResourceFactory<Thing> {
  /** The contexts that {@linkcode create} got, in order. */
  readonly contexts: CreateContext[] = [];
  /** Things that were destroyed, in order. */
  readonly destroyed: Thing[] = [];
  /** The number of calls of {@linkcode create}. */
  attempts = 0;
  #next = 0;

  onCreate: (context: CreateContext) => Thing | PromiseLike<Thing> = () => this.make();
  onDestroy: (thing: Thing) => void | PromiseLike<void> = () => {};
  validate?: (thing: Thing) => boolean | PromiseLike<boolean>;
  reset?: (thing: Thing) => void | PromiseLike<void>;

  /** A new thing. */
  make(): Thing {
    return { id: this.#next++ };
  }

  create(context: CreateContext): Thing | PromiseLike<Thing> {
    this.attempts++;
    this.contexts.push(context);
    return this.onCreate(context);
  }

  destroy(thing: Thing): void | PromiseLike<void> {
    this.destroyed.push(thing);
    return this.onDestroy(thing);
  }

  /** From now on each creation waits for the test; returns the list of what waits. */
  holdCreations(): Deferred<Thing>[] {
    const held: Deferred<Thing>[] = [];
    this.onCreate = () => {
      const deferred = Promise.withResolvers<Thing>();
      held.push(deferred);
      return deferred.promise;
    };
    return held;
  }
}

/** The element at `index`, which the test knows to be there. */
export function at<T>(list: readonly T[], index: number): T {
  const element = list[index];
  if (element === undefined) throw new Error(`nothing at ${index} of ${list.length}`);
  return element;
}
