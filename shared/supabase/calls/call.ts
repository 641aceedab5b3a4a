/**
 * One call under way.
 *
 * @module
 */
import type { Clock, Deadlines, Timer } from "../../resilience/mod.ts";
import { LeaseReleasedError } from "../../pool/mod.ts";
import { RequestTimeoutError } from "../errors.ts";
import type { PermitHolder } from "../scope/call_limiter.ts";
import type { BodyWatcher } from "./tracked_body.ts";

/**
 * The time a response may lie unread after its lease has ended, or while another call waits for a permit, in ms. A
 * program that passes a response on begins to read it at once, in the same turn of the event loop; one that lies unread
 * for longer has been dropped, as clients drop the bodies of errors. Long enough for a busy isolate, short beside any
 * request.
 */
export const UNREAD_GRACE_MS = 100;

/** The timing of calls. */
export interface CallTimes {
  readonly deadlines: Deadlines;
  /** The longest time from when a call is sent until its body has been read, in ms. */
  readonly requestTimeoutMs: number;
  readonly clock: Clock;
}

/** The owner of a call. */
export interface CallHost {
  /** Called once, when the call has settled: its response was read to the end, canceled, failed or aborted. */
  onSettled(call: Call): void;
  /** Called with the reason when it, or the rest of its body, failed. */
  onFailed(error: unknown): void;
}

/** One call, from before it is sent until its response's body has been read. It leaves no timer and no listener. */
export class Call implements PermitHolder, BodyWatcher {
  readonly #host: CallHost;
  readonly #times: CallTimes;
  readonly #links: readonly AbortSignal[];
  readonly #onAbort: ((event: Event) => void) | undefined;
  readonly #controller = new AbortController();
  #timeout: Timer | undefined = undefined;
  #grace: Timer | undefined = undefined;
  #yieldPermit: (() => void) | undefined = undefined;
  #permitGrace: Timer | undefined = undefined;
  /** Rejects what the call waits for: a permit, the slot, the text of its response. One at a time. */
  #reject: ((reason: unknown) => void) | undefined = undefined;
  #state: "sending" | "unread" | "reading" | "settled" = "sending";

  /** @param links Each aborts the call when it aborts. */
  constructor(host: CallHost, times: CallTimes, links: readonly AbortSignal[]) {
    this.#host = host;
    this.#times = times;
    this.#links = links;
    if (links.length === 0) return;
    this.#onAbort = (event) => this.abort((event.target as AbortSignal).reason);
    for (const link of links) link.addEventListener("abort", this.#onAbort);
  }

  /** Starts the call's time: it is about to be sent. */
  begin(): void {
    const { deadlines, requestTimeoutMs } = this.#times;
    this.#timeout = deadlines.start(requestTimeoutMs, () => this.abort(new RequestTimeoutError(requestTimeoutMs)));
  }

  /** Aborts with the call. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Settles as `promise` does, or rejects with the reason that aborts the call first. */
  race<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const { signal } = this;
      if (signal.aborted) reject(signal.reason);
      else this.#reject = reject;
      promise.then(resolve, reject);
    });
  }

  /** Aborts it. The rest of its body is not read. */
  abort(reason: unknown): void {
    if (this.#state === "settled") return;
    const reject = this.#reject;
    this.#host.onFailed(reason);
    this.settle();
    this.#controller.abort(reason);
    reject?.(this.signal.reason);
  }

  /** Notes that there is a response, and that nothing of it has been read. */
  markAnswered(): void {
    if (this.#state !== "sending") return;
    this.#state = "unread";
    if (this.#yieldPermit) this.onContention(this.#yieldPermit);
  }

  onContention(yieldPermit: () => void): void {
    this.#yieldPermit = yieldPermit;
    if (this.#state === "unread") this.#permitGrace ??= this.#times.clock.setTimer(yieldPermit, UNREAD_GRACE_MS);
  }

  /** Notes that the response is being read, or that its body has been taken. */
  markReading(): void {
    if (this.#state !== "settled") this.#state = "reading";
    this.#grace?.cancel();
    this.#permitGrace?.cancel();
  }

  /** Marks the response as being read, and settles with the body that `read` returns. */
  read<T>(read: () => Promise<T>): Promise<T> {
    if (this.signal.aborted) return Promise.reject(this.signal.reason);
    this.markReading();
    return this.race(
      read().then((body) => {
        this.settle();
        return body;
      }, (error) => {
        this.fail(error);
        throw error;
      }),
    );
  }

  /** Notes that the body failed. */
  fail(error: unknown): void {
    if (this.#state !== "settled") this.#host.onFailed(error);
    this.settle();
  }

  /** Notes that nothing more is to come of it. */
  settle(): void {
    if (this.#state === "settled") return;
    this.#state = "settled";
    this.#reject = undefined;
    this.#timeout?.cancel();
    this.#grace?.cancel();
    this.#permitGrace?.cancel();
    if (this.#onAbort) { for (const link of this.#links) link.removeEventListener("abort", this.#onAbort); }
    this.#host.onSettled(this);
  }

  /** Gives an unread response its grace: the lease has ended, and does not wait for it any longer. */
  expireUnread(): void {
    if (this.#state !== "unread") return;
    this.#grace ??= this.#times.clock.setTimer(() => this.abort(new LeaseReleasedError()), UNREAD_GRACE_MS);
  }
}
