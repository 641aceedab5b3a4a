/**
 * The pool of connections behind the circuit breaker of its server.
 *
 * @module
 */
import {
  type AcquireLane,
  type AcquireOptions,
  type Lease,
  type PoolConfig,
  type PoolRuntime,
  type ResourceFactory,
  ResourcePool,
} from "../../pool/mod.ts";
import type { BackendConnection } from "./backend_connection.ts";
import type { TargetCircuit } from "./target_circuit.ts";

/** Leases connections, unless the circuit rejects the acquire. */
export class ConnectionPool extends ResourcePool<BackendConnection> {
  readonly #circuit: TargetCircuit | undefined;

  /** @param circuit Default: every acquire is admitted. */
  constructor(
    factory: ResourceFactory<BackendConnection>,
    config: Partial<PoolConfig>,
    runtime: PoolRuntime,
    circuit: TargetCircuit | undefined,
  ) {
    super(factory, config, runtime);
    this.#circuit = circuit;
  }

  /**
   * Leases a connection; see `ResourcePool.lease`. A probe is always admitted: it finds out how the server is.
   *
   * @throws {CircuitOpenError} when the circuit rejects the acquire.
   */
  override lease(options?: AcquireOptions): Promise<Lease<BackendConnection>> {
    if (this.#circuit?.isClosed === false && options?.lane !== "probe" && !this.closed) {
      try {
        this.#circuit.check();
      } catch (error) {
        return Promise.reject(error);
      }
    }
    return super.lease(options);
  }

  /** Leases an idle connection; see `ResourcePool.tryLease`. Unless the circuit is closed, {@linkcode lease} decides. */
  override tryLease(lane?: AcquireLane): Lease<BackendConnection> | undefined {
    return this.#circuit?.isClosed === false ? undefined : super.tryLease(lane);
  }
}
