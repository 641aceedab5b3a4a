/**
 * One call under way.
 *
 * @module
 */
import type { Clock, Timeouts, Timer } from "../../resilience/mod.ts";
import { LeaseReleasedError } from "../../pool/mod.ts";
import { RequestTimeoutError } from "../errors.ts";
import type { TextWatcher } from "./text_answer.ts";
import type { TurnTaker } from "../scope/turns.ts";

/**
 * How long an answer may lie unread when its lease was ended, or its turn is wanted, in ms. Whoever passes an answer on
 * begins to read it at once, in the same turn of the event loop; one that lies there longer has been dropped, as
 * clients drop the bodies of errors. Long enough for a busy isolate, short beside any request.
 */
export const UNREAD_GRACE_MS = 100;

/** The time calls have. */
export interface CallTimes {
  /** How long a call may take from when it is sent, its body included. */
  readonly timeouts: Timeouts;
  readonly clock: Clock;
}

/** Whose calls they are. */
export interface CallOwner {
  /** Told once, when the call is over: its answer read to the end, cancelled, failed or cut. */
  over(call: Call): void;
  /** Told why it, or what was left of its body, failed. */
  failed(error: unknown): void;
}

/** One call, from before it is sent until its answer's body has been read. It leaves no timer and no listener. */
export class Call implements TurnTaker, TextWatcher {
  readonly #owner: CallOwner;
  readonly #times: CallTimes;
  readonly #links: readonly AbortSignal[];
  readonly #abort: ((event: Event) => void) | undefined;
  readonly #controller = new AbortController();
  #timeout: Timer | undefined = undefined;
  #grace: Timer | undefined = undefined;
  #giveBackTurn: (() => void) | undefined = undefined;
  #turnGrace: Timer | undefined = undefined;
  /** Rejects what is waited for in its name: a turn, a place, the text of its answer. One at a time. */
  #waiting: ((reason: unknown) => void) | undefined = undefined;
  #answer: "awaited" | "unread" | "begun" | "over" = "awaited";

  /** @param links Each ends the call when it aborts. */
  constructor(owner: CallOwner, times: CallTimes, links: readonly AbortSignal[]) {
    this.#owner = owner;
    this.#times = times;
    this.#links = links;
    if (links.length === 0) return;
    this.#abort = (event) => this.cut((event.target as AbortSignal).reason);
    for (const link of links) link.addEventListener("abort", this.#abort);
  }

  /** Begins the call's time: it is about to be sent. */
  begin(): void {
    const { timeouts } = this.#times;
    this.#timeout = timeouts.start(() => this.cut(new RequestTimeoutError(timeouts.delayMs)));
  }

  /** Aborts when the call is cut. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What `promise` settles as, or the rejection of what cuts the call first. */
  race<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const { signal } = this;
      if (signal.aborted) reject(signal.reason);
      else this.#waiting = reject;
      promise.then(resolve, reject);
    });
  }

  /** Ends it now. What is left of its body is not read any more. */
  cut(reason: unknown): void {
    if (this.#answer === "over") return;
    const reject = this.#waiting;
    this.#owner.failed(reason);
    this.over();
    this.#controller.abort(reason);
    reject?.(this.signal.reason);
  }

  /** There is an answer, and nobody has read of it yet. */
  answered(): void {
    if (this.#answer !== "awaited") return;
    this.#answer = "unread";
    if (this.#giveBackTurn) this.wanted(this.#giveBackTurn);
  }

  wanted(giveBack: () => void): void {
    this.#giveBackTurn = giveBack;
    if (this.#answer === "unread") this.#turnGrace ??= this.#times.clock.setTimer(giveBack, UNREAD_GRACE_MS);
  }

  /** Somebody reads the answer, or has taken its body. */
  begun(): void {
    if (this.#answer !== "over") this.#answer = "begun";
    this.#grace?.cancel();
    this.#turnGrace?.cancel();
  }

  /** Something went wrong with the body. */
  failed(error: unknown): void {
    if (this.#answer !== "over") this.#owner.failed(error);
    this.over();
  }

  /** Nothing more is to come of it. */
  over(): void {
    if (this.#answer === "over") return;
    this.#answer = "over";
    this.#waiting = undefined;
    this.#timeout?.cancel();
    this.#grace?.cancel();
    this.#turnGrace?.cancel();
    if (this.#abort) { for (const link of this.#links) link.removeEventListener("abort", this.#abort); }
    this.#owner.over(this);
  }

  /** The lease was ended: an answer that nobody reads is not waited for. */
  expireUnread(): void {
    if (this.#answer !== "unread") return;
    this.#grace ??= this.#times.clock.setTimer(() => this.cut(new LeaseReleasedError()), UNREAD_GRACE_MS);
  }
}
