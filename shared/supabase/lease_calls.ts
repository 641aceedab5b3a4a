/**
 * The calls of one lease: whose they are, how many run at once, how long each
 * may take, and that none outlives the lease.
 *
 * @module
 */
import type { Clock } from "../resilience/mod.ts";
import { LeaseReleasedError } from "../pool/mod.ts";
import { Call } from "./call.ts";
import type { Credentials } from "./identity.ts";
import { projectRequest, sendWithin } from "./project_request.ts";
import { trackText } from "./text_answer.ts";
import { trackBody } from "./tracked_body.ts";
import { Turns } from "./turns.ts";

/** What the calls of every lease of a pool run on. */
export interface CallSettings {
  /** The project's address, without a slash at its end. */
  readonly baseUrl: string;
  /** How long one call may take, its body included, in ms. */
  readonly requestTimeoutMs: number;
  /** So many calls of one lease run at once. */
  readonly callsPerLease: number;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
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

/**
 * A `fetch` bound to one lease. It sends that lease's credentials, whoever
 * awaits it and whenever; after the lease has ended it sends nothing.
 */
export class LeaseCalls {
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

  /** `fetch`, bound to the lease. A standalone function, as clients take it. */
  get fetch(): typeof fetch {
    return this.#fetch ??= (input, init) => this.send(input, init, this.#settings.fetch);
  }

  /**
   * Sends one call through `send`.
   *
   * @param own Whether it is postgrest-js that calls, which reads its answer by `text()` and in no other way.
   * @throws {LeaseReleasedError} after the lease has ended, or when it ends meanwhile.
   * @throws {RequestTimeoutError} when it takes longer than `requestTimeoutMs`.
   * @throws {ForeignAddressError} when it, or a redirect, would leave the project.
   * @throws {RedirectError} when it is redirected and that cannot be followed.
   */
  async send(
    input: RequestInfo | URL,
    init: RequestInit | undefined,
    send: typeof fetch,
    own = false,
  ): Promise<Response> {
    try {
      return await this.#send(input, init, send, own);
    } catch (error) {
      this.#remember(error);
      throw error;
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
   * and read. An answer that nobody begins to read is soon given up.
   * {@linkcode end} still cuts it short.
   */
  async finish(): Promise<void> {
    if (this.#state === "open") this.#state = "finishing";
    if (!this.#underWay || this.#underWay.size === 0) return;
    for (const call of this.#underWay) call.expireUnread();
    await new Promise<void>((resolve) => (this.#onQuiet ??= []).push(resolve));
  }

  /** Why calls are refused. Made when it is asked for: most leases end with nobody left to ask. */
  #why(): unknown {
    return this.#reason ??= new LeaseReleasedError();
  }

  async #send(
    input: RequestInfo | URL,
    init: RequestInit | undefined,
    send: typeof fetch,
    own: boolean,
  ): Promise<Response> {
    this.check();
    const { baseUrl, requestTimeoutMs, callsPerLease, clock } = this.#settings;
    const request = projectRequest(input, init, baseUrl);
    const links = [this.#signal, request.signal].filter((link) => link !== undefined);
    for (const link of links) if (link.aborted) throw link.reason;

    const turns = this.#turns ??= new Turns(callsPerLease);
    const call = new Call({
      links,
      timeoutMs: requestTimeoutMs,
      clock,
      onOver: (over) => this.#leave(over, turns),
      onFailure: (error) => this.#remember(error),
    });
    (this.#underWay ??= new Set()).add(call);
    try {
      const turn = turns.take(call);
      if (turn) await race(turn, call.signal);
      const taken = this.#place?.take?.();
      if (taken) await race(taken, call.signal);
      call.signal.throwIfAborted();
      call.begin();
      const given = new Headers(request.headers);
      const complete = (headers: Headers) => this.#complete(headers);
      const answer = await sendWithin({ request, headers: given, complete, signal: call.signal, baseUrl, send });
      const { response } = answer;
      call.answered();
      const tracked = (own ? trackText : trackBody)(response, request.method, answer, call);
      if (this.#state !== "open") call.expireUnread();
      return tracked;
    } catch (error) {
      call.over();
      throw call.signal.aborted ? call.signal.reason : error;
    }
  }

  #remember(error: unknown): void {
    const failures = this.#failures ??= [];
    if (failures.at(-1) === error) return;
    failures.push(error);
    if (failures.length > KEPT_FAILURES) failures.shift();
  }

  /** Puts the lease's credentials into `headers`. */
  #complete(headers: Headers): Headers {
    const { apikey, authorization, mayOverride } = this.credentials;
    headers.set("apikey", apikey);
    if (mayOverride && headers.has("authorization")) return headers;
    if (authorization) headers.set("authorization", authorization);
    else headers.delete("authorization");
    return headers;
  }

  #leave(call: Call, turns: Turns): void {
    this.#underWay?.delete(call);
    turns.leave(call);
    if (this.#underWay?.size === 0) { for (const resolve of this.#onQuiet?.splice(0) ?? []) resolve(); }
  }
}

/** `promise`, or the rejection of whatever aborts `signal` first. */
function race<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    promise.catch(() => {});
    return Promise.reject(signal.reason);
  }
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
