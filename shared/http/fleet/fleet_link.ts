/**
 * The link of an isolate to its fleet. What it needs is loaded after the first response.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { type Clock, messageOf, systemClock, timeoutSignal, type Timer } from "../../resilience/mod.ts";
import type { CappedLimits, FleetDetail, FleetStore } from "../../observability/fleet/mod.ts";
import type { Environment } from "../handler/environment.ts";
import type { PoolSource, RequestPool } from "../handler/runtime.ts";
import { keepIsolateUntil } from "../request/edge_runtime.ts";
import type { RequestReport, RequestReports } from "../request/request_reports.ts";
import type { FleetOptions, FleetView, LogLine } from "./fleet_options.ts";
import type { FleetParts } from "./fleet_parts.ts";
import { isFleetOn } from "./fleet_settings.ts";

/** The longest wait for the state of the fleet, in ms. */
const READ_TIMEOUT_MS = 2_000;
/** The time for which a state is reused, in ms. */
const REUSE_MS = 1_000;
/** The time after the first request begins at which the fleet is asked, if that request has no response by then, in ms. */
const START_MS = 100;
/** Maximum number of requests that are noted while the parts load. */
const MAX_EARLY = 50;

/** Returns the name of the function that a request is for: the first part of its path. */
export function functionOf({ url }: Request): string {
  return URL.parse(url)?.pathname.split("/", 2)[1] ?? "";
}

/**
 * Limits a pool to one lease until Redis has replied, and returns its own limits: the cap holds from the first request on.
 * Returns `undefined` if they cannot be changed.
 */
function holdBack(pool: RequestPool<unknown>): CappedLimits | undefined {
  const { limits } = pool;
  if (!limits || !pool.resize || !pool.on) return undefined;
  pool.resize({ maxConnections: 1, minConnections: Math.min(limits.minConnections, 1), reservedConnections: 0 });
  return limits;
}

/** The link of one isolate to its fleet. Requests neither wait for it nor fail with it. */
export class FleetLink {
  readonly #environment: Environment;
  readonly #options: FleetOptions;
  readonly #clock: Clock;
  /** The pools, and the limits of each without the cap. */
  readonly #pools = new Map<RequestPool<unknown>, CappedLimits | undefined>();
  readonly #reads = new Map<FleetDetail, { readonly untilMs: number; readonly view: Promise<FleetView> }>();
  readonly #startedAtMs = Date.now();
  #metrics: (() => unknown) | undefined = undefined;
  #log: LogLine | undefined = undefined;
  #loading: Promise<FleetParts> | undefined = undefined;
  #parts: FleetParts | undefined = undefined;
  #function = "";
  /** The requests that ended while the parts loaded. `undefined`: they are loaded, or cannot be. */
  #early: RequestReport[] | undefined = [];
  #timer: Timer | undefined = undefined;
  /** Resolves when the parts are loaded. */
  #started: PromiseWithResolvers<void> | undefined = undefined;
  #isClosed = false;
  /** True once a request was served: what this isolate knows about its targets then wins over the fleet. */
  #hasServed = false;

  constructor(environment: Environment, options: FleetOptions = {}, clock: Clock = systemClock) {
    this.#environment = environment;
    this.#options = options;
    this.#clock = clock;
  }

  /** True once the isolate has ended. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Reports the requests and pools of a handler from now on. */
  attach<Database>(reports: RequestReports, pools: PoolSource<Database>): void {
    const pool = pools.getConnectionPool() as RequestPool<unknown>;
    const isCapped = (this.#options.cap ?? this.#environment.fleet.cap) !== undefined;
    reports.add((report) => this.#ended(report));
    if (!this.#pools.has(pool)) {
      const limits = isCapped ? holdBack(pool) : undefined;
      this.#pools.set(pool, limits);
      this.#parts?.watch(pool, limits);
    }
    this.#timer ??= this.#clock.setTimer(() => this.#start(), isCapped ? 0 : START_MS);
  }

  /** Logs with `log`; of several, with the first. */
  useLog(log: LogLine): void {
    this.#log ??= log;
  }

  /** Reports the metrics that `read` returns; of several, those of the first. */
  useMetrics(read: () => unknown): void {
    this.#metrics ??= read;
  }

  /** Returns the state of the fleet; that of the last second is reused. Never rejects. */
  view(detail: FleetDetail): Promise<FleetView> {
    const known = this.#reads.get(detail);
    const now = this.#clock.now();
    if (known && now < known.untilMs) return known.view;
    const view = this.#read(detail);
    this.#reads.set(detail, { untilMs: now + READ_TIMEOUT_MS + REUSE_MS, view });
    view.then(() => this.#reads.set(detail, { untilMs: this.#clock.now() + REUSE_MS, view }));
    return view;
  }

  /** Removes the isolate from the fleet. Idempotent, never rejects. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#early = undefined;
    this.#started?.resolve();
    const closed = this.#parts?.close() ?? Promise.resolve();
    keepIsolateUntil(closed);
    return closed;
  }

  #ended(report: RequestReport): void {
    if (this.#isClosed) return;
    if (report.status < 500) this.#hasServed = true;
    if (this.#function === "") this.#function = functionOf(report.request);
    if (this.#parts) return this.#parts.add(report);
    if (this.#early && this.#early.length < MAX_EARLY) this.#early.push(report);
    this.#start();
  }

  /** Loads the parts once the response is on its way, and keeps the isolate until they are there. */
  #start(): void {
    if (this.#started || this.#isClosed) return;
    this.#timer?.cancel();
    const { promise, resolve } = this.#started = Promise.withResolvers<void>();
    keepIsolateUntil(promise);
    this.#timer = this.#clock.setTimer(() => {
      this.#begin().catch((error) => {
        // It would fail again: an option is bad, for example.
        this.#early = undefined;
        if (!this.#isClosed) this.#log?.("warn", "fleet_unavailable", { reason: messageOf(error) });
      }).then(resolve);
    }, 0);
  }

