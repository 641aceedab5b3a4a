/**
 * Loads: one at a time for each key, in the isolate and across isolates.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { Deadlines, memberOf, observe } from "../resilience/mod.ts";
import type { CacheEngine, Look } from "./engine.ts";
import { CacheLoadCycleError, CacheLoadTimeoutError } from "./errors.ts";
import { shownKey } from "./keys.ts";
import { isOfEndedRequest, type LoadFlight, running, type RunningLoad, waitsFor } from "./load_flights.ts";
import { ALONE, LoadTurns, type LoadTurnsOptions } from "./load_turns.ts";
import type { CacheEntry } from "./memory_level.ts";
import { type CacheLoadContext, type ResolvedOptions, timesFrom } from "./options.ts";
import { freezeValue, type FrozenValue } from "./value.ts";

/** A load, as a caller asks for it. */
export interface LoadRequest {
  readonly key: string;
  /** Runs the loader, called by `within`: what it starts is part of the load. */
  readonly run: (within: (loader: (context: CacheLoadContext) => unknown) => unknown) => Promise<unknown>;
  readonly options: ResolvedOptions;
  /** True if the loader acts for one caller, whose request may end before the load does. */
  readonly isCallers: boolean;
  /** Keeps what a background load uses until it has settled. */
  readonly waitUntil: (promise: Promise<unknown>) => void;
}

/** Options of {@linkcode Loads}. */
export interface LoadsOptions extends LoadTurnsOptions {
  /** The longest time that a loader may take, in ms. */
  readonly loaderTimeoutMs: number;
  /** The greatest part by which the time to live of what was loaded is shortened at random. */
  readonly ttlJitter: number;
}

/** The time for which a value is returned without another attempt after a load has failed, in ms. */
const GRACE_PAUSE_MS = 1_000;

/** Loads values that no level has. */
export class Loads {
  readonly #engine: CacheEngine;
  readonly #options: LoadsOptions;
  readonly #turns: LoadTurns | undefined;
  readonly #flights = new Map<string, LoadFlight>();
  readonly #refreshes = new Map<string, LoadFlight>();
  /** Most loads end long before theirs, and share one timer. */
  readonly #deadlines: Deadlines;

  constructor(engine: CacheEngine, options: LoadsOptions) {
    this.#engine = engine;
    this.#options = options;
    this.#turns = engine.redis && new LoadTurns(engine, engine.redis, options);
    this.#deadlines = new Deadlines(engine.options.clock);
    engine.flights.push(this.#flights, this.#refreshes);
  }

  /**
   * Returns the value of a key, from the first level that has it, or from the loader.
   *
   * @throws {CacheLoadCycleError} when it is called in the loader of a load that it would wait for.
   */
  async getOrLoad(request: LoadRequest): Promise<CacheEntry> {
    const { key, isCallers, options: { signal } } = request;
    this.#engine.begin();
    const outer = running.getStore();
    if (outer) this.#checkCycle(key, outer);
    let look: Look | undefined;
    if (!this.#flights.has(key)) {
      // Most calls end here, and need no more than a look.
      const looking = this.#engine.look(key);
      look = await (signal ? abortable(looking, signal) : looking);
      if (look.kind === "hit" && this.#isUsable(look.entry)) return look.entry;
    }
    let failures = 0;
    for (let flight = this.#flights.get(key); flight; flight = this.#flights.get(key)) {
      this.#engine.counters.sharedLoads++;
      try {
        return await this.#await(flight, outer, signal);
      } catch (error) {
        // It was loaded in another request, which may have ended, and its scope with it. This one tries with its own.
        if (error instanceof CacheLoadCycleError || signal?.aborted) throw error;
        // Those for whom it was loaded had gone when this call joined them.
        if (flight.controller.signal.aborted && !(error instanceof CacheLoadTimeoutError)) continue;
        if (!isOfEndedRequest(error) && !(isCallers && ++failures === 1)) throw error;
      }
    }
    return await this.#await(this.#begin(request, outer, look), outer, signal);
  }

  #isUsable({ freshUntil, hitUntil }: CacheEntry): boolean {
    const now = this.#engine.options.wallClock();
    return now < freshUntil || now < hitUntil;
  }

  /** A load inside its own would wait for itself, or for the lock that it holds. */
  #checkCycle(key: string, outer: RunningLoad): void {
    for (let load = outer.flight; load; load = load.outer?.flight) {
      if (load.key === key && load.owner === this) throw new CacheLoadCycleError(shownKey(key));
    }
  }

