/**
 * Typed events.
 *
 * @module
 */
import { observe } from "./unknown.ts";

/** A function that is called with each event of one name. What it throws or rejects with becomes an `error` event. */
export type Listener<E> = (event: E) => unknown;

/** Options for {@linkcode EventHub}. */
export interface EventHubOptions<M extends { error: unknown }> {
  /** Creates the `error` event for a listener that failed. */
  readonly listenerError: (error: unknown) => M["error"];
  /** Called when a listener was added or removed. */
  readonly onChange?: () => void;
}

/**
 * Delivers events to listeners: in a microtask, in the order in which they were
 * emitted. A listener never runs while the emitter is in the middle of a
 * change, and one that fails affects neither the emitter nor other listeners.
 *
 * @typeParam M The type of the event by its name.
 */
export class EventHub<M extends { error: unknown }> {
  /** Each list is replaced, never changed, so that it can be iterated while listeners come and go. */
  readonly #listeners = new Map<keyof M, readonly Listener<never>[]>();
  /** The events that were emitted and not yet delivered: names and events, in two lists of equal length. */
  readonly #names: (keyof M)[] = [];
  readonly #events: M[keyof M][] = [];
  readonly #deliver = (): void => this.#deliverAll();
  readonly #listenerError: (error: unknown) => M["error"];
  readonly #onChange: (() => void) | undefined;
  #hasListeners = false;

  constructor({ listenerError, onChange }: EventHubOptions<M>) {
    this.#listenerError = listenerError;
    this.#onChange = onChange;
  }

  /**
   * Calls `listener` with each event of that name until the returned subscription is disposed of. The same function
   * added twice is two subscriptions.
   */
  on<K extends keyof M>(name: K, listener: Listener<M[K]>): Disposable {
    const entry: Listener<M[K]> = (event) => listener(event);
    this.#listeners.set(name, [...this.#listeners.get(name) ?? [], entry]);
    this.#changed();
    return {
      [Symbol.dispose]: () => {
        const others = this.#listeners.get(name)?.filter((other) => other !== entry) ?? [];
        if (others.length > 0) this.#listeners.set(name, others);
        else this.#listeners.delete(name);
        this.#changed();
      },
    };
  }

  /** Returns whether an event of that name has a listener: an event without one need not be created. */
  has(name: keyof M): boolean {
    return this.#hasListeners && this.#listeners.has(name);
  }

  /** Delivers `event` to the listeners of `name`, in a microtask. Never throws. */
  emit<K extends keyof M>(name: K, event: M[K]): void {
    if (!this.has(name)) return;
    this.#names.push(name);
    if (this.#events.push(event) === 1) queueMicrotask(this.#deliver);
  }

  #changed(): void {
    this.#hasListeners = this.#listeners.size > 0;
    this.#onChange?.();
  }

  #deliverAll(): void {
    const names = this.#names;
    const events = this.#events;
    // An event that a listener emits is delivered in the same turn, after those before it.
    for (let next = 0; next < events.length; next++) {
      const name = names[next] as keyof M;
      for (const listener of this.#listeners.get(name) ?? []) this.#call(listener, name, events[next] as never);
    }
    names.length = 0;
    events.length = 0;
  }

  #call(listener: Listener<never>, name: keyof M, event: never): void {
    observe(() => listener(event), (error) => {
      // A failed listener of errors is not reported to itself.
      if (name !== "error") this.emit("error", this.#listenerError(error));
    });
  }
}

/**
 * The subscriptions of an object that has `on`, `once` and `off`. Its events come from hubs of other objects.
 *
 * @typeParam M The type of the event by its name.
 */
export class Subscriptions<M> {
  readonly #subscribe: <K extends keyof M>(name: K, listener: Listener<M[K]>) => Disposable;
  readonly #all = new Set<Disposable & { readonly name: keyof M; readonly listener: unknown }>();

  /** @param subscribe Adds a listener to the hub that emits events of that name. */
  constructor(subscribe: <K extends keyof M>(name: K, listener: Listener<M[K]>) => Disposable) {
    this.#subscribe = subscribe;
  }

  /** Calls `listener` at each event of that name, until the subscription is disposed of or {@linkcode off} is called. */
  on<K extends keyof M>(name: K, listener: Listener<M[K]>): Disposable {
    return this.#add(name, listener, listener);
  }

  /** Calls `listener` at the next event of that name, once. */
  once<K extends keyof M>(name: K, listener: Listener<M[K]>): Disposable {
    const subscription = this.#add(name, listener, (event) => {
      subscription[Symbol.dispose]();
      return listener(event);
    });
    return subscription;
  }

  /** Removes a listener; one that was added several times, once. Does nothing if it was not added. */
  off<K extends keyof M>(name: K, listener: Listener<M[K]>): void {
    for (const each of this.#all) {
      if (each.name === name && each.listener === listener) return each[Symbol.dispose]();
    }
  }

  #add<K extends keyof M>(name: K, listener: Listener<M[K]>, call: Listener<M[K]>): Disposable {
    const subscription = this.#subscribe(name, call);
    const entry = {
      name,
      listener,
      [Symbol.dispose]: () => {
        this.#all.delete(entry);
        subscription[Symbol.dispose]();
      },
    };
    this.#all.add(entry);
    return entry;
  }
}
