/**
 * The calls of one lease: whose they are, how many run at once, how long each
 * may take, and that none outlives the lease.
 *
 * @module
 */
import type { Clock, Timer } from "../resilience/mod.ts";
import { LeaseReleasedError } from "../pool/mod.ts";
import { RequestTimeoutError } from "./errors.ts";
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

/** One call under way. */
interface Call {
  readonly controller: AbortController;
  /** The turn of a call that waits for one. */
  start: (() => void) | undefined;
}

/**
 * A `fetch` bound to one lease. It sends that lease's credentials, whoever
 * awaits it and whenever; after the lease has ended it sends nothing.
 */
export class LeaseCalls {
  readonly #options: CallOptions;
  readonly #calls = new Set<Call>();
  readonly #turns: Call[] = [];
  readonly #failures: unknown[] = [];
  #running = 0;
  #ended: { readonly reason: unknown } | undefined = undefined;
  #onQuiet: (() => void)[] = [];

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
    if (this.#ended) throw this.#ended.reason;
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

  /** Ends every call under way and refuses those to come. */
  end(reason: unknown = new LeaseReleasedError()): void {
    if (this.#ended) return;
    this.#ended = { reason };
    for (const { controller } of [...this.#calls]) controller.abort(reason);
  }

  /** Refuses calls to come, and resolves when those under way have been answered and read. */
  async finish(): Promise<void> {
    this.#ended ??= { reason: new LeaseReleasedError() };
    if (this.#calls.size > 0) await new Promise<void>((resolve) => this.#onQuiet.push(resolve));
  }

  async #send(input: RequestInfo | URL, init: RequestInit | undefined, send: typeof fetch): Promise<Response> {
    this.check();
    const { baseUrl, requestTimeoutMs, signal, take } = this.#options;
    const request = projectRequest(input, init, baseUrl);

    const call: Call = { controller: new AbortController(), start: undefined };
    const { controller } = call;
    const links = [signal, request.signal].filter((link) => link !== undefined);
    for (const link of links) if (link.aborted) throw link.reason;
    const abort = () => controller.abort(links.find((link) => link.aborted)?.reason);
    for (const link of links) link.addEventListener("abort", abort);
    const timer: Timer = this.#options.clock.setTimer(
      () => controller.abort(new RequestTimeoutError(requestTimeoutMs)),
      requestTimeoutMs,
    );
    let open = true;
    const done = () => {
      if (!open) return;
      open = false;
      timer.cancel();
      for (const link of links) link.removeEventListener("abort", abort);
      this.#leave(call);
    };
    controller.signal.addEventListener("abort", () => {
      this.#remember(controller.signal.reason);
      done(); // what is left of its body is not read any more
    });
    this.#calls.add(call);
    try {
      await this.#turn(call);
      if (take) await race(take(), controller.signal);
      controller.signal.throwIfAborted();
      const headers = this.#headers(request.headers);
      const { response } = await sendWithin(request, headers, controller.signal, baseUrl, send);
      return trackBody(response, request.method, done);
    } catch (error) {
      done();
      throw controller.signal.aborted ? controller.signal.reason : error;
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
    if (this.#running >= this.#options.callsPerLease) {
      const { promise, resolve } = Promise.withResolvers<void>();
      call.start = resolve;
      this.#turns.push(call);
      await race(promise, call.controller.signal);
    } else {
      this.#running++;
    }
  }

  #leave(call: Call): void {
    if (!this.#calls.delete(call)) return;
    const place = this.#turns.indexOf(call);
    if (place >= 0) {
      this.#turns.splice(place, 1);
    } else {
      const next = this.#turns.shift();
      if (next) next.start?.();
      else this.#running--;
    }
    if (this.#calls.size === 0) { for (const resolve of this.#onQuiet.splice(0)) resolve(); }
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