  /**
   * Waits for a load, in the loader of another one perhaps, until `signal` aborts. The loader is aborted with the last
   * call that waits for it.
   */
  async #await(
    flight: LoadFlight,
    outer: RunningLoad | undefined,
    signal: AbortSignal | undefined,
  ): Promise<CacheEntry> {
    const waiting = outer?.flight;
    if (waiting && waitsFor(flight, waiting)) throw new CacheLoadCycleError(shownKey(flight.key));
    waiting?.waitsFor.add(flight);
    flight.waiting++;
    try {
      return await (signal ? abortable(flight.promise, signal) : flight.promise);
    } finally {
      waiting?.waitsFor.delete(flight);
      if (--flight.waiting === 0 && signal?.aborted) flight.controller.abort(signal.reason);
    }
  }

  /** @param look What was found a moment ago; `undefined` if that is not known. */
  #begin(request: LoadRequest, outer: RunningLoad | undefined, look: Look | undefined): LoadFlight {
    return this.#track(this.#flights, request.key, outer, (flight) => this.#lookOrLoad(request, flight, look));
  }

  /** Runs `work` as the flight of a key. */
  #track(
    flights: Map<string, LoadFlight>,
    key: string,
    outer: RunningLoad | undefined,
    work: (flight: LoadFlight) => Promise<CacheEntry>,
  ): LoadFlight {
    const flight: LoadFlight = {
      key,
      owner: this,
      isInvalid: false,
      isUncertain: false,
      promise: NEVER,
      outer,
      waitsFor: new Set(),
      waiting: 0,
      controller: new AbortController(),
    };
    flights.set(key, flight);
    const settle = () => {
      // An invalidation removes it before, and another one may have its place.
      if (flights.get(key) === flight) flights.delete(key);
    };
    const promise = work(flight);
    flight.promise = promise;
    promise.then(settle, settle);
    return flight;
  }

  async #lookOrLoad(request: LoadRequest, flight: LoadFlight, found: Look | undefined): Promise<CacheEntry> {
    const { key } = request;
    const engine = this.#engine;
    const look = found ?? await engine.look(key);
    if (look.kind === "hit" && this.#isUsable(look.entry)) return look.entry;
    const now = engine.options.wallClock();
    const latest = look.kind === "hit" ? look.entry : look.kind === "outage" ? engine.remembered(key) : undefined;
    if (latest && now < latest.staleUntil) {
      engine.counters.staleHits++;
      this.#refresh(request, latest);
      return latest;
    }
    return await this.#load(request, flight, latest, look.kind !== "outage", true);
  }

  /** Loads a value again in the background, unless that is under way. */
  #refresh(request: LoadRequest, latest: CacheEntry): void {
    const { key } = request;
    if (this.#refreshes.has(key)) return;
    const { promise } = this.#track(
      this.#refreshes,
      key,
      undefined,
      // In a turn of its own: the loader must not run before the caller has the value.
      async (flight) => {
        await Promise.resolve();
        return await this.#load(request, flight, latest, true, false);
      },
    );
    // Its caller has a value: that it cannot be kept until then is no reason to fail.
    observe(() => request.waitUntil(promise.catch(() => {})), () => {});
  }

  /** Waits for the load in the background that the end of the stale time has overtaken: it is of the same key. */
  async #refreshed(key: string, flight: LoadFlight): Promise<CacheEntry | undefined> {
    const refresh = this.#refreshes.get(key);
    if (!refresh || waitsFor(refresh, flight)) return undefined;
    flight.waitsFor.add(refresh);
    const entry = await refresh.promise.catch(() => undefined);
    flight.waitsFor.delete(refresh);
    return entry && this.#isUsable(entry) ? entry : undefined;
  }

  /**
   * @param latest What is returned if the load fails, within its grace.
   * @param usesRedis False in an outage.
   * @param waits Whether it waits for another isolate that loads the value.
   */
  async #load(
    { key, run, options }: LoadRequest,
    flight: LoadFlight,
    latest: CacheEntry | undefined,
    usesRedis: boolean,
    waits: boolean,
  ): Promise<CacheEntry> {
    const engine = this.#engine;
    const refreshed = waits ? await this.#refreshed(key, flight) : undefined;
    if (refreshed) return refreshed;
    const redis = usesRedis ? engine.redis : undefined;
    const turns = usesRedis ? this.#turns : undefined;
    const turn = turns ? await turns.take(key, flight, waits) : ALONE;
    if (turn.kind === "found") return turn.entry;
    if (turn.kind === "busy" && latest) return latest;
    const token = turn.kind === "holder" ? turn.token : undefined;
    const stamps = redis && token !== undefined ? await redis.stamps(options.tags) : [];
    const stopRenewing = turns && token !== undefined ? turns.keep(key, token) : undefined;
    const mark: RunningLoad = { flight };
    let frozen: FrozenValue;
    const { signal } = flight.controller;
    try {
      signal.throwIfAborted();
      engine.counters.loads++;
      const loading = run((loader) => running.run(mark, loader, { signal }));
      frozen = freezeValue(shownKey(key), await this.#bounded(flight, loading));
    } catch (error) {
      engine.counters.failedLoads++;
      stopRenewing?.();
      if (redis && token !== undefined) await redis.release(key, token);
      const now = engine.options.wallClock();
      // That its callers have gone says nothing about the source.
      const isAborted = signal.aborted && !(error instanceof CacheLoadTimeoutError);
      if (!latest || isAborted || flight.isInvalid || now >= latest.graceUntil) throw error;
      engine.counters.graceHits++;
      if (!flight.isUncertain) engine.extend(key, latest, Math.min(now + GRACE_PAUSE_MS, latest.graceUntil));
      return latest;
    } finally {
      mark.flight = undefined;
    }
    stopRenewing?.();
    const times = timesFrom(engine.options.wallClock(), this.#ttlMs(frozen.value, options), options);
    const entry = engine.remember(key, frozen, times, options.tags, flight);
    if (redis && token !== undefined) {
      if (flight.isInvalid || !stamps) await redis.release(key, token);
      else await redis.store({ key, frozen, times, stamps }, token);
    }
    return entry;
  }

  /**
   * Settles as `loading` does, within `loaderTimeoutMs`: a loader that never settles must not hold up its key.
   *
   * @throws {CacheLoadTimeoutError} when it takes longer. What it returns later is not stored.
   */
  async #bounded({ key, controller }: LoadFlight, loading: Promise<unknown>): Promise<unknown> {
    const { loaderTimeoutMs } = this.#options;
    const { promise, reject } = Promise.withResolvers<never>();
    const deadline = this.#deadlines.start(loaderTimeoutMs, () => {
      const error = new CacheLoadTimeoutError(shownKey(key), loaderTimeoutMs);
      reject(error);
      controller.abort(error);
    });
    try {
      return await Promise.race([loading, promise]);
    } finally {
      deadline.cancel();
    }
  }

  #ttlMs(value: unknown, { ttlMs, negativeMs }: ResolvedOptions): number {
    const ms = value === null || value === undefined ? negativeMs : ttlMs;
    return ms * (1 - this.#engine.options.random() * this.#options.ttlJitter);
  }
}

/** The promise of a flight that has none yet. */
const NEVER = new Promise<never>(() => {});

/** Asks the runtime of hosted functions to keep the isolate until a background load has settled. */
export function keepIsolateUntil(promise: Promise<unknown>): void {
  const runtime = memberOf(globalThis, "EdgeRuntime");
  const waitUntil = memberOf(runtime, "waitUntil");
  if (typeof waitUntil === "function") Reflect.apply(waitUntil, runtime, [promise]);
}
