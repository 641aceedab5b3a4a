/**
 * The calls of one lease: whose they are, how many run at once, how long each
 * may take, and that none outlives the lease.
 *
 * @module
 */
import { LeaseReleasedError } from "../../pool/mod.ts";
import { Call, type CallOwner, type CallTimes } from "./call.ts";
import { globalFetch } from "./global_fetch.ts";
import type { Credentials } from "../identity.ts";
import { type Carried, projectRequest, sendWithin } from "./project_request.ts";
import { trackText } from "./text_answer.ts";
import { trackBody } from "./tracked_body.ts";
import { Turns } from "../scope/turns.ts";

/** What the calls of every lease of a pool run on. */
export interface CallSettings extends CallTimes {
  /** The project's address, without a slash at its end. */
  readonly baseUrl: string;
  /** So many calls of one lease run at once. */
  readonly callsPerLease: number;
  readonly fetch: typeof fetch;
}

/** What the calls of a lease share with those of others, and wait for. */
export interface CallPlace {
  /** Whose turn it is to run. Default: the lease's calls among themselves. */
  readonly turns?: Turns;
  /** Takes the lease's slot, where it is taken at the first call; `undefined` once it is held. Default: it is held. */
  take?(): Promise<void> | undefined;
}

/** How many failures are kept for {@linkcode LeaseCalls.failure}. */
const KEPT_FAILURES = 8;

const NO_LINKS: readonly AbortSignal[] = [];

/**
 * A `fetch` bound to one lease. It sends that lease's credentials, whoever
 * awaits it and whenever; after the lease has ended it sends nothing.
 */
export class LeaseCalls implements CallOwner {
  /** What the calls send. */
  readonly credentials: Credentials;
  readonly #settings: CallSettings;
  readonly #signal: AbortSignal | undefined;
  readonly #place: CallPlace | undefined;
  #state: "open" | "finishing" | "ended" = "open";
  #reason: unknown = undefined;
  #fetch: typeof fetch | undefined = undefined;
  // Made when they are needed: many a lease makes no call.
  #underWay: Set<Call> | undefined = undefined;
  #turns: Turns | undefined;
  #failures: unknown[] | undefined = undefined;
  #onQuiet: (() => void)[] | undefined = undefined;
  /** How many calls are being made whose client is still to be loaded. */
  #preparing = 0;
  #onPrepared: (() => void)[] | undefined = undefined;

  /**
   * @param signal Ends every call when it aborts, as when the caller has gone away.
   * @param place Where they run. Default: in a slot of their own, held already.
   */
  constructor(
    settings: CallSettings,
    credentials: Credentials,
    signal?: AbortSignal | undefined,
    place?: CallPlace | undefined,
  ) {
    this.credentials = credentials;
    this.#settings = settings;
    this.#signal = signal;
    this.#place = place;
    this.#turns = place?.turns;
  }

  /** The fetch that sends them, before anything is bound to the lease. */
  get rawFetch(): typeof fetch {
    return this.#settings.fetch;
  }

