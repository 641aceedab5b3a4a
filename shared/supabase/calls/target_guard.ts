/**
 * The guards of a pool's targets: a circuit breaker for each part of the project, and the observer of a limit.
 *
 * @module
 */
import {
  type CallOutcome,
  CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitPermit,
  classifyFailure,
  messageOf,
  textOf,
} from "../../resilience/mod.ts";
import { PoolError } from "../../pool/mod.ts";
import { ForeignAddressError, RedirectError, RequestTimeoutError } from "../errors.ts";

/** The result of a call, as a limit on concurrency sees it. `ignored`: its latency says nothing about load. */
export type LoadOutcome = "ok" | "overload" | "ignored";

/** An observer of the latency of calls, from before they are sent until the headers of their responses arrive. */
export interface LoadObserver {
  /** Called before a call is sent. Returns what `end` gets. */
  begin(): unknown;
  /** Called once for each `begin`, when the call's response has begun or it has failed. */
  end(call: unknown, outcome: LoadOutcome): void;
}

/** The result of a call, as breaker and limit see it. */
export interface CallVerdict {
  readonly target: CallOutcome;
  readonly load: LoadOutcome;
}

const SUCCEEDED: CallVerdict = Object.freeze({ target: "succeeded", load: "ok" });
/** The target works, and asks for less. */
const LIMITED: CallVerdict = Object.freeze({ target: "succeeded", load: "overload" });
/** An error of the application or of a statement: the target works, and errors may be fast. */
const REJECTED: CallVerdict = Object.freeze({ target: "succeeded", load: "ignored" });
const UNREACHABLE: CallVerdict = Object.freeze({ target: "failed", load: "ignored" });
const OVERLOADED: CallVerdict = Object.freeze({ target: "failed", load: "overload" });
const IGNORED: CallVerdict = Object.freeze({ target: "ignored", load: "ignored" });

/** The service of a project's RPCs says so of a status that the function of the database chose (`raise sqlstate 'PT503'`). */
const CHOSEN_BY_FUNCTION = /PostgREST; error=PT\d/;

/**
 * Returns the verdict on a response.
 *
 * A gateway that got no response (502, 504, and 520 to 524 of Cloudflare) and a service that is unavailable (503) are
 * failures of the target. Any other status is a response of the target itself, and so is one that an RPC has chosen.
 */
export function verdictOnResponse({ status, headers }: Pick<Response, "status" | "headers">): CallVerdict {
  if (status < 400) return SUCCEEDED;
  if (status < 502 && status !== 429) return REJECTED;
  const proxy = headers.get("proxy-status") ?? "";
  // The service of RPCs limits no rates itself.
  if (status === 429) return proxy.startsWith("PostgREST;") ? REJECTED : LIMITED;
  if (CHOSEN_BY_FUNCTION.test(proxy)) return REJECTED;
  if (status === 503 || status === 504) return OVERLOADED;
  return status === 502 || (status >= 520 && status <= 524) ? UNREACHABLE : REJECTED;
}

/** The circumstances in which a call failed. */
export interface FailedCall {
  /** True if its signal aborted it, with the error as the reason. */
  readonly aborted: boolean;
  /** The time since the end of the time that it had, in ms; negative before that. */
  readonly lateMs: number;
  /** True if the caller produces the body of its request while it is sent. */
  readonly isUpload: boolean;
}

/** A failure that is noticed this late, in ms, was noticed when a frozen isolate went on: its sockets are old. */
const FROZEN_MS = 1_000;

/** The texts of errors of the network that are not to be retried, but are failures of the target: its name, its certificate. */
const OF_NETWORK = /error sending request|client error|fetch failed|dns error|ENOTFOUND|certificate|\btls\b/i;

/** Returns whether `fetch` failed with an error of the network, and not because a header or option of the call is bad. */
function isOfNetwork(error: unknown): boolean {
  return classifyFailure(error) !== "permanent" || OF_NETWORK.test(messageOf(error));
}

/**
 * Returns the verdict on a call without a response: a network error or a timeout is a failure of the target. An abort by
 * the caller or the deadline of its scope says nothing about the target, and neither does an error of the call itself, one
 * that a frozen isolate finds when it goes on, or one of a body that the caller produces while it is sent.
 */
export function verdictOnError(error: unknown, { aborted, lateMs, isUpload }: FailedCall): CallVerdict {
  if (lateMs > FROZEN_MS || isUpload) return IGNORED;
  if (error instanceof RequestTimeoutError) return OVERLOADED;
  if (error instanceof ForeignAddressError || error instanceof RedirectError) return REJECTED;
  if (aborted || error instanceof PoolError || textOf(error, "name") === "AbortError") return IGNORED;
  return isOfNetwork(error) ? UNREACHABLE : IGNORED;
}

/** A call that a guard has admitted. */
export interface GuardedCall {
  readonly permit: CircuitPermit | undefined;
  /** The value that the observer returned. */
  readonly load: unknown;
  /** The time at which it is sent, in ms of the pool's clock. */
  readonly now: number;
}

/** The guard of one target. */
export class TargetGuard {
  /** The breaker; `undefined` if it is off. */
  readonly breaker: CircuitBreaker | undefined;
  readonly #observer: LoadObserver | undefined;
  readonly #maxWaiting: number;
  /** The functions that end the waits of calls for the circuit, in the order in which they began to wait. */
  readonly #waiting = new Set<() => void>();