  /** Opens the circuits that the rest of the fleet has open. */
  async #begin(): Promise<void> {
    const parts = await this.#load();
    const { state } = await this.view("totals");
    const open = parts.openCircuits(state?.isolates ?? []);
    if (open.length === 0 || this.#isClosed) return;
    let isSeeded = false;
    for (const { circuits, config } of this.#pools.keys()) {
      if (!circuits || config.circuitBreaker === false) continue;
      const own = circuits.snapshot();
      const unknown = open.filter(([target]) => !this.#hasServed || own[target] === undefined);
      circuits.seed(Object.fromEntries(unknown));
      isSeeded = true;
    }
    if (isSeeded) this.#log?.("info", "circuits_seeded", { targets: open.map(([target]) => target).join(", ") });
  }

  #load(): Promise<FleetParts> {
    return this.#loading ??= this.#create().catch((error) => {
      this.#loading = undefined;
      throw error;
    });
  }

  /** Loads the parts, and passes on what happened meanwhile. */
  async #create(): Promise<FleetParts> {
    const { FleetParts } = await import("./fleet_parts.ts");
    if (this.#isClosed) throw new Error("The isolate has ended");
    const parts = new FleetParts({
      environment: this.#environment,
      options: this.#options,
      clock: this.#clock,
      startedAtMs: this.#startedAtMs,
      functionName: () => this.#function,
      metrics: () => this.#metrics?.(),
      log: (...line) => this.#log?.(...line),
    });
    this.#parts = parts;
    for (const [pool, limits] of this.#pools) parts.watch(pool, limits);
    for (const report of this.#early ?? []) parts.add(report);
    this.#early = undefined;
    return parts;
  }

  async #read(detail: FleetDetail): Promise<FleetView> {
    let store: FleetStore | undefined;
    using timeout = timeoutSignal(
      READ_TIMEOUT_MS,
      this.#clock,
      () => new Error(`no reply within ${READ_TIMEOUT_MS} ms`),
    );
    const { signal } = timeout;
    try {
      if (this.#isClosed) throw new Error("the isolate has ended");
      ({ store } = await abortable(this.#load(), signal));
      const state = await abortable(store.read(detail, signal), signal);
      return { store: store.kind, state, missing: state.missing };
    } catch (error) {
      return { store: store?.kind, state: undefined, missing: [messageOf(error)] };
    }
  }
}

/** The options of handlers that have none. */
const DEFAULTS: FleetOptions = Object.freeze({});

/** The links of this isolate, by options and store. Handlers with the same options object, or none, share those of a project. */
const links = new WeakMap<FleetOptions, Map<string, FleetLink>>();

/** Returns the link of this isolate, or `undefined` where the fleet is off. */
export function fleetLinkOf(
  environment: Environment,
  option: boolean | FleetOptions | undefined,
): FleetLink | undefined {
  if (!isFleetOn(environment, option)) return undefined;
  const options = typeof option === "object" ? option : DEFAULTS;
  const own = links.get(options) ?? new Map<string, FleetLink>();
  links.set(options, own);
  const key = `${environment.url} ${environment.fleet.redisUrl ?? ""}`;
  const known = own.get(key);
  if (known && !known.isClosed) return known;
  const link = new FleetLink(environment, options);
  own.set(key, link);
  return link;
}
