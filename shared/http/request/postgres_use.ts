/**
 * The use that a request makes of the Postgres connections, and its end.
 *
 * @module
 */
import { LeaseReleasedError } from "../../pool/mod.ts";
import { BusyTime } from "../../resilience/mod.ts";
import type { WorkOwner } from "../../postgres/mod.ts";
import type { ScopeEnd, ScopeOptions } from "../../supabase/mod.ts";

type HeldLease = Parameters<WorkOwner["leased"]>[0];

/** The leases that are kept before those that were released are forgotten: a request may take leases without end. */
const KEPT_LEASES = 16;

/**
 * The use that one request makes of the Postgres connections. As with the clients of its scope, its end refuses further
 * work and ends leases that were not released; statements and transactions under way are carried through.
 */
export class PostgresUse implements WorkOwner, Disposable {
  /** The time it waited for connections, in ms. */
  waitedMs = 0;
  /** The time in which its statements were under way. */
  readonly upstream = new BusyTime();
  readonly #guard: ScopeOptions["guard"];
  readonly #onRefused: ScopeOptions["onRefused"];
  #running = 0;
  #leases: HeldLease[] = [];
  /** Creates the error of further work, once it has ended. */
  #refusal: (() => unknown) | undefined = undefined;
  #drained: PromiseWithResolvers<void> | undefined = undefined;

  /** @param options Those of the scope of the request: it rejects what other requests do, and logs what comes too late. */
  constructor({ guard, onRefused }: Pick<ScopeOptions, "guard" | "onRefused">) {
    this.#guard = guard;
    this.#onRefused = onRefused;
  }

  /**
   * Counts a statement, a transaction or a lease that begins, until this is disposed.
   *
   * @throws {IdentityError} in another request.
   * @throws {LeaseReleasedError} after the end of the request; the reason that has ended it, if there is one.
   */
  begin(): Disposable {
    this.#guard?.();
    if (this.#refusal) {
      const error = this.#refusal();
      this.#onRefused?.(error);
      throw error;
    }
    this.#running++;
    return this;
  }

  /** Notes that one of them has settled. */
  [Symbol.dispose](): void {
    if (--this.#running === 0) this.#drained?.resolve();
  }

  /** Notes a lease, which may come after the end. */
  leased(lease: HeldLease): void {
    if (this.#refusal) {
      lease[Symbol.dispose]();
      throw this.#refusal();
    }
    if (this.#leases.length >= KEPT_LEASES) this.#leases = this.#leases.filter(({ active }) => active);
    this.#leases.push(lease);
  }

  /**
   * Refuses further work, and ends leases that were not released. Idempotent.
   *
   * @param aborted What has ended it early. Default: it has ended as it should.
   */
  end(aborted?: { readonly reason: unknown }): ScopeEnd {
    this.#refusal ??= aborted
      ? () => aborted.reason
      : () => new LeaseReleasedError("Cannot use ctx.postgres: its request has ended");
    const unreleased = this.#leases.splice(0).filter(({ active }) => active);
    for (const lease of unreleased) lease[Symbol.dispose]();
    if (this.#running > 0) this.#drained ??= Promise.withResolvers();
    return { unreleased: unreleased.length, drained: this.#drained?.promise };
  }
}
