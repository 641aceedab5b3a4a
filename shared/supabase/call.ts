/**
 * One call under way.
 *
 * @module
 */
import type { Clock, Timer } from "../resilience/mod.ts";
import { LeaseReleasedError } from "../pool/mod.ts";
import { RequestTimeoutError } from "./errors.ts";
import type { TurnTaker } from "./turns.ts";

/**
 * How long an answer may lie unread when its lease was ended, or its turn is wanted, in ms. Whoever
 * passes an answer on begins to read it at once, in the same turn of the event
 * loop; one that lies there longer has been dropped, as clients drop the bodies
 * of errors. Long enough for a busy isolate, short beside any request.
 */
export const UNREAD_GRACE_MS = 100;

/** What a call lives by. */
export interface CallLimits {
  /** Each ends the call when it aborts. */
  readonly links: readonly AbortSignal[];
  /** How long the call may take from when it is sent, its body included, in ms. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Told once, when the call is over: its answer read to the end, cancelled, failed or cut. */
  readonly onOver: (call: Call) => void;
  /** Told why it, or what was left of its body, failed. */
  readonly onFailure: (error: unknown) => void;
}

/** One call, from before it is sent until its answer's body has been read. It leaves no timer and no listener. */
export class Call implements TurnTaker {
  readonly #limits: CallLimits;
  readonly #controller = new AbortController();
  #timer: Timer | undefined = undefined;
  readonly #abort = (event: Event): void => this.cut((event.target as AbortSignal).reason);
  #grace: Timer | undefined = undefined;
  #giveBackTurn: (() => void) | undefined = undefined;
  #turnGrace: Timer | undefined = undefined;
  #answer: "awaited" | "unread" | "begun" | "over" = "awaited";

  constructor(limits: CallLimits) {
    this.#limits = limits;
    for (const link of limits.links) link.addEventListener("abort", this.#abort);
  }

  /** Begins the call's time: it is about to be sent. */
  begin(): void {
    const { clock, timeoutMs } = this.#limits;
    this.#timer = clock.setTimer(() => this.cut(new RequestTimeoutError(timeoutMs)), timeoutMs);
  }

  /** Aborts when the call is cut. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends it now. What is left of its body is not read any more. */
  cut(reason: unknown): void {
    if (this.#answer === "over") return;
    this.#limits.onFailure(reason);
    this.over();
    this.#controller.abort(reason);
  }

  /** There is an answer, and nobody has read of it yet. */
  answered(): void {
    if (this.#answer !== "awaited") return;
    this.#answer = "unread";
    if (this.#giveBackTurn) this.wanted(this.#giveBackTurn);
  }

  wanted(giveBack: () => void): void {
    this.#giveBackTurn = giveBack;
    if (this.#answer === "unread") this.#turnGrace ??= this.#limits.clock.setTimer(giveBack, UNREAD_GRACE_MS);
  }

  /** Somebody reads the answer, or has taken its body. */
  begun(): void {
    if (this.#answer !== "over") this.#answer = "begun";
    this.#grace?.cancel();
    this.#turnGrace?.cancel();
  }

  /** Something went wrong with the body. */
  failed(error: unknown): void {
    if (this.#answer !== "over") this.#limits.onFailure(error);
    this.over();
  }

  /** Nothing more is to come of it. */
  over(): void {
    if (this.#answer === "over") return;
    this.#answer = "over";
    this.#timer?.cancel();
    this.#grace?.cancel();
    this.#turnGrace?.cancel();
    for (const link of this.#limits.links) link.removeEventListener("abort", this.#abort);
    this.#limits.onOver(this);
  }

  /** The lease was ended: an answer that nobody reads is not waited for. */
  expireUnread(): void {
    if (this.#answer !== "unread") return;
    this.#grace ??= this.#limits.clock.setTimer(() => this.cut(new LeaseReleasedError()), UNREAD_GRACE_MS);
  }
}
