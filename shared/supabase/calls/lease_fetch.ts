/**
 * The `fetch` of one lease: whose credentials its calls send, how many run at
 * once, how long each may take, and that none outlives the lease.
 *
 * @module
 */
import { type AcquireLane, LeaseReleasedError } from "../../pool/mod.ts";
import { Call, type CallHost, type CallTimes } from "./call.ts";
import type { Credentials } from "../identity.ts";
import { fetchWithinProject, globalFetch, type HeaderRecord, projectRequest } from "./project_request.ts";
import type { CallLimiter } from "../scope/call_limiter.ts";
import { trackText } from "./text_response.ts";
import { trackBody } from "./tracked_body.ts";

/** The settings that the calls of all leases of a pool share. */
export interface CallSettings extends CallTimes {
  /** The project's URL, without a slash at its end. */
  readonly baseUrl: string;
  readonly fetch: typeof fetch;
}

/** The slot that the calls of a lease run in. */
export interface CallSlot {
  /** Limits the calls that run in it at once. */
  readonly limiter: CallLimiter;
  /** Takes the slot for `member`; `undefined` once it is held. Needed by views only. */
  take(
    member: LeaseFetch,
    lane: AcquireLane | undefined,
    timeoutMs: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> | undefined;
}

/** The terms on which a view takes its slot, at its first call. */
export interface ViewOptions {
  readonly lane: AcquireLane | undefined;
  readonly timeoutMs: number | undefined;
}

/** The maximum number of failures that are kept for {@linkcode LeaseFetch.failure}. */
const KEPT_FAILURES = 8;

const NO_LINKS: readonly AbortSignal[] = [];

/**
 * A `fetch` bound to one lease or view. It sends that lease's credentials,
 * wherever and whenever its promise is awaited; after the lease has ended it
 * sends nothing.
 */
export class LeaseFetch implements CallHost {
  /** The credentials that the calls send. */
  readonly credentials: Credentials;
  readonly #settings: CallSettings;
  readonly #slot: CallSlot;
  readonly #signal: AbortSignal | undefined;
  readonly #view: ViewOptions | undefined;
  #state: "open" | "finishing" | "ended" = "open";
  #reason: unknown = undefined;
  #fetch: typeof fetch | undefined = undefined;
  // Created when they are needed: many a lease makes no call.
  #pending: Set<Call> | undefined = undefined;
  #failures: unknown[] | undefined = undefined;
  #onQuiet: (() => void)[] | undefined = undefined;
  /** The number of calls that wait for their client to be loaded. */
  #loading = 0;
  #onLoaded: (() => void)[] | undefined = undefined;

  /**
   * @param slot Where the calls run.
   * @param signal Aborts every call when it aborts: the caller has disconnected, for example.
   * @param view For a view, which takes its slot at its first call. Default: the slot is held.
   */
  constructor(
    settings: CallSettings,
    credentials: Credentials,
    slot: CallSlot,
    signal?: AbortSignal | undefined,
    view?: ViewOptions | undefined,
  ) {
    this.credentials = credentials;
    this.#settings = settings;
    this.#slot = slot;
    this.#signal = signal;
    this.#view = view;
  }

  /** True if it belongs to a view, and not to a lease that has to be released. */
  get isView(): boolean {
    return this.#view !== undefined;
  }

  /** The fetch that sends the calls, before anything is bound to the lease. */
  get rawFetch(): typeof fetch {
    return this.#settings.fetch;
  }

