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

/**
 * Returns the verdict on a response.
 *
 * A gateway that got no response (502, 504, and 520 to 524 of Cloudflare) and a service that is unavailable (503) are
 * failures of the target. Any other status is a response of the target itself.
 */
export function verdictOnStatus(status: number): CallVerdict {
  if (status < 400) return SUCCEEDED;
  if (status === 429) return LIMITED;
  if (status < 500) return REJECTED;
  if (status === 503 || status === 504) return OVERLOADED;
  return status === 502 || (status >= 520 && status <= 524) ? UNREACHABLE : REJECTED;
}

/**
 * Returns the verdict on a call without a response.
 *
 * @param aborted True if its signal aborted it, with `error` as the reason.
 */
export function verdictOnError(error: unknown, aborted: boolean): CallVerdict {
  if (error instanceof RequestTimeoutError) return OVERLOADED;
  if (aborted || error instanceof PoolError) return IGNORED;
  return error instanceof ForeignAddressError || error instanceof RedirectError ? REJECTED : UNREACHABLE;
}

/** A call that a guard has admitted. */
export interface GuardedCall {
  readonly permit: CircuitPermit | undefined;
  readonly load: unknown;
}

/** The guard of one target. */
export class TargetGuard {
  /** The breaker; `undefined` if it is off. */
  readonly breaker: CircuitBreaker | undefined;
  readonly #observer: LoadObserver | undefined;

  constructor(breaker: CircuitBreaker | undefined, observer: LoadObserver | undefined) {
    this.breaker = breaker;
    this.#observer = observer;
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
   * @throws {CircuitOpenError} when the circuit of the target is open.
   */
  admit(): GuardedCall {
    const permit = this.breaker?.admit();
    return { permit, load: this.#observer?.begin() };
  }

  /** Notes the result of a call. */
  settle({ permit, load }: GuardedCall, verdict: CallVerdict): void {
    if (permit) this.breaker?.settle(permit, verdict.target);
    this.#observer?.end(load, verdict.load);
  }
}

/** The targets of a project (`/rest/v1`, `/auth/v1`, …) share the guard of the address itself beyond this number. */
const MAX_TARGETS = 16;

/** Options for {@linkcode TargetGuards}. */
export interface TargetGuardsOptions {
  /** The project's URL, without a slash at its end. */
  readonly baseUrl: string;
  /** Options of the breakers. Default: none. */
  readonly breaker?: Omit<CircuitBreakerOptions, "target"> | undefined;
  /** The observer of all calls. Default: none. */
  readonly observer?: LoadObserver | undefined;
  /** Called with each breaker when it is created. */
  readonly onBreaker?: ((breaker: CircuitBreaker) => void) | undefined;
}

/** The guards of the targets of one project: the first segment of a path names the target (`rest`, `auth`, …). */
export class TargetGuards {
  readonly #options: TargetGuardsOptions;
  readonly #guards = new Map<string, TargetGuard>();
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
    const end = url.indexOf("/", baseUrl.length + 1);
    const name = end < 0 ? "" : url.slice(baseUrl.length + 1, end).replace(/[?#].*/, "");
    const guard = this.#guardOf(name);
    if (end >= 0 && this.#guards.has(name)) {
      this.#lastPrefix = url.slice(0, end + 1);
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

  #guardOf(name: string): TargetGuard {
    const known = this.#guards.get(name);
    if (known) return known;
    if (name !== "" && this.#guards.size >= MAX_TARGETS) return this.#guardOf("");
    const { baseUrl, breaker: options, observer, onBreaker } = this.#options;
    const breaker = options && new CircuitBreaker({ ...options, target: name === "" ? baseUrl : `${baseUrl}/${name}` });
    if (breaker) onBreaker?.(breaker);
    const guard = new TargetGuard(breaker, observer);
    this.#guards.set(name, guard);
    return guard;
  }
}
