/**
 * The `fetch` of one lease: whose credentials its calls send, how many run at
 * once, how long each may take, and that none outlives the lease.
 *
 * @module
 */
import { type AcquireLane, LeaseReleasedError } from "../../pool/mod.ts";
import { checkCaller, type FailedResponse, textOf } from "../../resilience/mod.ts";
import { Call } from "./call.ts";
import type { CallHost, CallLimit, CallSettings } from "./call_host.ts";
import type { Credentials } from "../identity.ts";
import { type HeaderRecord, projectRequest } from "./project_request.ts";

/** The slot that the calls of a lease run in. */
export interface CallSlot extends CallLimit {
  /** Takes the slot for `member`; `undefined` once it is held. Needed by views only. */
  take(
    member: LeaseFetch,
    lane: AcquireLane | undefined,
    timeoutMs: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> | undefined;
  /** Removes `member` from the slot, which is released with its last member. */
  leave(member: LeaseFetch): boolean;
}

/** The terms on which a view takes its slot, at its first call. */
export interface ViewOptions {
  readonly lane: AcquireLane | undefined;
  readonly timeoutMs: number | undefined;
  /** Called with the reason when a call is refused: the view has ended. Default: none. */
  readonly onRefused?: ((reason: unknown) => void) | undefined;
}

/** A call that is sent once its client has been loaded, or its body read. */
export interface PendingCall {
  /** Returns what `send` returns. What that sends before it returns is sent even if the lease has finished meanwhile. */
  send<T>(send: () => T): T;
  /** Notes that the call has been sent, or cannot be. */
  settle(): void;
}

/** The maximum number of failures, and of responses, that are kept for {@linkcode LeaseFetch.failure}. */
const KEPT_FAILURES = 8;

const NO_LINKS: readonly AbortSignal[] = [];

/** A call that is announced too late: nothing waits for it. */
const REFUSED: PendingCall = Object.freeze({ send: <T>(send: () => T) => send(), settle: () => {} });

/**
 * A `fetch` bound to one lease or view. It sends that lease's credentials,
 * wherever and whenever its promise is awaited; after the lease has ended it
 * sends nothing.
 */
export class LeaseFetch implements CallHost {
  /** The credentials that the calls send. */
  readonly credentials: Credentials;
  /** The settings of all calls of the pool. */
  readonly settings: CallSettings;
  /** The slot that the calls run in. */
  readonly slot: CallSlot;
  /** True if reads are retried as plain supabase-js does it. */
  readonly retriesReads: boolean;
  /** Called when no call uses the slot. Default: it is held between calls. */
  onIdle: (() => void) | undefined = undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #view: ViewOptions | undefined;
  /** `loading`: only those calls may still be sent that were announced before it finished. */
  #state: "open" | "loading" | "finishing" | "ended" = "open";
  #reason: unknown = undefined;
  #fetch: typeof fetch | undefined = undefined;
  // Created when they are needed: many a lease makes no call.
  #pending: Set<Call> | undefined = undefined;
  #failures: unknown[] | undefined = undefined;
  #rejections: FailedResponse[] | undefined = undefined;
  /** The number of announced calls that have not been sent. */
  #loading = 0;
  /** True while an announced call is being sent. */
  #isSendingAnnounced = false;
  /** Ends the wait for them. */
  #onLoaded: (() => void) | undefined = undefined;

  /**
   * @param slot Where the calls run.
   * @param signal Aborts every call when it aborts: the caller has disconnected, for example.
   * @param view For a view, which takes its slot at its first call. Default: the slot is held.
   * @param retriesReads False if the caller retries by itself. Default: true.
   */
  constructor(
    settings: CallSettings,
    credentials: Credentials,
    slot: CallSlot,
    signal?: AbortSignal | undefined,
    view?: ViewOptions | undefined,
    retriesReads: boolean = true,
  ) {
    this.retriesReads = retriesReads;
    this.credentials = credentials;
    this.settings = settings;
    this.slot = slot;
    this.#signal = signal;
    this.#view = view;
  }

  /** True if it belongs to a view, and not to a lease that has to be released. */
  get isView(): boolean {
    return this.#view !== undefined;
  }