  /** Throws once the lease has ended. */
  check(): void {
    if (this.#state !== "open") throw this.#endReason();
  }

  /**
   * Announces a call whose client has to be loaded before it can send: {@linkcode finish} waits for it as for one under
   * way.
   *
   * @returns To be called once the call has been sent, or cannot be.
   */
  markPending(): () => void {
    this.#loading++;
    return () => {
      if (--this.#loading === 0) { for (const resolve of this.#onLoaded?.splice(0) ?? []) resolve(); }
    };
  }

  /** `fetch`, bound to the lease. A standalone function, as clients take it. */
  get fetch(): typeof fetch {
    return this.#fetch ??= (input, init) => this.send(input, init, this.#settings.fetch);
  }

  /**
   * Sends one call through `send`.
   *
   * @param query For calls of postgrest-js, which reads its response by `text()` and in no other way: the headers that
   * all queries have in common.
   * @throws {LeaseReleasedError} after the lease has ended, or when it ends meanwhile.
   * @throws {RequestTimeoutError} when it takes longer than `requestTimeoutMs`.
   * @throws {ForeignAddressError} when it, or a redirect, would leave the project.
   * @throws {RedirectError} when it is redirected and that cannot be followed.
   */
  async send(
    input: RequestInfo | URL,
    init: RequestInit | undefined,
    send: typeof fetch,
    query?: HeaderRecord,
  ): Promise<Response> {
    const { baseUrl } = this.#settings;
    let call: Call | undefined;
    try {
      this.check();
      const request = projectRequest(input, init, baseUrl, query);
      call = new Call(this, this.#settings, this.#links(request.signal));
      (this.#pending ??= new Set()).add(call);
      const permit = this.#slot.limiter.acquire(call);
      if (permit) {
        await call.race(permit);
        call.signal.throwIfAborted();
      }
      if (this.#view) {
        const taken = this.#slot.take(this, this.#view.lane, this.#view.timeoutMs, this.#signal);
        if (taken) await call.race(taken);
      }
      const { signal } = call;
      signal.throwIfAborted();
      call.begin();
      const sending = fetchWithinProject({ request, credentials: this.credentials, signal, baseUrl, send });
      // A fetch that is not the runtime's own may ignore signals.
      const answer = await (send === globalFetch ? sending : call.race(sending));
      call.markAnswered();
      const tracked = (query ? trackText : trackBody)(answer.response, request.method, answer, call);
      if (this.#state !== "open") call.expireUnread();
      return tracked;
    } catch (error) {
      call?.settle();
      const reason = call?.signal.aborted ? call.signal.reason : error;
      this.onFailed(reason);
      throw reason;
    }
  }

  /**
   * The error of a call that a client has flattened to `Name: message`.
   * supabase-js keeps neither the error nor its code.
   */
  failure(text: string): unknown {
    return this.#failures?.findLast((error) => error instanceof Error && `${error.name}: ${error.message}` === text);
  }

  /**
   * Aborts every call under way and refuses later ones.
   *
   * @param reason The error of both. Default: a `LeaseReleasedError`.
   */
  end(reason?: unknown): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    if (reason !== undefined) this.#reason = reason;
    if (!this.#pending) return;
    for (const call of [...this.#pending]) call.abort(this.#endReason());
  }

  /**
   * Refuses later calls, and resolves when those under way have been answered
   * and their bodies read; `undefined` if there are none. A response that is not
   * read is soon discarded. {@linkcode end} cuts the wait short.
   */
  finish(): Promise<void> | undefined {
    if (this.#state === "open" && this.#loading > 0) {
      return new Promise<void>((resolve) => (this.#onLoaded ??= []).push(resolve)).then(() => this.finish());
    }
    if (this.#state === "open") this.#state = "finishing";
    if (!this.#pending || this.#pending.size === 0) return undefined;
    for (const call of this.#pending) call.expireUnread();
    return new Promise<void>((resolve) => (this.#onQuiet ??= []).push(resolve));
  }

  /** For {@linkcode Call}: keeps the error of one that failed. */
  onFailed(error: unknown): void {
    const failures = this.#failures ??= [];
    if (failures.at(-1) === error) return;
    failures.push(error);
    if (failures.length > KEPT_FAILURES) failures.shift();
  }

  /** For {@linkcode Call}: one has settled. */
  onSettled(call: Call): void {
    this.#pending?.delete(call);
    this.#slot.limiter.release(call);
    if (this.#pending?.size === 0) { for (const resolve of this.#onQuiet?.splice(0) ?? []) resolve(); }
  }

  /** Returns the error that calls are rejected with. Created on demand: after most leases there are no calls. */
  #endReason(): unknown {
    return this.#reason ??= new LeaseReleasedError();
  }

  /** The signals that abort a call besides its lease, none of them aborted yet. */
  #links(own: AbortSignal | undefined): readonly AbortSignal[] {
    if (this.#signal === undefined && own === undefined) return NO_LINKS;
    const links = [this.#signal, own].filter((link) => link !== undefined);
    for (const link of links) if (link.aborted) throw link.reason;
    return links;
  }
}
