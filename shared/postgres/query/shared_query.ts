/**
 * Single statements as the login role, each a transaction of its own, that may share a connection.
 *
 * @module
 */
import type { Lease, ResourcePool } from "../../pool/mod.ts";
import type { BackendConnection } from "../connection/backend_connection.ts";
import { leaseShared, throwReason, toRevocationError, waitUntilIdle } from "../connection/lease_connection.ts";
import type { QueryResult, Statement } from "../wire/query_result.ts";
import { outlivesTransactionError, traitsOf, transactionControlError } from "../wire/statement_traits.ts";
import type { QueryOptions } from "./query_options.ts";
import { type Bounds, type RunnerSettings, StatementRunner } from "./statement_runner.ts";
import { Volatility } from "./volatility.ts";

/**
 * Pipelines a read behind others on a busy connection, where it would otherwise wait for a free one: the round trip and
 * the cost of the write are shared.
 *
 * A lease ends early for that, while its statement is still in flight. Only statements that have been quick so far,
 * leave nothing on the connection and are a transaction each are followed; no other statement waits behind a slow one.
 * A caller that leases a connection for more than one statement waits until it is idle.
 */
export class PipelineSharing {
  readonly #pool: ResourcePool<BackendConnection>;
  readonly #settings: RunnerSettings;
  readonly #volatility: Volatility;
  /** Leases that can end early, in the order in which they were offered. */
  readonly #offers = new Map<BackendConnection, Lease<BackendConnection>>();

  /** The latest of them: what is sent now mostly shares its write. */
  #latest: BackendConnection | undefined = undefined;

  constructor(pool: ResourcePool<BackendConnection>, settings: RunnerSettings) {
    this.#pool = pool;
    this.#settings = settings;
    this.#volatility = new Volatility(settings.clock);
  }

  /**
   * Runs one statement, perhaps behind others on the same connection.
   *
   * @throws what `manager.query` throws.
   */
  async query(statement: Statement, bounds: Bounds, options: QueryOptions): Promise<QueryResult> {
    const settings = this.#settings;
    const traits = traitsOf(statement.text);
    if (traits.controlsTransaction) throw transactionControlError();
    for (;;) {
      bounds.signal?.throwIfAborted();
      const free = this.#tryLease(options);
      let since = free ? undefined : settings.clock.now();
      const lease = free ?? await leaseShared(this.#pool, options).catch(throwReason);
      const connection = lease.resource;
      if (traits.outlivesTransaction && !connection.ownsSession) {
        lease[Symbol.dispose]();
        throw outlivesTransactionError();
      }
      const maxInFlight = connection.statements.maxInFlight(connection.names.current.key, statement.text);
      const quick = maxInFlight > 1;
      // What may write is never sent behind others: it would run after its caller has left.
      const mayFollow = quick && this.#volatility.onlyReads(connection.schema, statement.text);
      if (!mayFollow && !connection.isWireIdle) {
        since ??= settings.clock.now();
        await waitUntilIdle(lease, this.#pool, options, settings.clock, since).catch(throwReason);
      }
      const pending = connection.startAsLoginRole(
        statement,
        maxInFlight === 1 && traits.mayLeaveState,
        maxInFlight > 1,
      );
      if (quick) this.#volatility.check(connection, statement.text);
      if (quick) this.#offer(lease, maxInFlight, free === undefined);
      const runner = new StatementRunner(connection, settings);
      try {
        const [result] = await runner.awaitResult(pending, bounds, mayFollow);
        return result as QueryResult;
      } catch (error) {
        // The connection may be leased to another caller by now: the statement is sent again on any other one.
        if (!pending.isSafeToResend(error)) throw toRevocationError(error, lease);
      } finally {
        if (runner.ending) void runner.ended().then(() => this.#complete(lease, connection));
        else this.#complete(lease, connection);
      }
    }
  }

  /** Leases a connection that is free, or that becomes free by ending a lease early. */
  #tryLease({ lane, flow }: QueryOptions): Lease<BackendConnection> | undefined {
    const free = this.#pool.tryLease(lane, flow);
    if (free || !this.#detachOne()) return free;
    return this.#pool.tryLease(lane, flow);
  }

  /**
   * Offers a lease to be ended early: its statement is in flight, and others may follow until `maxInFlight` are.
   *
   * @param waited Whether it had to wait. Then others may wait too, and only this call can end a lease for them.
   */
  #offer(lease: Lease<BackendConnection>, maxInFlight: number, waited: boolean): void {
    const connection = lease.resource;
    if (connection.inFlight >= maxInFlight || connection.isCanceling) return;
    this.#offers.set(connection, lease);
    this.#latest = connection;
    if (waited && this.#pool.getStats().waitingForConnection > 0) this.#detachOne();
  }

  /** Ends a lease whose statement has been answered. */
  #complete(lease: Lease<BackendConnection>, connection: BackendConnection): void {
    if (this.#offers.get(connection) === lease) this.#withdraw(connection);
    if (lease.active) lease.release();
    else connection.detachedStatements--;
  }

  /** Ends one of the leases on offer. The first waiter gets its connection. */
  #detachOne(): boolean {
    const connection = this.#latest ?? this.#offers.keys().next().value;
    const lease = connection && this.#offers.get(connection);
    if (!connection || !lease) return false;
    this.#withdraw(connection);
    connection.detachedStatements++;
    lease[Symbol.dispose]();
    return true;
  }

  #withdraw(connection: BackendConnection): void {
    this.#offers.delete(connection);
    if (this.#latest === connection) this.#latest = undefined;
  }
}
