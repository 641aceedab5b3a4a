/**
 * Several scopes on a small pool, with leases outside of any scope, on a fake
 * clock; and the invariants that hold whenever no operation runs.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { ConfigError, PoolError, ResourcePool } from "../../../../shared/pool/mod.ts";
import { Deadlines } from "../../../../shared/resilience/mod.ts";
import { type ClientSlot, createTemplate } from "../../../../shared/supabase/client_template.ts";
import { parseSupabasePoolConfig } from "../../../../shared/supabase/mod.ts";
import { UNREAD_GRACE_MS } from "../../../../shared/supabase/calls/call.ts";
import { CallerScope, type ScopePool } from "../../../../shared/supabase/scope/caller_scope.ts";
import type { SlotPool } from "../../../../shared/supabase/scope/slot_holder.ts";
import { FakeClock, settle } from "../../../support/fake_clock.ts";
import type { Command, Terms } from "./commands.ts";
import type { ModelCall, ModelClient, ModelLease, ModelScope } from "./model.ts";

const URL = "http://project.test";
const ANONYMOUS = { apikey: "key", authorization: undefined, token: undefined, mayOverride: false };

/** Default acquire timeout, in ms. */
const ACQUIRE_TIMEOUT_MS = 100;

/** Maximum backoff of the pool after a failed creation, in ms. */
const BACKOFF_MS = 2_500;

/** The objects of one run. */
export class World {
  readonly #clock = new FakeClock();
  readonly #maxConnections: number;
  readonly #pool: ResourcePool<ClientSlot>;
  readonly #scopePool: ScopePool;
  readonly #scopes: ModelScope[] = [];
  readonly #leases: ModelLease[] = [];
  readonly #outside: ModelLease[] = [];
  readonly #clients: ModelClient[] = [];
  readonly #calls: ModelCall[] = [];
  readonly #signals: AbortController[] = [];
  readonly #slots: { readonly slot: ClientSlot; readonly invalidate: (reason: unknown) => void }[] = [];
  #creationsThatFail = 0;
  #lastFailureMs = -Infinity;
  /** The number of promises that have not settled. */
  #unsettled = 0;
  #shutDown = false;
  #unexpected: unknown = undefined;
  /** The number of effective commands of each kind. */
  readonly tally: Record<string, number> = {};

