/**
 * The pool of connections behind the circuit breaker of its server, and with a limit that the server sets.
 *
 * @module
 */
import {
  type AcquireLane,
  type AcquireOptions,
  type Flow,
  type Lease,
  type PoolConfig,
  type PoolEvents,
  type PoolLimits,
  type PoolRuntime,
  type ResourceFactory,
  ResourcePool,
} from "../../pool/mod.ts";
import { systemClock } from "../../resilience/mod.ts";
import type { BackendConnection } from "./backend_connection.ts";
import { type ConnectionDemand, ConnectionLimit } from "./connection_limit.ts";
import type { TargetCircuit } from "./target_circuit.ts";

/** The limit of a pool whose server is full, for statistics. */
export interface ConnectionLimitStats {
  /** The connections that the pool may have now; `undefined` for `maxConnections`. */
  readonly limit: number | undefined;
  /** The attempts that the server or a pooler refused for lack of connections. */
  readonly refused: number;
}

/** Options of a {@linkcode ConnectionPool}. */
export interface ConnectionPoolOptions {
  /** The circuit of the server. Default: every acquire is admitted. */
  readonly circuit?: TargetCircuit | undefined;
  /** The use of the limit: `dry-run` computes it for statistics alone. Default: `on`. */
  readonly adaptiveLimit?: "on" | "dry-run" | "off" | undefined;
}

/** Leases connections, unless the circuit rejects the acquire. */
export class ConnectionPool extends ResourcePool<BackendConnection> {
  readonly #circuit: TargetCircuit | undefined;
  readonly #limit: ConnectionLimit | undefined = undefined;
  readonly #isDryRun: boolean;
  /** The limits as configured. */
  #configured: PoolLimits;
  #refused = 0;
  /** The latest start of a refused attempt that the limit has not followed yet, in ms of the clock. */
  #refusedStart = -Infinity;
  /** The starts of refused attempts by their errors, in ms of the clock. */
  readonly #refusals = new WeakMap<object, number>();

  constructor(
    factory: ResourceFactory<BackendConnection>,
    config: Partial<PoolConfig>,
    runtime: PoolRuntime,
    { circuit, adaptiveLimit = "on" }: ConnectionPoolOptions,
  ) {
    super(factory, config, runtime);
    this.#circuit = circuit;
    this.#configured = this.limits;
    this.#isDryRun = adaptiveLimit === "dry-run";
    const { clock = systemClock, random } = runtime;
    if (adaptiveLimit === "off") return;
    const pool = { demand: () => this.#demand(), apply: (limit: number) => this.#apply(limit) };
    this.#limit = new ConnectionLimit(pool, clock, random);
    this.on("error", (event) => this.#onError(event));
    this.on("created", () => this.#lower());
  }

  /** The limit that the server sets. */
  get limitStats(): ConnectionLimitStats {
    const { limit = Infinity } = this.#limit ?? {};
    return Object.freeze({ limit: limit === Infinity ? undefined : limit, refused: this.#refused });
  }

  /**
   * Leases a connection; see `ResourcePool.lease`. A probe is always admitted: it finds out how the server is.
   *
   * @throws {CircuitOpenError} when the circuit rejects the acquire.
   */
  override lease(options?: AcquireOptions): Promise<Lease<BackendConnection>> {
    let ended: (() => void) | undefined;
    if (options?.lane === "probe") ended = this.#circuit?.admitHealthCheck();
    else if (this.#circuit?.isClosed === false && !this.closed) {
      try {
        ended = this.#circuit.admit();
      } catch (error) {
        return Promise.reject(error);
      }
    }
    this.#limit?.update();
    const leased = super.lease(options);
    if (ended) leased.then(ended, ended);
    return leased;
  }

  /** Leases an idle connection; see `ResourcePool.tryLease`. Unless the circuit is closed, {@linkcode lease} decides. */
  override tryLease(lane?: AcquireLane, flow?: Flow): Lease<BackendConnection> | undefined {
    return this.#circuit?.isClosed === false ? undefined : super.tryLease(lane, flow);
  }

  /** Changes the limits; see `ResourcePool.resize`. The one that the server sets is found again. */
  override resize(limits: Partial<PoolLimits>): void {
    const configured = this.#configured;
    if (limits && this.limits.maxConnections < configured.maxConnections) {
      // What is not given stays as it was configured.
      const { maxConnections = configured.maxConnections, minConnections = configured.minConnections } = limits;
      super.resize({ ...limits, maxConnections, minConnections });
    } else super.resize(limits);
    this.#configured = this.limits;
    this.#limit?.lift();
  }

  /** See `ResourcePool.shutdown`. */
  override shutdown(deadlineMs?: number): Promise<void> {
    const ended = super.shutdown(deadlineMs);
    if (this.closed) this.#limit?.stop();
    return ended;
  }

  /**
   * Notes that an attempt to connect was refused for lack of connections.
   *
   * @param error The error that it then fails with.
   * @param startedAt Its start, in ms of the clock.
   */
  refused(error: object, startedAt: number): void {
    // Attempts that wait for another one fail with its error.
    if (this.#refusals.has(error)) return;
    this.#refused++;
    this.#refusals.set(error, startedAt);
  }

  #onError({ error, source }: PoolEvents["error"]): void {
    const startedAt = source === "create" ? this.#refusals.get(error as object) : undefined;
    if (startedAt === undefined) return;
    this.#refusedStart = Math.max(this.#refusedStart, startedAt);
    this.#lower();
  }

  /**
   * Lowers the limit after a refusal, once no attempt holds a slot: a connection would close in its place, and the attempt
   * succeed with what that left free.
   */
  #lower(): void {
    if (this.#refusedStart === -Infinity || this.getStats().creatingConnections > 0) return;
    const startedAt = this.#refusedStart;
    this.#refusedStart = -Infinity;
    this.#limit?.refused(startedAt);
  }

  #demand(): ConnectionDemand {
    const { maxConnections, minConnections } = this.#configured;
    const { totalConnections, creatingConnections, closingConnections, waitingForConnection } = this.getStats();
    const open = totalConnections - creatingConnections - closingConnections;
    return { open, wantsMore: waitingForConnection > 0 || open < minConnections, maxConnections };
  }

  #apply(limit: number): void {
    if (this.#isDryRun || this.closed) return;
    const { maxConnections, minConnections, reservedConnections } = this.#configured;
    // Beside reserved connections, one is left for the other lanes.
    const least = Math.min(reservedConnections + 1, maxConnections);
    const max = Math.max(least, Math.min(limit, maxConnections));
    super.resize({ maxConnections: max, minConnections: Math.min(minConnections, max) });
  }
}
