/**
 * Several statements on one connection at once.
 *
 * @module
 */
import type { Lane, Lease, ResourcePool } from "../../pool/mod.ts";
import type { Session } from "../connection/session.ts";

/**
 * Lets a statement of nobody in particular go out behind others, where it would
 * otherwise wait for a connection: the way to the server and back is shared, as
 * is the cost of writing.
 *
 * A lease is ended early for that, while its statement is still under way. Only
 * statements are followed that have been quick so far, that leave nothing on
 * the connection and that are a transaction each; a slow one is waited for by nobody else.
 * Who takes a connection for more than one statement waits until it is empty.
 */
export class Sharing {
  readonly #pool: ResourcePool<Session>;
  /** Leases that can be ended early, in the order in which they were offered. */
  readonly #offers = new Map<Session, Lease<Session>>();

  /** The latest of them: what is sent now mostly shares its write. */
  #latest: Session | undefined = undefined;

  constructor(pool: ResourcePool<Session>) {
    this.#pool = pool;
  }

  /** A connection that is free, or has been freed by ending a lease early; `undefined` where there is none. */
  tryLease(lane: Lane | undefined): Lease<Session> | undefined {
    const free = this.#pool.tryLease(lane);
    if (free || !this.#endEarly()) return free;
    return this.#pool.tryLease(lane);
  }

  /**
   * Offers a lease to be ended early: its statement is on its way, and others may follow until there are `most`.
   *
   * @param waited Whether it was waited for. Then others may wait too, and have nobody else to end one for them.
   */
  offer(lease: Lease<Session>, session: Session, most: number, waited: boolean): void {
    if (session.inFlight >= most || session.cancelling > 0) return;
    this.#offers.set(session, lease);
    this.#latest = session;
    if (waited && this.#pool.getStats().waitingForConnection > 0) this.#endEarly();
  }

  /** The statement of a lease has been answered. */
  end(lease: Lease<Session>, session: Session): void {
    if (this.#offers.get(session) === lease) this.#withdraw(session);
    if (lease.active) lease.release();
    else session.unattended--;
  }

  /** Ends one of the leases on offer. Whoever waits gets its connection, the first one first. */
  #endEarly(): boolean {
    const session = this.#latest ?? this.#offers.keys().next().value;
    const lease = session && this.#offers.get(session);
    if (!session || !lease) return false;
    this.#withdraw(session);
    session.unattended++;
    lease[Symbol.dispose]();
    return true;
  }

  #withdraw(session: Session): void {
    this.#offers.delete(session);
    if (this.#latest === session) this.#latest = undefined;
  }
}