  constructor(maxConnections: number) {
    this.#maxConnections = maxConnections;
    const clock = this.#clock;
    const config = { maxConnections, minConnections: 0, acquireTimeoutMs: ACQUIRE_TIMEOUT_MS, maxWaiters: 12 };
    const pool = this.#pool = new ResourcePool<ClientSlot>(
      {
        create: ({ invalidate }) => {
          if (this.#creationsThatFail > 0) {
            this.#creationsThatFail--;
            this.#lastFailureMs = clock.now();
            throw Object.assign(new Error("no slot"), { code: "ECONNREFUSED" });
          }
          const slot = {};
          this.#slots.push({ slot, invalidate });
          return slot;
        },
        destroy: () => {},
      },
      config,
      { clock, random: () => 0 },
    );
    this.#scopePool = {
      config: parseSupabasePoolConfig({ ...config, callsPerLease: 2 }),
      slots: pool,
      clock,
      settings: {
        baseUrl: URL,
        deadlines: new Deadlines(clock),
        requestTimeoutMs: 1_000_000,
        clock,
        fetch: this.#send,
      },
      template: createTemplate(URL, { schema: "public", headers: {} }),
      getStats: () => pool.getStats(),
      healthCheck: () => Promise.reject(new Error("not used")),
    };
  }

  /** Runs one command, waits until all work has settled, and checks the invariants. */
  async run(command: Command): Promise<void> {
    await this.#do(command);
    await settle();
    this.#check();
  }

  /** Ends all scopes and leases, and asserts that all promises settle and no slot is held or waited for. */
  async finish(): Promise<void> {
    for (const scope of this.#scopes) this.#close(scope);
    await settle();
    this.#check();
    for (const model of this.#outside) if (model.lease) this.#release(model, { destroy: false, dispose: true });
    for (let round = 0; round < 20; round++) {
      for (const call of this.#calls) {
        call.answer?.(new Response("rows"));
        this.#read(call);
        this.#readTaken(call);
      }
      for (const model of this.#outside) model.lease?.[Symbol.dispose]();
      await this.#clock.advance(ACQUIRE_TIMEOUT_MS);
    }
    for (const { scope } of this.#scopes) await scope.close().drained;
    assertEquals(this.#unsettled, 0, "promises that never settle");
    const { activeConnections, waitingForConnection } = this.#pool.getStats();
    assertEquals({ activeConnections, waitingForConnection }, { activeConnections: 0, waitingForConnection: 0 });
    await this.#pool.shutdown(0);
    assertEquals(this.#clock.timers, 0, "timers that remain");
  }

  /** Asserts the invariants that hold whenever no operation runs. */
  #check(): void {
    const { activeConnections, waitingForConnection, totalConnections, totalAcquired, totalReleased } = this.#pool
      .getStats();
    const now = this.#clock.now();
    const leasesOf = (scope: ModelScope | undefined, state: ModelLease["state"]) =>
      (scope ? this.#leases : this.#outside).filter((model) => model.of === scope && model.state === state).length;
    const callsOf = (client: ModelClient, ...states: ModelCall["state"][]) =>
      this.#calls.some((call) => call.client === client && states.includes(call.state));
    for (const client of this.#clients) this.#leaveIfIdle(client);
    let holding = leasesOf(undefined, "held");
    let mayWait = leasesOf(undefined, "pending");
    for (const scope of this.#scopes) {
      const clients = this.#clients.filter(({ of }) => of === scope);
      const inSlot = clients.filter((client) => client.inSlot && !scope.aborted);
      const pending = leasesOf(scope, "pending");
      if (leasesOf(scope, "held") + inSlot.length > 0) {
        holding++;
        assert(pending === 0 || this.#shutDown, "a lease waits for the slot that its scope holds");
      }
      assert(!scope.ended || pending === 0, "a lease waits in a scope that has ended");
      mayWait += pending + clients.filter((client) => callsOf(client, "unsent")).length;
    }
    for (const { state, deadlineMs } of [...this.#leases, ...this.#outside]) {
      assert(state !== "pending" || now <= deadlineMs, "a lease waits past its deadline");
    }
    assertEquals(this.#unexpected, undefined, Deno.inspect(this.#unexpected));
    assertEquals(totalAcquired - totalReleased, activeConnections);
    assert(totalConnections <= this.#maxConnections);
    if (this.#shutDown) {
      assertEquals({ activeConnections, waitingForConnection }, { activeConnections: 0, waitingForConnection: 0 });
      return;
    }
    assertEquals(activeConnections, holding, "a scope without members holds a slot, or one with members holds none");
    assert(waitingForConnection <= mayWait, "a scope without members waits for a slot");
    if (activeConnections < this.#maxConnections && now - this.#lastFailureMs > BACKOFF_MS) {
      assertEquals(waitingForConnection, 0, "an acquire waits while a slot is free");
    }
  }

  /** Replaces the network. */
  readonly #send: typeof fetch = (input) => {
    const call = this.#calls[Number(String(input).split("/").at(-1))];
    assert(call?.state === "unsent");
    call.state = "sent";
    call.client.inSlot = true;
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    call.answer = resolve;
    call.fail = reject;
    return promise;
  };

  async #do(command: Command): Promise<void> {
    switch (command.kind) {
      case "together":
        // Within one turn: the promises of one command are not settled when the next one runs.
        for (const each of command.commands) this.#now(each);
        return;
      case "advance":
        return await this.#clock.advance(command.ms);
      case "freeze":
        // Timers are late, as in an isolate that was frozen.
        this.#clock.freeze(command.ms);
        return await this.#clock.advance(0);
      case "shutdown":
        if (this.#shutDown) return;
        this.#count(command);
        this.#shutDown = true;
        this.#pool.shutdown(command.deadlineMs);
        return await this.#clock.advance(command.deadlineMs);
      default:
        return this.#now(command);
    }
  }

  #now(command: Command): void {
    switch (command.kind) {
      case "openScope":
        return this.#openScope(command);
      case "lease": {
        const of = at(this.#scopes, command.scope);
        if (of) this.#lease(of, command.terms, command);
        return;
      }
      case "outsideLease":
        return this.#lease(undefined, command.terms, command);
      case "client": {
        const of = at(this.#scopes, command.scope);
        if (!of) return;
        const client = of.scope.client({ lane: command.terms.lane, timeoutMs: command.terms.timeoutMs });
        const { fetch } = client as unknown as { fetch: typeof globalThis.fetch };
        this.#clients.push({ of, fetch, inSlot: false });
        return this.#count(command);
      }
      case "call": {
        const client = at(this.#clients.filter(({ of }) => !of.aborted).slice(-6), command.client);
        if (client) this.#call(client);
        return this.#count(command);
      }
      case "answer": {
        const call = at(this.#calls.filter(({ state }) => state === "sent"), command.call);
        if (!call) return;
        if (command.fails) call.fail?.(new TypeError("no network"));
        else call.answer?.(new Response("rows"));
        return this.#count(command);
      }
      case "read": {
        const call = at(this.#calls.filter(({ state }) => state === "answered"), command.response);
        if (!call) return;
        this.#read(call);
        return this.#count(command);
      }
      case "takeBody": {
        const call = at(this.#calls.filter(({ state }) => state === "answered"), command.response);
        const reader = call?.response?.body?.getReader();
        if (!call || !reader) return;
        call.state = "taken";
        call.taken = { reader, atMs: this.#clock.now() };
        return this.#count(command);
      }
      case "readTaken": {
        const call = at(this.#calls.filter(({ state }) => state === "taken"), command.response);
        if (!call) return;
        this.#readTaken(call);
        return this.#count(command);
      }
      case "releaseBetweenCalls": {
        const scope = at(this.#scopes, command.scope);
        if (!scope) return;
        scope.scope.releaseBetweenCalls();
        scope.betweenCalls = true;
        for (const client of this.#clients) this.#leaveIfIdle(client);
        return this.#count(command);
      }
      case "release":
        return this.#release(at(this.#leases.filter(({ lease }) => lease), command.lease), command);
      case "outsideRelease":
        return this.#release(at(this.#outside.filter(({ state }) => state === "held"), command.lease), {
          destroy: false,
          dispose: false,
        });
      case "abortSignal": {
        const signal = at(this.#signals, command.signal);
        if (!signal) return;
        this.#signals.splice(this.#signals.indexOf(signal), 1);
        signal.abort(new Error("the signal aborted"));
        const scope = this.#scopes.find((each) => each.signal === signal);
        if (scope) this.#end(scope, true);
        return this.#count(command);
      }
      case "abortScope": {
        const scope = at(this.#scopes, command.scope);
        if (!scope) return;
        scope.scope.abort(new Error("the scope aborted"));
        this.#end(scope, true);
        return this.#count(command);
      }
      case "closeScope": {
        const scope = at(this.#scopes, command.scope);
        if (!scope) return;
        const held = this.#leases.filter(({ of, state }) => of === scope && state !== "ended").length;
        const unreleased = this.#close(scope);
        assert(unreleased <= held, `${unreleased} of ${held} leases were not released`);
        return this.#count(command);
      }
      case "invalidate": {
        const invalid = at(this.#slots, command.slot);
        if (!invalid) return;
        for (const client of this.#clients) {
          const lost = client.of.slots.some((slot) => slot.active && slot.resource === invalid.slot);
          if (lost) client.inSlot = false;
        }
        invalid.invalidate(new Error("the slot died"));
        return this.#count(command);
      }
      case "failCreation":
        this.#creationsThatFail = command.times;
        return this.#count(command);
    }
  }

  #openScope({ signal: withSignal, lane }: Extract<Command, { kind: "openScope" }>): void {
    // Few scopes at a time, so that commands affect each other.
    const [oldest] = this.#scopes.length === 4 ? this.#scopes.splice(0, 1) : [];
    if (oldest) {
      oldest.scope.abort(new Error("the scope aborted"));
      this.#end(oldest, true);
    }
    const signal = withSignal ? this.#signal() : undefined;
    const slots: SlotPool = {
      config: this.#pool.config,
      tryLease: (lane) => {
        const slot = this.#pool.tryLease(lane);
        if (slot) model.slots.push(slot);
        return slot;
      },
      lease: async (options) => {
        const slot = await this.#pool.lease(options);
        model.slots.push(slot);
        return slot;
      },
    };
    const scope = new CallerScope({ ...this.#scopePool, slots }, ANONYMOUS, { lane, signal: signal?.signal });
    const model: ModelScope = { scope, signal, ended: false, aborted: false, betweenCalls: false, slots: [] };
    this.#scopes.push(model);
    this.#count({ kind: "openScope" });
  }

  #lease(of: ModelScope | undefined, { lane, timeoutMs, signal: withSignal }: Terms, command: Command): void {
    const signal = withSignal ? this.#signal().signal : undefined;
    const deadlineMs = this.#clock.now() + (timeoutMs ?? ACQUIRE_TIMEOUT_MS);
    const model: ModelLease = { of, deadlineMs, state: "pending", lease: undefined };
    (of ? this.#leases : this.#outside).push(model);
    const leased: Promise<NonNullable<ModelLease["lease"]>> = of
      ? of.scope.lease({ lane, timeoutMs, signal })
      : this.#pool.lease({ lane, timeoutMs, signal });
    this.#track(leased.then((lease) => {
      model.lease = lease;
      // A lease of a scope that ended meanwhile has ended too.
      model.state = of?.ended ? "ended" : "held";
    }, (error) => {
      model.state = "ended";
      this.#expected(error);
    }));
    this.#count(command);
  }

  #call(client: ModelClient): void {
    const call: ModelCall = {
      client,
      state: "unsent",
      taken: undefined,
      answer: undefined,
      fail: undefined,
      response: undefined,
    };
    this.#calls.push(call);
    this.#track(
      client.fetch(`${URL}/rest/v1/${this.#calls.length - 1}`).then((response) => {
        call.response = response;
        call.state = "answered";
        // Unread responses expire after a grace period, which the model does not have.
        if (client.of.ended) this.#read(call);
      }, (error) => {
        call.state = "ended";
        this.#expected(error);
      }),
    );
  }

  #read(call: ModelCall): void {
    if (call.state !== "answered" || !call.response) return;
    call.state = "reading";
    this.#track(
      call.response.text().then(() => {}, (error) => this.#expected(error)).then(() => {
        call.state = "ended";
      }),
    );
  }

  /** Reads a body that was taken as a stream to its end. */
  #readTaken(call: ModelCall): void {
    if (call.state !== "taken" || !call.taken) return;
    const { reader } = call.taken;
    call.state = "reading";
    const read = async (): Promise<void> => {
      while (!(await reader.read()).done);
    };
    this.#track(
      read().catch((error) => this.#expected(error)).then(() => {
        call.state = "ended";
      }),
    );
  }

  /** Takes a client out of the slot, in the model, if its scope does not keep it there and no call needs the slot. */
  #leaveIfIdle(client: ModelClient): void {
    if (!client.of.ended && !client.of.betweenCalls) return;
    const now = this.#clock.now();
    const isBusy = this.#calls.some(({ client: of, state, taken }) =>
      of === client && state !== "ended" && (state !== "taken" || !taken || now - taken.atMs < UNREAD_GRACE_MS)
    );
    if (!isBusy) client.inSlot = false;
  }

  #release(model: ModelLease | undefined, { destroy, dispose }: { destroy: boolean; dispose: boolean }): void {
    if (!model?.lease) return;
    try {
      if (dispose) model.lease[Symbol.dispose]();
      else model.lease.release({ destroy });
    } catch (error) {
      this.#expected(error);
      assert(model.state === "ended" || this.#shutDown, String(error)); // released before, or revoked
    }
    model.state = "ended";
    this.#count({ kind: "release" });
  }

  #close(scope: ModelScope): number {
    const { unreleased } = scope.scope.close();
    this.#end(scope, false);
    for (const call of this.#calls) if (call.client.of === scope) this.#read(call);
    return unreleased;
  }

  #end(scope: ModelScope, aborted: boolean): void {
    scope.ended = true;
    scope.aborted ||= aborted;
    for (const model of this.#leases) if (model.of === scope && model.state === "held") model.state = "ended";
  }

  #signal(): AbortController {
    const signal = new AbortController();
    this.#signals.push(signal);
    return signal;
  }

  #track(promise: Promise<unknown>): void {
    this.#unsettled++;
    promise.finally(() => this.#unsettled--);
  }

  /** Records an error that neither scopes, nor pools, nor this test cause on purpose. */
  #expected(error: unknown): void {
    const announced = (error instanceof PoolError && !(error instanceof ConfigError)) ||
      (error instanceof Error && /aborted|died|no network/.test(error.message));
    if (!announced) this.#unexpected ??= error;
  }

  #count({ kind }: Pick<Command, "kind">): void {
    this.tally[kind] = (this.tally[kind] ?? 0) + 1;
  }
}

/** Returns the item at `index`, modulo the length, or `undefined` if there is none. */
function at<T>(items: readonly T[], index: number): T | undefined {
  return items[index % items.length];
}