  /** True until it ends or finishes. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Calls {@linkcode onIdle} if no call uses the slot. */
  checkIdle(): void {
    if (this.onIdle && !this.#usesSlot()) this.onIdle();
  }

  /**
   * Announces a call whose client has to be loaded before it can send: {@linkcode finish} waits for it as for one under
   * way. One that is announced later is refused when it is sent.
   */
  markPending(): PendingCall {
    if (!this.#admits) return REFUSED;
    this.#loading++;
    return {
      send: (send) => {
        const before = this.#isSendingAnnounced;
        this.#isSendingAnnounced = true;
        try {
          return send();
        } finally {
          this.#isSendingAnnounced = before;
        }
      },
      settle: () => {
        if (--this.#loading === 0) this.#onLoaded?.();
      },
    };
  }

  /** `fetch`, bound to the lease. A standalone function, as clients take it. */
  get fetch(): typeof fetch {
    return this.#fetch ??= (input, init) => this.send(input, init, this.settings.fetch);
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
   * @throws {SharedLoaderError} when it would act for a user in a loader of the shared cache.
   */
  send(
    input: RequestInfo | URL,
    init: RequestInit | undefined,
    send: typeof fetch,
    query?: HeaderRecord,
  ): Promise<Response> {
    if (!this.#admits) return this.#refuse();
    try {
      if (this.credentials.token !== undefined) checkCaller();
      const trace = this.slot.traceHeaders?.();
      const common = trace ? { ...query, ...trace } : query;
      const request = projectRequest(input, init, this.settings.baseUrl, common);
      const call = new Call(this, this.#pending ??= new Set(), this.#links(request.signal));
      const { reads, fetch } = this.settings;
      const replicas = reads?.senderOf(this.slot, request);
      // A fetch of the query's own decides by itself.
      return call.run(request, send, query !== undefined, send === fetch ? replicas : undefined);
    } catch (error) {
      this.onFailed(error);
      return Promise.reject(error);
    }
  }

  /** For a view: takes the slot; `undefined` once it is held. */
  takeSlot(): Promise<void> | undefined {
    return this.slot.take(this, this.#view?.lane, this.#view?.timeoutMs, this.#signal);
  }

  /**
   * The error of a call behind `error`: that error itself, or what a client has flattened to `Name: message`.
   * supabase-js keeps neither the error nor its code.
   */
  failure(error: unknown): unknown {
    const text = typeof error === "string" ? error : textOf(error, "message");
    const isOfAuth = textOf(error, "name") === "AuthRetryableFetchError";
    return this.#failures?.findLast((failure) =>
      failure === error ||
      (failure instanceof Error &&
        (text === `${failure.name}: ${failure.message}` || (isOfAuth && text === failure.message)))
    );
  }

  /** The last response with this status that is not a success. auth-js and storage-js keep nothing else of it. */
  rejection(status: number): FailedResponse | undefined {
    return this.#rejections?.findLast((response) => response.status === status);
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
    this.#onLoaded?.();
    for (const call of [...this.#pending ?? []]) call.abort(this.#endReason());
  }

  /**
   * Refuses later calls, and resolves when those under way have been answered
   * and their bodies read; `undefined` if there are none. A response that is not
   * read is soon discarded. {@linkcode end} ends the wait. Called once.
   */
  finish(): Promise<void> | undefined {
    if (this.#state === "open" && this.#loading > 0) {
      this.#state = "loading";
      return new Promise<void>((resolve) => this.#onLoaded = resolve).then(() => this.finish());
    }
    if (this.#state !== "ended") this.#state = "finishing";
    if (!this.#pending || this.#pending.size === 0) return undefined;
    const calls = [...this.#pending];
    for (const call of calls) call.expireUnread();
    return Promise.all(calls.map((call) => call.settled)).then(() => {});
  }

  /** Keeps the error of a call that failed. */
  onFailed(error: unknown): void {
    const failures = this.#failures ??= [];
    if (failures.at(-1) !== error) keep(failures, error);
  }

  /** Keeps a response that is not a success. */
  onRejected(response: FailedResponse): void {
    keep(this.#rejections ??= [], response);
  }

  /** A view whose calls all wait to be sent again leaves the slot; the next call that is sent takes it. */
  onPaused(): void {
    if (this.isView && !this.#usesSlot()) this.slot.leave(this);
  }

  /** True if a call may be sent now. */
  get #admits(): boolean {
    return this.#state === "open" || (this.#state === "loading" && this.#isSendingAnnounced);
  }

  #usesSlot(): boolean {
    for (const call of this.#pending ?? []) if (call.usesSlot) return true;
    return false;
  }

  /** Rejects a call that comes too late. */
  #refuse(): Promise<never> {
    const reason = this.#endReason();
    this.onFailed(reason);
    this.#view?.onRefused?.(reason);
    return Promise.reject(reason);
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

function keep<T>(kept: T[], latest: T): void {
  if (kept.push(latest) > KEPT_FAILURES) kept.shift();
}
