/**
 * The observation of a manager: its events and its health.
 *
 * @module
 */
import { PoolClosedError, type PoolEvents } from "../pool/mod.ts";
import { type CircuitBreaker, classifyFailure, EventHub, Subscriptions, toError } from "../resilience/mod.ts";
import type { PostgresConfig } from "./config/options.ts";
import type { PostgresConnection } from "./connection/connection.ts";
import type { ConnectionPool } from "./connection/connection_pool.ts";
import type { ServerState } from "./connection/session.ts";
import { HealthMonitor } from "./connection/health_monitor.ts";
import { isAtConnectionLimit } from "./errors/pooler_error.ts";
import type { ManagerEvents } from "./manager_events.ts";
import type { ManagerParts } from "./manager_parts.ts";
import type { PostgresHealth } from "./postgres_pool.ts";
import type { LeaseOptions } from "./query/query_options.ts";

/** The longest that a health check waits for its response, in ms. */
const HEALTH_TIMEOUT_MS = 5_000;

type OwnEvent = Exclude<keyof ManagerEvents, keyof Omit<PoolEvents, "error">>;

const OWN_EVENTS: ReadonlySet<string> = new Set<OwnEvent>([
  "healthCheck",
  "healthCheckFailed",
  "error",
  "recovered",
  "serverState",
  "circuitOpened",
  "circuitHalfOpened",
  "circuitClosed",
]);

/** Emits the events of a manager, and checks its health. */
export class Observation {
  readonly #pool: ConnectionPool;
  readonly #config: Readonly<PostgresConfig>;
  readonly #lease: (options: LeaseOptions) => Promise<PostgresConnection>;
  readonly #hub = new EventHub<ManagerEvents>({
    listenerError: (error) => ({ error: toError(error), source: "listener" }),
  });
  readonly #subscriptions = new Subscriptions<ManagerEvents>((name, call) =>
    // A listener of a pool's event is added to the pool: without one, the pool does not create events.
    OWN_EVENTS.has(name)
      ? this.#hub.on(name, call)
      : this.#pool.on(name as keyof PoolEvents, call as (event: PoolEvents[keyof PoolEvents]) => void)
  );
  readonly #circuitEvents: readonly Disposable[];
  readonly #health: HealthMonitor;
  readonly #healthTimeoutMs: number;

  /** @param lease Leases a connection of the pool, for health checks. */
  constructor(
    { options: config, pool, circuit, runner: { clock } }: ManagerParts,
    lease: (options: LeaseOptions) => Promise<PostgresConnection>,
  ) {
    this.#pool = pool;
    this.#config = config;
    this.#lease = lease;
    this.#circuitEvents = circuit ? this.#forwardCircuit(circuit.breaker) : [];
    this.#healthTimeoutMs = Math.min(HEALTH_TIMEOUT_MS, config.queryTimeoutMs, config.acquireTimeoutMs);
    this.#health = new HealthMonitor({
      query: (signal) => this.#probe(signal),
      getStats: () => pool.getStats(),
      getCircuit: circuit && (() => circuit.breaker.snapshot()),
      hub: this.#hub,
      clock,
      timeoutMs: this.#healthTimeoutMs,
      intervalMs: config.healthChecks ? config.healthCheckIntervalMs : 0,
    });
    this.#forwardErrors();
  }

  /** Checks the health; see `PostgresConnectionManager.healthCheck`. */
  healthCheck(): Promise<PostgresHealth> {
    return this.#config.healthChecks ? this.#health.check() : Promise.resolve(this.#health.unchecked());
  }

  /** See `PostgresConnectionManager.on`. */
  on<K extends keyof ManagerEvents>(name: K, listener: (event: ManagerEvents[K]) => void): Disposable {
    return this.#subscriptions.on(name, listener);
  }

  /** See `PostgresConnectionManager.once`. */
  once<K extends keyof ManagerEvents>(name: K, listener: (event: ManagerEvents[K]) => void): Disposable {
    return this.#subscriptions.once(name, listener);
  }

  /** See `PostgresConnectionManager.off`. */
  off<K extends keyof ManagerEvents>(name: K, listener: (event: ManagerEvents[K]) => void): void {
    this.#subscriptions.off(name, listener);
  }

  /** Emits a state of the server. */
  serverState(state: ServerState): void {
    this.#hub.emit("serverState", state);
  }

  /** Emits an `error` event for a setting of a caller's role. */
  settingFailed(error: Error): void {
    this.#hub.emit("error", { error, source: "settings" });
  }

  /** Ends the health checks and the events of the circuit. A check under way fails, and so does every later one. */
  stop(): void {
    this.#health.stop(new PoolClosedError());
    for (const subscription of this.#circuitEvents) subscription[Symbol.dispose]();
  }

  /**
   * Queries the database on the probe slot: a pool whose connections are all leased is healthy. Where the server accepts
   * no further connection, one of the pool's own shows that it serves.
   */
  async #probe(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#config.connect?.check?.(signal);
      return await this.#queryHealth({ lane: "probe", signal });
    } catch (error) {
      if (!isAtConnectionLimit(error) || this.#pool.getStats().totalConnections === 0) throw error;
      // The limit is the reason to report if that fails, too. The check itself must not have timed out by then.
      const acquireTimeoutMs = this.#healthTimeoutMs / 2;
      return await this.#queryHealth({ lane: "admin", signal, acquireTimeoutMs }).catch(() => Promise.reject(error));
    }
  }

  async #queryHealth(options: LeaseOptions): Promise<boolean> {
    await using connection = await this.#lease(options);
    const text = "SELECT current_setting('transaction_read_only') = 'on' AS read_only";
    const { rows } = await connection.query(text, [], { timeoutMs: Infinity });
    return rows[0]?.["read_only"] === true;
  }

  #forwardCircuit(breaker: CircuitBreaker): Disposable[] {
    return [
      breaker.on("opened", (event) => this.#hub.emit("circuitOpened", event)),
      breaker.on("halfOpened", (event) => this.#hub.emit("circuitHalfOpened", event)),
      breaker.on("closed", (event) => this.#hub.emit("circuitClosed", event)),
    ];
  }

  #forwardErrors(): void {
    let latest: unknown;
    this.#pool.on("error", ({ error, source, resourceId: connectionId }) => {
      if (source === "create" && classifyFailure(error) !== "permanent" && !isAtConnectionLimit(error)) {
        this.#health.down();
      }
      // One attempt to connect fails for all who wait for it; one that a shutdown ends is not an error.
      if (source === "create" && (error === latest || error instanceof PoolClosedError)) return;
      latest = error;
      this.#hub.emit("error", { error: toError(error), source, connectionId });
    });
    this.#pool.on("created", () => this.#health.up());
  }
}