  /** @param maxWaiting The maximum number of calls that wait for an open circuit. */
  constructor(breaker: CircuitBreaker | undefined, observer: LoadObserver | undefined, maxWaiting: number) {
    this.breaker = breaker;
    this.#observer = observer;
    this.#maxWaiting = maxWaiting;
    breaker?.on("closed", () => this.#wake());
  }

  /** True if the breaker bounds what is sent. */
  get isRestricted(): boolean {
    return this.breaker?.isClosed === false;
  }

  /** True if one more call may wait for the circuit. */
  get hasRoom(): boolean {
    return this.#waiting.size < this.#maxWaiting;
  }

  /**
   * Checks that a call would be admitted, before it waits for a slot.
   *
   * @throws {CircuitOpenError} when the circuit of the target is open.
   */
  check(): void {
    this.breaker?.check();
  }

  /**
   * Admits a call, of which {@linkcode settle} is then called once.
   *
   * @param now The current time of the pool's clock.
   * @throws {CircuitOpenError} when the circuit of the target is open.
   */
  admit(now: number): GuardedCall {
    const permit = this.breaker?.admit();
    return { permit, load: this.#observer?.begin(), now };
  }

  /** Notes the result of a call. */
  settle({ permit, load, now }: GuardedCall, verdict: CallVerdict): void {
    if (permit) this.breaker?.settle(permit, verdict.target, verdict.target === "succeeded" ? now : undefined);
    this.#observer?.end(load, verdict.load);
  }

  /** Calls `wake` once the circuit has closed, unless {@linkcode leave} was called. */
  wait(wake: () => void): void {
    this.#waiting.add(wake);
  }

  /** Removes what waits for the circuit. */
  leave(wake: () => void): void {
    this.#waiting.delete(wake);
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }
}

/** The edge functions of a project share one guard beyond this number. */
const MAX_FUNCTIONS = 32;

/** Its other parts (`/rest/v1`, `/auth/v1`, ...) share the guard of the address itself beyond this number. */
const MAX_PARTS = 16;

/** Options for {@linkcode TargetGuards}. */
export interface TargetGuardsOptions {
  /** The project's URL, without a slash at its end. */
  readonly baseUrl: string;
  /** Options of the breakers. Default: none, there are no breakers. */
  readonly breaker?: Omit<CircuitBreakerOptions, "target"> | undefined;
  /** The observer of all calls. Default: none. */
  readonly observer?: LoadObserver | undefined;
  /** The maximum number of calls to one target that wait for its circuit. Default: 1,000. */
  readonly maxWaiting?: number;
  /** Called with each breaker when it is created. */
  readonly onBreaker?: ((breaker: CircuitBreaker, name: string) => void) | undefined;
}

/**
 * The guards of the targets of one project. The first segment of a path names the target (`rest`, `auth`, ...); each edge
 * function is a target of its own (`functions/<name>`): one that fails says nothing about the others.
 */
export class TargetGuards {
  readonly #options: TargetGuardsOptions;
  readonly #guards = new Map<string, TargetGuard>();
  /** The number of functions among them. */
  #functions = 0;
  /** Most calls of a pool go to the target of the call before. */
  #lastPrefix = "\0";
  #last: TargetGuard | undefined = undefined;

  constructor(options: TargetGuardsOptions) {
    this.#options = options;
  }

  /** Returns the guard of a call's target. `url` begins with the project's URL. */
  of(url: string): TargetGuard {
    if (this.#last && url.startsWith(this.#lastPrefix)) return this.#last;
    const { baseUrl } = this.#options;
    const path = url.slice(baseUrl.length + 1).replace(/[?#].*$/s, "");
    const segments = path.split("/", 3);
    const [first = "", , name] = segments;
    const isFunction = first === "functions" && name !== undefined;
    const target = isFunction ? `functions/${name}` : segments.length > 1 ? first : "";
    const guard = this.guardOf(target);
    if (!isFunction && target !== "" && this.#guards.has(target)) {
      this.#lastPrefix = `${baseUrl}/${target}/`;
      this.#last = guard;
    }
    return guard;
  }

  /** The breakers of all targets called so far, by the name of the target. */
  get breakers(): ReadonlyMap<string, CircuitBreaker> {
    const breakers = new Map<string, CircuitBreaker>();
    for (const [name, { breaker }] of this.#guards) if (breaker) breakers.set(name, breaker);
    return breakers;
  }

  /** Returns the guard of the target with that name, which is created if need be. */
  guardOf(name: string): TargetGuard {
    const known = this.#guards.get(name);
    if (known) return known;
    const isFunction = name.startsWith("functions/");
    // A caller may choose the names of functions: they must not use up the guards of other parts.
    if (isFunction && this.#functions >= MAX_FUNCTIONS) return this.guardOf("functions");
    const isShared = name === "" || name === "functions";
    if (!isFunction && !isShared && this.#guards.size - this.#functions >= MAX_PARTS) return this.guardOf("");
    const { baseUrl, breaker: options, observer, maxWaiting = 1_000, onBreaker } = this.#options;
    const breaker = options && new CircuitBreaker({ ...options, target: name === "" ? baseUrl : `${baseUrl}/${name}` });
    if (breaker) onBreaker?.(breaker, name);
    const guard = new TargetGuard(breaker, observer, maxWaiting);
    this.#guards.set(name, guard);
    if (isFunction) this.#functions++;
    return guard;
  }
}
