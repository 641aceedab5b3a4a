/**
 * A factory whose hooks succeed or fail as a script decides.
 *
 * @module
 */
import type { CreateContext, ResourceFactory } from "../../../shared/pool/mod.ts";
import { type Call, type Ending, type Hook, Item } from "./records.ts";

/** The behaviors of `create`. */
export const CREATE_MODES = [
  "returns",
  "resolves",
  "is slow",
  "hangs",
  "throws transient",
  "rejects transient",
  "rejects ambiguous",
  "throws permanent",
  "rejects permanent",
  "dies at birth",
] as const;

/** The behaviors of the other hooks. */
export const HOOK_MODES = ["returns", "resolves", "is slow", "hangs", "throws", "rejects", "says no"] as const;

export type CreateMode = typeof CREATE_MODES[number];
export type HookMode = typeof HOOK_MODES[number];
export type Mode = CreateMode | HookMode;

/** Duration of a slow hook, in ms. */
const SLOW_MS = 90;

/** Codes of the table of failures. */
const CODES = { transient: "ECONNREFUSED", ambiguous: "ECONNRESET", permanent: "28P01" } as const;

/** An observer of the factory's hooks. */
export interface Observer {
  now(): number;
  later(ms: number, action: () => void): void;
  /** Called when a hook is called, before it acts. */
  called(call: Call): void;
  /** Called when the signal of a `create` aborts. */
  givenUp(call: Call, reason: unknown): void;
  /** Called when a resource invalidates itself. */
  died(item: Item): void;
  /** Called when a hook has settled. */
  ended(call: Call, error: Error | undefined): void;
}

/** Returns whether a creation is for a probe. Only the stack shows it: a factory need not know. */
function isForProbe(): boolean {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 30;
  const { stack = "" } = new Error();
  Error.stackTraceLimit = limit;
  return /ProbeSlot|Creator\.begin/.exec(stack)?.[0] === "ProbeSlot";
}

/** The scripted factory. */
export class FakeFactory implements ResourceFactory<Item> {
  readonly #observer: Observer;
  readonly modes: { create: CreateMode; validate: HookMode; reset: HookMode; destroy: HookMode } = {
    create: "returns",
    validate: "returns",
    reset: "returns",
    destroy: "returns",
  };
  /** Each error that a hook of this factory failed with. */
  readonly errors = new Map<unknown, "transient" | "ambiguous" | "permanent">();
  readonly validate?: (item: Item) => boolean | PromiseLike<boolean>;
  readonly reset?: (item: Item) => void | PromiseLike<void>;
  #calls = 0;
  #items = 0;

  constructor(observer: Observer, has: { validate: boolean; reset: boolean }) {
    this.#observer = observer;
    if (has.validate) this.validate = (item) => this.#hook("validate", item, () => this.modes.validate !== "says no");
    if (has.reset) this.reset = (item) => this.#hook("reset", item, () => {});
  }

  create({ signal, invalidate }: CreateContext): Item | PromiseLike<Item> {
    const call = this.#call("create", undefined);
    signal.addEventListener("abort", () => this.#observer.givenUp(call, signal.reason), { once: true });
    const mode = this.modes.create;
    return this.#perform(call, mode, () => {
      const item: Item = new Item(this.#items++, () => {
        this.#observer.died(item);
        invalidate(new Error(`${item} died`));
      });
      call.item = item;
      item.forProbe = call.forProbe;
      if (mode === "dies at birth") item.invalidate();
      return item;
    });
  }

  destroy(item: Item): void | PromiseLike<void> {
    return this.#hook("destroy", item, () => {});
  }

  #hook<R>(hook: Hook & keyof FakeFactory["modes"], item: Item, good: () => R): R | PromiseLike<R> {
    return this.#perform(this.#call(hook, item), this.modes[hook], good);
  }

  #call(hook: Hook, item: Item | undefined): Call {
    const call: Call = {
      hook,
      forProbe: item ? item.forProbe : isForProbe(),
      name: `${hook} ${this.#calls++}`,
      item,
      startedAt: this.#observer.now(),
      abortedAt: undefined,
      givenUp: false,
      finish: undefined,
    };
    this.#observer.called(call);
    return call;
  }

  #perform<R>(call: Call, mode: Mode, good: () => R): R | PromiseLike<R> {
    const kind = mode.endsWith("transient") ? "transient" : mode.endsWith("ambiguous") ? "ambiguous" : "permanent";
    switch (mode) {
      case "throws":
      case "throws transient":
      case "throws permanent": {
        const error = this.#failure(call, kind);
        this.#observer.ended(call, error);
        throw error;
      }
      case "rejects":
      case "rejects transient":
      case "rejects ambiguous":
      case "rejects permanent":
        return this.#watched(call, Promise.resolve().then(() => Promise.reject(this.#failure(call, kind))));
      case "resolves":
        return this.#watched(call, Promise.resolve().then(good));
      case "is slow":
        return this.#watched(call, new Promise((resolve) => this.#observer.later(SLOW_MS, () => resolve(good()))));
      case "hangs": {
        const { promise, resolve, reject } = Promise.withResolvers<R>();
        call.finish = (how: Ending) => {
          call.finish = undefined;
          if (how === "well") resolve(good());
          else reject(this.#failure(call, how === "for good" ? "permanent" : "transient"));
        };
        return this.#watched(call, promise);
      }
      case "returns":
      case "says no":
      case "dies at birth": {
        const value = good();
        this.#well(call, value);
        return value;
      }
    }
  }

  /** Notifies the observer of the end just before the pool, which listens to the same promise. */
  #watched<R>(call: Call, promise: Promise<R>): Promise<R> {
    promise.then((value) => this.#well(call, value), (error) => this.#observer.ended(call, error));
    return promise;
  }

  #well(call: Call, value: unknown): void {
    this.#observer.ended(call, value === false ? new Error(`${call.name} says no`) : undefined);
  }

  #failure(call: Call, kind: keyof typeof CODES): Error {
    const error = Object.assign(new Error(`${call.name} failed (${kind})`), { code: CODES[kind] });
    this.errors.set(error, kind);
    return error;
  }
}
