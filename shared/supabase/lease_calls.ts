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
import { trackBody } from "./tracked_body.ts";

/** What the calls of a lease run on. */
export interface CallOptions {
  /** The project's address, without a slash at its end. */
  readonly baseUrl: string;
  readonly credentials: Credentials;
  /** How long one call may take, its body included, in ms. */
  readonly requestTimeoutMs: number;
  /** So many run at once. */
  readonly callsPerLease: number;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  /** Ends every call when it aborts, as when the caller has gone away. */
  readonly signal?: AbortSignal | undefined;
  /** Takes the lease's slot, where it is taken at the first call. */
  readonly take?: (() => Promise<void>) | undefined;
}

/** How many failures are kept for {@linkcode LeaseCalls.failure}. */
const KEPT_FAILURES = 8;

/**
 * A `fetch` bound to one lease. It sends that lease's credentials, whoever
 * awaits it and whenever; after the lease has ended it sends nothing.
 */
export class LeaseCalls {
  readonly #options: CallOptions;
  readonly #calls = new Set<Call>();
  /** Calls that wait for their turn, in order, and what starts each. */
  readonly #turns = new Map<Call, () => void>();
  readonly #failures: unknown[] = [];
  #running = 0;
  #state: "open" | "finishing" | "ended" = "open";
  #reason: unknown = undefined;
  readonly #onQuiet: (() => void)[] = [];

  constructor(options: CallOptions) {
    this.#options = options;
  }

  /** What the calls send. */
  get credentials(): Credentials {
    return this.#options.credentials;
  }

  /** The fetch that sends them, before anything is bound to the lease. */
  get rawFetch(): typeof fetch {
    return this.#options.fetch;
  }

  /** Throws once the lease has ended. */
  check(): void {
    if (this.#state !== "open") throw this.#why();
  }

  /** `fetch`, bound to the lease. A standalone function, as clients take it. */
  readonly fetch = (input: RequestInfo | URL, init?: RequestInit): Promise<Response> =>
    this.send(input, init, this.#options.fetch);

  /**
   * Sends one call through `send`.
   *
   * @throws {LeaseReleasedError} after the lease has ended, or when it ends meanwhile.
   * @throws {RequestTimeoutError} when it takes longer than `requestTimeoutMs`.
   * @throws {ForeignAddressError} when it, or a redirect, would leave the project.
   * @throws {RedirectError} when it is redirected and that cannot be followed.
   */
  async send(input: RequestInfo | URL, init: RequestInit | undefined, send: typeof fetch): Promise<Response> {
    try {
      return await this.#send(input, init, send);
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
    return this.#failures.findLast((error) => error instanceof Error && `${error.name}: ${error.message}` === text);
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
    for (const call of [...this.#calls]) call.cut(this.#why());
  }

  /**
   * Refuses calls to come, and resolves when those under way have been answered
   * and read. An answer that nobody begins to read is soon given up.
   * {@linkcode end} still cuts it short.
   */
  async finish(): Promise<void> {
    if (this.#state === "open") this.#state = "finishing";
    if (this.#calls.size === 0) return;
    for (const call of this.#calls) call.expireUnread();
    await new Promise<void>((resolve) => this.#onQuiet.push(resolve));
  }

  /** Why calls are refused. Made when it is asked for: most leases end with nobody left to ask. */
  #why(): unknown {
    return this.#reason ??= new LeaseReleasedError();
  }

  async #send(input: RequestInfo | URL, init: RequestInit | undefined, send: typeof fetch): Promise<Response> {
    this.check();
    const { baseUrl, requestTimeoutMs, signal, take, clock } = this.#options;
    const request = projectRequest(input, init, baseUrl);
    const links = [signal, request.signal].filter((link) => link !== undefined);
    for (const link of links) if (link.aborted) throw link.reason;

    const call = new Call({
      links,
      timeoutMs: requestTimeoutMs,
      clock,
      onOver: (over) => this.#leave(over),
      onFailure: (error) => this.#remember(error),
    });
    this.#calls.add(call);
    try {
      await this.#turn(call);
      if (take) await race(take(), call.signal);
      call.signal.throwIfAborted();
      const headers = this.#headers(request.headers);
      const { response, ...origin } = await sendWithin(request, headers, call.signal, baseUrl, send);
      call.answered();
      const tracked = trackBody(response, request.method, origin, call);
      if (this.#state !== "open") call.expireUnread();
      return tracked;
    } catch (error) {
      call.over();
      throw call.signal.aborted ? call.signal.reason : error;
    }
  }

  #remember(error: unknown): void {
    if (this.#failures.at(-1) === error) return;
    this.#failures.push(error);
    if (this.#failures.length > KEPT_FAILURES) this.#failures.shift();
  }

  #headers(given: HeadersInit | undefined): Headers {
    const headers = new Headers(given);
    const { apikey, authorization, mayOverride } = this.#options.credentials;
    headers.set("apikey", apikey);
    if (mayOverride && headers.has("authorization")) return headers;
    if (authorization) headers.set("authorization", authorization);
    else headers.delete("authorization");
    return headers;
  }

  /** Waits until fewer than `callsPerLease` run. */
  async #turn(call: Call): Promise<void> {
    if (this.#running < this.#options.callsPerLease) {
      this.#running++;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turns.set(call, resolve);
    await race(promise, call.signal);
  }

  #leave(call: Call): void {
    this.#calls.delete(call);
    if (!this.#turns.delete(call)) this.#passOn();
    if (this.#calls.size === 0) { for (const resolve of this.#onQuiet.splice(0)) resolve(); }
  }

  /** Gives a turn that is over to the call that has waited longest. */
  #passOn(): void {
    for (const [next, start] of this.#turns) {
      this.#turns.delete(next);
      return start();
    }
    this.#running--;
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
