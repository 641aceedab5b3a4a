/**
 * The parts of a link to the fleet: the store, the reports, the alerts and the caps. They are loaded after the first
 * response.
 *
 * @module
 */
import { openRedis } from "../../environment/mod.ts";
import { AlertNotifier, AlertWebhook } from "../../observability/alerts/mod.ts";
import {
  type CappedLimits,
  type CappedPool,
  DataApiFleetStore,
  FleetCap,
  type FleetIsolate,
  type FleetRedis,
  FleetReporter,
  type FleetStore,
  openCircuits,
  RedisFleetStore,
} from "../../observability/fleet/mod.ts";
import { SlowRequests } from "../../observability/tracing/mod.ts";
import { type CircuitSnapshot, type Clock, codeOf, messageOf } from "../../resilience/mod.ts";
import type { Environment } from "../handler/environment.ts";
import type { RequestPool } from "../handler/runtime.ts";
import { keepIsolateUntil } from "../request/edge_runtime.ts";
import type { RequestReport } from "../request/request_reports.ts";
import type { FleetOptions, LogLine } from "./fleet_options.ts";
import { isolateOf } from "./fleet_settings.ts";

/** Options for {@linkcode FleetParts}. */
export interface FleetPartsOptions {
  readonly environment: Environment;
  readonly options: FleetOptions;
  readonly clock: Clock;
  /** The instant the isolate started, in ms since 1970. */
  readonly startedAtMs: number;
  /** Returns the name of the function, which is known with the first request that ends. */
  readonly functionName: () => string;
  /** Returns the metrics of the isolate, if it has some. */
  readonly metrics: () => unknown;
  readonly log: LogLine;
}

/** The longest time of a command of Redis, and of connecting, in ms. */
const REDIS_TIMEOUT_MS = 2_000;

/** A connection to Redis, and the function that closes it if it was opened here. */
interface OpenedRedis {
  readonly redis: FleetRedis | undefined;
  close(): void;
}

/** Returns the connection of the options, or opens one if the function imports the cache, which has the driver. */
function connectRedis({ environment, options, log }: FleetPartsOptions): OpenedRedis {
  const { redisUrl: url } = environment.fleet;
  if (options.redis || url === undefined) return { redis: options.redis, close: () => {} };
  let reason = "the function does not import shared/cache/mod.ts, which has the driver";
  try {
    const redis = openRedis({ url, commandTimeoutMs: REDIS_TIMEOUT_MS, connectTimeoutMs: REDIS_TIMEOUT_MS });
    if (redis) return { redis, close: () => redis.close() };
  } catch (error) {
    reason = messageOf(error);
  }
  const hint = "This isolate reports to Postgres. Import shared/cache/mod.ts in the function, and check REDIS_URL";
  log("warn", "fleet_redis_unused", { reason, hint });
  return { redis: undefined, close: () => {} };
}

function createStore({ environment, options }: FleetPartsOptions, redis: FleetRedis | undefined): FleetStore {
  const { url, secretKey = "", pool } = environment;
  const { dropMs } = options;
  if (!redis) return new DataApiFleetStore({ url, key: secretKey, fetch: pool.fetch ?? undefined, dropMs });
  return new RedisFleetStore({ redis, project: new URL(url).host, dropMs });
}

function createNotifier({ environment, options, clock, log }: FleetPartsOptions, store: FleetStore): AlertNotifier {
  const { webhookUrl: url, webhookSecret: secret } = environment.fleet;
  const webhook = url !== undefined && secret !== undefined ? new AlertWebhook({ url, secret, clock }) : undefined;
  return new AlertNotifier({ store, webhook, log, onAlert: options.onAlert, clock });
}

/** The number of caps of this isolate so far. */
let caps = 0;

/** The store, the reports, the alerts and the caps of one isolate. */
export class FleetParts {
  /** The store that the isolate reports to. */
  readonly store: FleetStore;
  readonly #options: FleetPartsOptions;
  readonly #redis: OpenedRedis;
  readonly #reporter: FleetReporter;
  readonly #slow = new SlowRequests();
  readonly #caps: FleetCap[] = [];

  constructor(options: FleetPartsOptions) {
    this.#options = options;
    this.#redis = connectRedis(options);
    const store = this.store = createStore(options, this.#redis.redis);
    const notifier = createNotifier(options, store);
    const { environment, startedAtMs, functionName, metrics, log, clock } = options;
    const { intervalMs, idleIntervalMs } = options.options;
    this.#reporter = new FleetReporter({
      store,
      identity: {
        isolate: isolateOf(environment),
        get function() {
          return functionName();
        },
        region: environment.fleet.region ?? "unknown",
        startedAtMs,
      },
      intervalMs,
      idleIntervalMs,
      metrics,
      slowRequests: () => this.#slow.list(),
      evaluate: (evaluation) => notifier.evaluate(evaluation),
      keepAlive: keepIsolateUntil,
      log,
      clock,
    });
  }

  /**
   * Reports a pool from now on, and puts the cap of the fleet on it, if there is one.
   *
   * @param limits The limits of the pool without the cap. `undefined`: they cannot be changed.
   */
  watch(pool: RequestPool<unknown>, limits: CappedLimits | undefined): void {
    this.#reporter.watch(pool);
    const { environment, options, clock, log } = this.#options;
    const cap = options.cap ?? environment.fleet.cap;
    if (cap === undefined) return;
    const { redis } = this.#redis;
    if (!limits) {
      log("warn", "fleet_cap_unused", { reason: "the limits of the pool cannot be changed" });
      return;
    }
    if (!redis) {
      log("warn", "fleet_cap_unreachable", { reason: "Redis is not in use", share: 1 });
      return;
    }
    const isolate = isolateOf(environment);
    const nth = ++caps;
    this.#caps.push(
      new FleetCap({
        redis,
        project: new URL(environment.url).host,
        // Each pool has a share of its own.
        isolate: nth === 1 ? isolate : `${isolate.slice(0, 56)}-${nth}`,
        cap,
        pool: pool as unknown as CappedPool,
        limits,
        leaseMs: options.leaseMs,
        log,
        clock,
      }),
    );
  }

  /** Counts a request, and reports it soon. */
  add(report: RequestReport): void {
    this.#slow.add(report);
    this.#reporter.requestEnded({ status: report.status, code: codeOf(report.error), waitMs: report.waitedMs });
  }

  /** Returns the circuits that most of the other isolates have open. */
  openCircuits(isolates: readonly FleetIsolate[]): [target: string, circuit: CircuitSnapshot][] {
    const own = isolateOf(this.#options.environment);
    return Object.entries(openCircuits(isolates.filter(({ isolate }) => isolate !== own)));
  }

  /** Removes the isolate from the fleet, returns its shares, and closes the connection to Redis that it opened. */
  async close(): Promise<void> {
    await Promise.all([this.#reporter.close(), ...this.#caps.map((cap) => cap.close())]);
    this.#redis.close();
  }
}