  /** Throws once the lease has ended. */
  check(): void {
    if (this.#state !== "open") throw this.#why();
  }

  /**
   * For a call whose client has to be loaded before it can send: {@linkcode finish} waits for it as for one under way.
   *
   * @returns To be called once it has been sent, or cannot be.
   */
  prepare(): () => void {
    this.#preparing++;
    return () => {
      if (--this.#preparing === 0) { for (const resolve of this.#onPrepared?.splice(0) ?? []) resolve(); }
    };
  }

  /** `fetch`, bound to the lease. A standalone function, as clients take it. */
  get fetch(): typeof fetch {
    return this.#fetch ??= (input, init) => this.send(input, init, this.#settings.fetch);
  }

  /**
   * Sends one call through `send`.
   *
   * @param query Where it is postgrest-js that calls, which reads its answer by `text()` and in no other way: the
   * headers that all queries have in common.
   * @throws {LeaseReleasedError} after the lease has ended, or when it ends meanwhile.
   * @throws {RequestTimeoutError} when it takes longer than `requestTimeoutMs`.
   * @throws {ForeignAddressError} when it, or a redirect, would leave the project.
   * @throws {RedirectError} when it is redirected and that cannot be followed.
   */
  async send(
    input: RequestInfo | URL,
    init: RequestInit | undefined,
    send: typeof fetch,
    query?: Carried,
  ): Promise<Response> {
    const { baseUrl } = this.#settings;
    let call: Call | undefined;
    try {
      this.check();
      const request = projectRequest(input, init, baseUrl, query);
      const turns = this.#turns ??= new Turns(this.#settings.callsPerLease);
      call = new Call(this, this.#settings, this.#links(request.signal));
      (this.#underWay ??= new Set()).add(call);
      const turn = turns.take(call);
      if (turn) await call.race(turn);
      const taken = this.#place?.take?.();
      if (taken) await call.race(taken);
      const { signal } = call;
      signal.throwIfAborted();
      call.begin();
      const sending = sendWithin({ request, credentials: this.credentials, signal, baseUrl, send });
      // One that is not the runtime's own may know nothing of signals.
      const answer = await (send === globalFetch ? sending : call.race(sending));
      call.answered();
      const tracked = (query ? trackText : trackBody)(answer.response, request.method, answer, call);
      if (this.#state !== "open") call.expireUnread();
      return tracked;
    } catch (error) {
      call?.over();
      const reason = call?.signal.aborted ? call.signal.reason : error;
      this.failed(reason);
      throw reason;
    }
  }

  /**
   * What a call threw that a client has flattened to `Name: message`.
   * supabase-js keeps neither the error nor its code.
   */
  failure(text: string): unknown {
    return this.#failures?.findLast((error) => error instanceof Error && `${error.name}: ${error.message}` === text);
  }

  /**
   * Ends every call under way and refuses those to come.
   *
   * @param reason What they fail with. Default: a `LeaseReleasedError`.
   */
  end(reason?: unknown): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    if (reason !== undefined) this.#reason = reason;
    if (!this.#underWay) return;
    for (const call of [...this.#underWay]) call.cut(this.#why());
  }

  /**
   * Refuses calls to come, and resolves when those under way have been answered
   * and read; `undefined` where none is. An answer that nobody begins to read is
   * soon given up. {@linkcode end} still cuts it short.
   */
  finish(): Promise<void> | undefined {
    if (this.#state === "open" && this.#preparing > 0) {
      return new Promise<void>((resolve) => (this.#onPrepared ??= []).push(resolve)).then(() => this.finish());
    }
    if (this.#state === "open") this.#state = "finishing";
    if (!this.#underWay || this.#underWay.size === 0) return undefined;
    for (const call of this.#underWay) call.expireUnread();
    return new Promise<void>((resolve) => (this.#onQuiet ??= []).push(resolve));
  }

  /** For {@linkcode Call}: keeps why one failed. */
  failed(error: unknown): void {
    const failures = this.#failures ??= [];
    if (failures.at(-1) === error) return;
    failures.push(error);
    if (failures.length > KEPT_FAILURES) failures.shift();
  }

  /** For {@linkcode Call}: one is over. */
  over(call: Call): void {
    this.#underWay?.delete(call);
    this.#turns?.leave(call);
    if (this.#underWay?.size === 0) { for (const resolve of this.#onQuiet?.splice(0) ?? []) resolve(); }
  }

  /** Why calls are refused. Made when it is asked for: most leases end with nobody left to ask. */
  #why(): unknown {
    return this.#reason ??= new LeaseReleasedError();
  }

  /** What ends a call beside its lease, none of it aborted yet. */
  #links(own: AbortSignal | undefined): readonly AbortSignal[] {
    if (this.#signal === undefined && own === undefined) return NO_LINKS;
    const links = [this.#signal, own].filter((link) => link !== undefined);
    for (const link of links) if (link.aborted) throw link.reason;
    return links;
  }
}
