/**
 * Single statements as the login role, each a transaction of its own, that may share a connection.
 *
 * @module
 */
import type { AcquireLane, Lease, ResourcePool } from "../../pool/mod.ts";
import type { BackendConnection } from "../connection/backend_connection.ts";
import {
  admit,
  leaseConnection,
  leaseShared,
  restOf,
  throwReason,
  toRevocationError,
  waitUntilIdle,
} from "../connection/lease_connection.ts";
import { walPositionBehind } from "../connection/session.ts";
import type { QueryResult, Statement } from "../wire/query_result.ts";
import type { SchemaCache } from "../wire/schema_cache.ts";
import { outlivesTransactionError, traitsOf, transactionControlError } from "../wire/statement_traits.ts";
import type { QueryOptions } from "./query_options.ts";
import { type Bounds, type RunnerSettings, StatementRunner } from "./statement_runner.ts";
import { Volatility } from "./volatility.ts";

/** A write that is deferred, and holds nothing but very quick reads. */
interface OpenWrite {
  readonly connection: BackendConnection;
  /** The maximum number of reads that it holds. */
  readonly limit: number;
  /** The lane of them: none waits behind those of a later one. */
  readonly lane: AcquireLane;
}

/** The most texts that the server is asked about at once, each on a connection of the pool: it takes some ms of its time. */
const MAX_LEARNING = 2;

/**
 * Pipelines a read behind others on a busy connection, where it would otherwise wait for a free one: the round trip and
 * the cost of the write are shared.
 *
 * A lease ends early for that, while its statement is still in flight. Only statements that have been quick so far,
 * leave nothing on the connection and are a transaction each are followed; no other statement waits behind a slow one.
 * A caller that leases a connection for more than one statement waits until it is idle.
 *
 * While connections are free, a read follows others only where it costs less than a write of its own: all of them are
 * very quick and of one lane, none is written yet, and none is being canceled.
 */
export class PipelineSharing {
  readonly #pool: ResourcePool<BackendConnection>;
  readonly #settings: RunnerSettings;
  readonly #volatility: Volatility;
  /** Leases that can end early, in the order in which they were offered. */
  readonly #offers = new Map<BackendConnection, Lease<BackendConnection>>();

  /** The texts that the server is asked about in the background. */
  readonly #learning = new Set<string>();
  /** The schema of the connections, once one of them is known. */
  #schema: SchemaCache | undefined = undefined;

