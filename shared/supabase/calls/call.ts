/**
 * One call, from before it is sent until its response's body has been read.
 *
 * @module
 */
import {
  AttemptCounter,
  CircuitOpenError,
  type DeadlineTimer,
  type FailedResponse,
  rememberResponse,
  type RetryBudget,
  type Timer,
} from "../../resilience/mod.ts";
import { LeaseReleasedError } from "../../pool/mod.ts";
import { RequestTimeoutError } from "../errors.ts";
import type { CallHost } from "./call_host.ts";
import { CallLimiter } from "./call_limiter.ts";
import { fetchWithinProject, globalFetch, type ProjectRequest, type ProjectResponse } from "./project_request.ts";
import type { ReplicaSend } from "./read_balancer.ts";
import { asRetry, delayAfterError, delayAfterResponse, isRetriedRead, retryAfterOf } from "./read_retry.ts";
import { StreamReader } from "./stream_reader.ts";
import {
  type CallVerdict,
  type GuardedCall,
  type TargetGuard,
  verdictOnError,
  verdictOnResponse,
} from "./target_guard.ts";
import { type BodyWatcher, trackBody, trackText } from "./tracked_body.ts";

/**
 * The time a response may lie unread after its lease has ended, or while another call waits for a permit, in ms. A
 * program that passes a response on begins to read it at once, in the same turn of the event loop; one that lies unread
 * for longer has been dropped, as clients drop the bodies of errors. Long enough for a busy isolate, short beside any
 * request. A stream whose reader does not ask for more for this long is stalled: it needs no slot.
 */
export const UNREAD_GRACE_MS = 100;

/** One call. It leaves no timer and no listener. */
export class Call implements BodyWatcher {
  readonly #host: CallHost;
  readonly #unsettled: Set<Call>;
  readonly #limiter: CallLimiter;
  readonly #links: readonly AbortSignal[];
  readonly #onAbort: ((event: Event) => void) | undefined;
  readonly #controller = new AbortController();
  #timeout: DeadlineTimer | undefined = undefined;
  /** Ends the wait before a retry. */
  #pause: Timer | undefined = undefined;
  #isPaused = false;
  /** True from when it is sent until it has settled, or waits to be sent again. */
  #isUpstream = false;
  /** Created by the first retry. */
  #attempts: AttemptCounter | undefined = undefined;
  #failed: FailedResponse | undefined = undefined;
  #grace: Timer | undefined = undefined;
  #contended = false;
  #permitGrace: Timer | undefined = undefined;
  /** The reader of its body; `undefined` unless it is read as a stream. */
  #reader: StreamReader | undefined = undefined;
  /** Rejects what the call waits for: a permit, the slot, the text of its response. One at a time. */
  #reject: ((reason: unknown) => void) | undefined = undefined;
  #state: "sending" | "unread" | "reading" | "settled" = "sending";
  #settled: PromiseWithResolvers<void> | undefined = undefined;

