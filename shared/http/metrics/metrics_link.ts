/**
 * The link of an isolate to its metrics. What it needs is loaded after the first response.
 *
 * @module
 */
import type { MetricsRegistry, MetricsSnapshot, RequestMetrics } from "../../observability/metrics/mod.ts";
import { type Clock, memberOf, systemClock } from "../../resilience/mod.ts";
import type { Environment } from "../handler/environment.ts";
import type { RequestPool } from "../handler/runtime.ts";
import { keepIsolateUntil } from "../request/edge_runtime.ts";
import type { RequestReport, RequestReports } from "../request/request_reports.ts";
import { EarlyPool, MAX_EARLY, type ObservePool } from "./early_pool.ts";

/** Options of metrics that win over the environment. */
export interface MetricsOptions {
  /**
   * Holds the metrics. Handlers with the same one count a pool that they share once. Default: `metricsRegistry`, that of the
   * isolate.
   */
  readonly registry?: MetricsRegistry | undefined;
}

/** The parts that are loaded with the first response. */
interface Loaded {
  readonly registry: MetricsRegistry;
  readonly requests: RequestMetrics;
  readonly observe: ObservePool;
}

/**
 * Returns whether metrics are taken. Default: in edge functions whose project has a secret key, without which they cannot
 * be read. Elsewhere, `POOL_METRICS=on` turns them on.
 */
export function areMetricsOn(
  { metrics, secretKey }: Pick<Environment, "metrics" | "secretKey">,
  option: boolean | MetricsOptions | undefined,
): boolean {
  if (option !== undefined) return option !== false;
  return metrics ?? (secretKey !== undefined && memberOf(globalThis, "EdgeRuntime") !== undefined);
}

/** The link of one isolate to its metrics. Requests neither wait for it nor fail with it. */
export class MetricsLink {
  readonly #options: MetricsOptions;
  readonly #clock: Clock;
  readonly #watched = new WeakSet<object>();
  #early: EarlyPool[] = [];
  #earlyRequests: RequestReport[] = [];
  #loading: Promise<Loaded> | undefined = undefined;
  #loaded: Loaded | undefined = undefined;
  #isStarted = false;

  constructor(options: MetricsOptions = {}, clock: Clock = systemClock) {
    this.#options = options;
    this.#clock = clock;
  }

  /** Takes the metrics of requests from now on. */
  attach(reports: RequestReports): void {
    reports.add((report) => {
      if (this.#loaded) return this.#loaded.requests.add(report);
      if (this.#earlyRequests.length < MAX_EARLY) this.#earlyRequests.push(report);
      this.#start();
    });
  }

  /** Takes the metrics of a pool from now on; once. */
  watch(pool: RequestPool<never>): void {
    if (this.#watched.has(pool)) return;
    this.#watched.add(pool);
    const early = new EarlyPool(pool);
    if (this.#loaded) early.observe(this.#loaded.observe);
    else this.#early.push(early);
  }

  /** Loads the parts, once. */
  load(): Promise<unknown> {
    return this.#loading ??= this.#load().catch((error) => {
      this.#loading = undefined;
      throw error;
    });
  }

  /** Returns the metrics; `undefined` before they are loaded. */
  snapshot(): MetricsSnapshot | undefined {
    return this.#loaded?.registry.snapshot();
  }

  /** Loads the parts once the response is on its way, and keeps the isolate until they are there. */
  #start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    keepIsolateUntil(promise);
    this.#clock.setTimer(() => void this.load().then(() => resolve(), () => resolve()), 0);
  }

  async #load(): Promise<Loaded> {
    const { metricsRegistry, observePool, RequestMetrics } = await import("../../observability/metrics/mod.ts");
    const { registry = metricsRegistry } = this.#options;
    const loaded: Loaded = {
      registry,
      requests: new RequestMetrics(registry),
      observe: (pool, name) => observePool(registry, pool, name),
    };
    this.#loaded = loaded;
    for (const pool of this.#early.splice(0)) pool.observe(loaded.observe);
    for (const report of this.#earlyRequests.splice(0)) loaded.requests.add(report);
    return loaded;
  }
}

let ofIsolate: MetricsLink | undefined;

/** The links to other registries. A pool that several handlers use is counted once in each. */
const ofRegistries = new WeakMap<MetricsRegistry, MetricsLink>();

/** Returns the link of this isolate, or that of another registry; `undefined` where metrics are off. */
export function metricsLinkOf(
  environment: Pick<Environment, "metrics" | "secretKey">,
  option: boolean | MetricsOptions | undefined,
): MetricsLink | undefined {
  if (!areMetricsOn(environment, option)) return undefined;
  const registry = typeof option === "object" ? option.registry : undefined;
  if (!registry) return ofIsolate ??= new MetricsLink();
  const link = ofRegistries.get(registry) ?? new MetricsLink({ registry });
  ofRegistries.set(registry, link);
  return link;
}