  /** The latest of them: what is sent now mostly shares its write. */
  #latest: BackendConnection | undefined = undefined;
  /** The write that very quick reads may share although connections are free. */
  #open: OpenWrite | undefined = undefined;

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
    let acquire = options;
    for (;;) {
      bounds.signal?.throwIfAborted();
      const free = this.#tryLease(options, statement.text);
      let since = free ? undefined : settings.clock.now();
      const lease = free ?? await leaseShared(this.#pool, acquire).catch(throwReason);
      const connection = lease.resource;
      if (traits.outlivesTransaction && !connection.ownsSession) {
        lease[Symbol.dispose]();
        throw outlivesTransactionError();
      }
      const maxInFlight = connection.statements.maxInFlight(connection.names.current.key, statement.text);
      const quick = maxInFlight > 1;
      // What may write is never sent behind others: it would run after its caller has left.
      const mayFollow = quick && !connection.isRetired &&
        this.#volatility.onlyReads(connection.schema, statement.text);
      if (!mayFollow && !connection.isWireIdle) {
        since ??= settings.clock.now();
        await waitUntilIdle(lease, this.#pool, acquire, settings.clock, since).catch(throwReason);
        // It broke under what was in flight on it: another one takes its place.
        if (connection.death) {
          lease[Symbol.dispose]();
          acquire = restOf(acquire, this.#pool, settings.clock, since);
          continue;
        }
      }
      if (options.admit) admit(lease, options.admit);
      const limit = mayFollow ? this.#limitOf(connection, statement.text) : 1;
      const { onWalPosition } = options;
      const pending = connection.startAsLoginRole(
        statement,
        maxInFlight === 1 && traits.mayLeaveState,
        maxInFlight > 1 || onWalPosition !== undefined,
      );
      onWalPosition?.(walPositionBehind(connection));
      if (quick) void this.#volatility.check(connection, statement.text);
      if (quick) this.#offer(lease, maxInFlight, free === undefined);
      if (limit > 1) this.#open = { connection, limit, lane: options.lane ?? "normal" };
      else if (this.#open?.connection === connection) this.#open = undefined;
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

  /**
   * Returns whether a statement is known to only read. While that is not known of a text that comes again, the server is
   * asked in the background, so that a later call knows it.
   *
   * @throws {StatementError} when `text` is not a string, or holds a NUL character.
   */
  onlyReads(text: string): boolean {
    if (!traitsOf(text).onlyReads) return false;
    const reads = this.#schema !== undefined && this.#volatility.onlyReads(this.#schema, text);
    const isRepeated = this.#volatility.meet(text);
    if (isRepeated && (!this.#schema || this.#volatility.isDue(this.#schema, text))) void this.#learn(text);
    return reads;
  }

  /** Asks the server about a statement. */
  async #learn(text: string): Promise<void> {
    if (this.#learning.size >= MAX_LEARNING || this.#learning.has(text)) return;
    this.#learning.add(text);
    try {
      using lease = await leaseConnection(this.#pool, {}, this.#settings.clock);
      this.#schema = lease.resource.schema;
      await this.#volatility.check(lease.resource, text);
    } catch {
      // The next call asks again.
    } finally {
      this.#learning.delete(text);
    }
  }

  /** Leases a connection that is free, or that becomes free by ending a lease early. */
  #tryLease({ lane, flow }: QueryOptions, text: string): Lease<BackendConnection> | undefined {
    const open = this.#findOpen(text, lane);
    if (open) this.#detach(open);
    const free = this.#pool.tryLease(lane, flow);
    if (free || open || !this.#detachOne()) return free;
    return this.#pool.tryLease(lane, flow);
  }

  /** Returns the connection whose next write a statement may share although others are free. */
  #findOpen(text: string, lane: AcquireLane = "normal"): BackendConnection | undefined {
    if (this.#open?.lane !== lane) return undefined;
    const { connection, limit } = this.#open;
    const { inFlight, isRetired, isCanceling, isWriteDeferred, schema } = connection;
    // A cancel request may hit another statement than its own, and ends with the connection where it is not answered.
    if (isCanceling) return undefined;
    if (inFlight >= limit || isRetired || !isWriteDeferred || !this.#offers.has(connection)) return undefined;
    if (inFlight >= connection.statements.maxPerWrite(connection.names.current.key, text)) return undefined;
    return this.#volatility.onlyReads(schema, text) ? connection : undefined;
  }

  /** Returns how many statements the next write of a connection may hold if this one is among them. */
  #limitOf(connection: BackendConnection, text: string): number {
    const limit = connection.statements.maxPerWrite(connection.names.current.key, text);
    if (this.#open?.connection === connection && connection.isWriteDeferred) return Math.min(limit, this.#open.limit);
    return connection.isWireIdle ? limit : 1;
  }

  /**
   * Offers a lease to be ended early: its statement is in flight, and others may follow until `maxInFlight` are.
   *
   * @param waited Whether it had to wait. Then others may wait too, and only this call can end a lease for them.
   */
  #offer(lease: Lease<BackendConnection>, maxInFlight: number, waited: boolean): void {
    const connection = lease.resource;
    if (connection.inFlight >= maxInFlight || connection.isCanceling || connection.isRetired) return;
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
    let connection = this.#latest ?? this.#offers.keys().next().value;
    // One that was retired since is closed when its lease ends.
    while (connection?.isRetired) {
      this.#withdraw(connection);
      connection = this.#offers.keys().next().value;
    }
    if (!connection) return false;
    this.#detach(connection);
    return true;
  }

  /** Ends the lease of a connection on offer. */
  #detach(connection: BackendConnection): void {
    const lease = this.#offers.get(connection);
    if (!lease) return;
    this.#withdraw(connection);
    connection.detachedStatements++;
    lease[Symbol.dispose]();
  }

  #withdraw(connection: BackendConnection): void {
    this.#offers.delete(connection);
    if (this.#latest === connection) this.#latest = undefined;
  }
}