  /**
   * @param unsettled The calls of the lease that have not settled. It contains this one until it has.
   * @param links Each aborts the call when it aborts.
   */
  constructor(host: CallHost, unsettled: Set<Call>, links: readonly AbortSignal[]) {
    this.#host = host;
    this.#unsettled = unsettled.add(this);
    this.#limiter = host.slot.limiter ??= new CallLimiter(host.slot.callsAtOnce);
    this.#links = links;
    if (links.length === 0) return;
    this.#onAbort = (event) => this.abort((event.target as AbortSignal).reason);
    for (const link of links) link.addEventListener("abort", this.#onAbort);
  }

  /** Aborts with the call. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** False while it waits to be sent again, and while the reader of its body has stalled. */
  get usesSlot(): boolean {
    return !this.#isPaused && !this.#reader?.isStalled;
  }

  /** Resolves when it has settled: its response was read to the end, canceled, failed or aborted. */
  get settled(): Promise<void> {
    return (this.#settled ??= Promise.withResolvers()).promise;
  }

  /**
   * Sends `request` through `send`, once it has a permit and the slot. Called once. A read is sent again after a failure
   * that plain supabase-js would retry, if there is time left.
   *
   * The guard of the project's part admits what is sent to the project. A call that replicas may serve is admitted only
   * when none of them does: they respond while the project does not, and say nothing about it.
   *
   * @param readsText True for a caller that reads the response by `text()` and in no other way.
   * @param replicas Sends it to a replica. Default: the project has to serve it.
   */
  async run(
    request: ProjectRequest,
    send: typeof fetch,
    readsText: boolean,
    replicas?: ReplicaSend | undefined,
  ): Promise<Response> {
    const host = this.#host;
    const { signal } = this;
    const { baseUrl, clock, deadlines, requestTimeoutMs, guards, budget } = host.settings;
    const isRetried = readsText && host.retriesReads && isRetriedRead(request);
    const guard = guards?.of(request.url);
    let guarded: GuardedCall | undefined;
    const sender: typeof fetch = !replicas ? send : (input, init) =>
      replicas(input, init, () => {
        signal.throwIfAborted();
        // Once: a redirect is sent to the project as well.
        guarded ??= guard?.admit(clock.now());
      });
    try {
      let answer: ProjectResponse;
      for (let retries = 0, openMs = 0, sent = request;;) {
        let delayMs: number | undefined;
        let failure: unknown;
        let sentAt: number | undefined;
        try {
          // A call that is not sent does not wait for a slot.
          if (!replicas) guard?.check();
          const permit = this.#limiter.acquire(this);
          if (permit) {
            await this.#race(permit);
            signal.throwIfAborted();
          }
          if (host.isView) {
            const taken = host.takeSlot();
            if (taken) await this.#race(taken);
          }
          signal.throwIfAborted();
          const now = clock.now();
          // What it rejects is not sent.
          if (!replicas) guarded = guard?.admit(now);
          sentAt = now;
          this.#isUpstream = true;
          host.slot.upstream?.begin(clock, now);
          // What retries around this call has counted it.
          if (retries === 0 && host.retriesReads) budget?.countRequest(now);
          this.#timeout = deadlines.start(requestTimeoutMs, () => this.#onTimeout(), now);
          const sending = fetchWithinProject({
            request: sent,
            credentials: host.credentials,
            signal,
            baseUrl,
            send: sender,
          });
          // A fetch that is not the runtime's own may ignore signals.
          answer = await (sender === globalFetch ? sending : this.#race(sending));
          sentAt = undefined;
          this.#called(request, now, answer.response.status, undefined);
          if (guarded) guard?.settle(guarded, verdictOnResponse(answer.response));
          guarded = undefined;
          if (answer.response.ok || !isRetried) break;
          delayMs = delayAfterResponse(answer.response, retries);
          if (delayMs === undefined || !this.#hasTimeFor(delayMs) || !mayRetry(guard, budget)) break;
          failure = answer.response;
          answer.response.body?.cancel().catch(() => {});
        } catch (error) {
          failure = error;
          if (sentAt !== undefined) this.#called(request, sentAt, undefined, error);
          if (guarded) guard?.settle(guarded, this.#verdictOn(error, request));
          guarded = undefined;
          if (signal.aborted || !isRetried) throw error;
          const isOpen = error instanceof CircuitOpenError;
          delayMs = delayAfterError(error, retries);
          if (delayMs === undefined || !this.#hasTimeFor(delayMs, openMs)) throw error;
          if (isOpen ? guard?.hasRoom === false : !mayRetry(guard, budget)) throw error;
          if (isOpen) openMs += delayMs;
        }
        if (failure instanceof CircuitOpenError) {
          await this.#waitToSend(delayMs, guard);
        } else {
          this.#attempts ??= new AttemptCounter(clock);
          this.#attempts.fail(failure);
          this.#attempts.begin();
          sent = asRetry(request, ++retries);
          await this.#waitToSend(delayMs, undefined);
        }
      }
      if (this.#state === "sending") this.#state = "unread";
      if (this.#contended) this.onContention();
      const tracked = (readsText ? trackText : trackBody)(answer.response, request.method, answer, this);
      if (!answer.response.ok) this.#noteRejection(answer.response, tracked);
      if (!host.isOpen) this.expireUnread();
      return tracked;
    } catch (error) {
      this.settle();
      const reason = signal.aborted ? signal.reason : error;
      if (!(reason instanceof CircuitOpenError)) this.#attempts?.fail(reason);
      this.#attempts?.end(reason);
      host.onFailed(reason);
      throw reason;
    }
  }

  /**
   * Returns whether a call that is sent after `delayMs` begins before its scope has to end, or else within the time of a
   * call.
   *
   * @param waitedMs The time that it has waited for an open circuit, in ms.
   */
  #hasTimeFor(delayMs: number, waitedMs = 0): boolean {
    const { settings, slot } = this.#host;
    const leftMs = slot.timeLeftMs?.() ?? Infinity;
    return leftMs < Infinity ? delayMs < leftMs : waitedMs + delayMs < settings.requestTimeoutMs;
  }

  /**
   * Waits before the call is sent, without permit and, if no other call needs it, without slot.
   *
   * @param guard Ends the wait when its circuit closes.
   */
  async #waitToSend(delayMs: number, guard: TargetGuard | undefined): Promise<void> {
    this.#timeout?.cancel();
    this.#leaveUpstream();
    this.#limiter.release(this);
    this.#isPaused = true;
    this.#host.onPaused();
    const { promise: elapsed, resolve: wake } = Promise.withResolvers<void>();
    guard?.wait(wake);
    try {
      // A caller awaits this: a script must not end here because nothing else is left to do.
      this.#pause = this.#host.settings.clock.setTimer(wake, delayMs, { keepAlive: true });
      await this.#race(elapsed);
    } finally {
      guard?.leave(wake);
      this.#pause?.cancel();
      this.#isPaused = false;
    }
    this.signal.throwIfAborted();
  }

  /** Returns the verdict on the call, which failed before it had a response. */
  #verdictOn(error: unknown, { init, target }: ProjectRequest): CallVerdict {
    const { aborted, reason } = this.signal;
    const lateMs = -this.#host.settings.deadlines.leftMs(this.#timeout);
    const isUpload = (target instanceof Request ? target.body : init?.body) instanceof ReadableStream;
    return verdictOnError(aborted ? reason : error, { aborted, lateMs, isUpload });
  }

  /** Remembers status and headers of a response that is not a success, for the errors that a client creates from its body. */
  #noteRejection(response: Response, tracked: Response): void {
    this.#attempts?.fail(response);
    this.#failed = {
      status: tracked.status,
      retryAfterMs: retryAfterOf(response),
      asUser: this.#host.credentials.token !== undefined,
      attempts: this.#attempts,
    };
    rememberResponse(tracked, this.#failed);
    this.#host.onRejected(this.#failed);
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

  /** Another call waits for a permit: one whose response is not being read does not need its own. */
  onContention(): void {
    this.#contended = true;
    if (this.#state !== "unread" && !this.#reader?.isStalled) return;
    this.#permitGrace ??= this.#host.settings.clock.setTimer(() => this.#limiter.release(this), UNREAD_GRACE_MS);
  }

  /** Notes that the response is read as a stream, or that its body has been taken. */
  markReading(): void {
    if (this.#state === "settled") return;
    this.#startReading();
    const { clock, deadlines } = this.#host.settings;
    this.#reader ??= new StreamReader({
      clock,
      deadlines,
      stallMs: UNREAD_GRACE_MS,
      onStalled: () => {
        if (this.#contended) this.#limiter.release(this);
        this.#host.checkIdle();
      },
    });
  }

  /** Notes that the reader of the stream asks for more. */
  onPull(): void {
    if (this.#state !== "settled") this.#reader?.onPull();
  }

  /** Notes that the reader of the stream has a chunk. */
  onChunk(): void {
    if (this.#state !== "settled") this.#reader?.onChunk();
  }

  /** Marks the response as being read, and settles with the body that `read` returns. */
  read<T>(read: () => Promise<T>): Promise<T> {
    if (this.signal.aborted) return Promise.reject(this.signal.reason);
    this.#startReading();
    return this.#race(
      read().then((body) => {
        this.settle();
        return body;
      }, (error) => {
        // auth-js keeps the error of a body that is not JSON, in place of the response.
        if (this.#failed) rememberResponse(error, this.#failed);
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
    this.#leaveUpstream();
    this.#timeout?.cancel();
    this.#pause?.cancel();
    this.#grace?.cancel();
    this.#permitGrace?.cancel();
    this.#reader?.stop();
    if (this.#onAbort) { for (const link of this.#links) link.removeEventListener("abort", this.#onAbort); }
    this.#unsettled.delete(this);
    this.#limiter.release(this);
    if (this.#host.onIdle) this.#host.checkIdle();
    this.#settled?.resolve();
  }

  /** Gives an unread response its grace: the lease has ended, and does not wait for it any longer. */
  expireUnread(): void {
    if (this.#state !== "unread") return;
    const { clock } = this.#host.settings;
    this.#grace ??= clock.setTimer(() => this.abort(new LeaseReleasedError()), UNREAD_GRACE_MS);
  }

  /** Emits an attempt that was sent at `since`. */
  #called({ method }: ProjectRequest, since: number, status: number | undefined, error: unknown): void {
    const { clock, events } = this.#host.settings;
    if (events?.has("called")) events.emit("called", { durationMs: clock.now() - since, method, status, error });
  }

  #leaveUpstream(): void {
    if (!this.#isUpstream) return;
    this.#isUpstream = false;
    this.#host.slot.upstream?.end();
  }

  #startReading(): void {
    if (this.#state !== "settled") this.#state = "reading";
    this.#grace?.cancel();
    this.#permitGrace?.cancel();
  }

  /** Aborts it, unless the stream of its body made progress meanwhile. */
  #onTimeout(): void {
    const { deadlines, requestTimeoutMs } = this.#host.settings;
    const leftMs = this.#reader ? requestTimeoutMs - this.#reader.silentMs : 0;
    if (leftMs > 0) this.#timeout = deadlines.start(leftMs, () => this.#onTimeout());
    else this.abort(new RequestTimeoutError(requestTimeoutMs, this.#reader !== undefined));
  }

  /** Settles as `promise` does, or rejects with the reason that aborts the call first. */
  #race<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const { signal } = this;
      if (signal.aborted) reject(signal.reason);
      else this.#reject = reject;
      promise.then(resolve, reject);
    });
  }
}

/** Returns whether a retry may be sent: by the breaker, which bounds what is sent while the target fails, or the budget. */
function mayRetry(guard: TargetGuard | undefined, budget: RetryBudget | undefined): boolean {
  return guard?.isRestricted === true || budget?.tryRetry() !== false;
}
